"""The report in a real browser: it draws, it is silent, and it asks nobody for anything."""

import re
import shutil
import subprocess

import pytest

from ml_pipeline.reporting.writer import FileReportWriter
from tests.fakes.report_runs import RUNS, promoted

pytestmark = pytest.mark.e2e

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip
#: What Chromium asks for on its own account, whatever the page.
_ITS_OWN = re.compile(r"https?://[\w.-]+\.(?:google|googleapis|gstatic)\.com/")


class Visit:
    """What the browser made of a page: its DOM after the scripts, console lines, requests."""

    def __init__(self, page, work) -> None:
        if not BROWSER:
            pytest.skip("NO BROWSER: the report was NOT looked at; install chromium to have it")
        log = work / f"{page.stem}-net.json"
        done = subprocess.run(
            [BROWSER, *FLAGS, f"--user-data-dir={work / 'profile'}", f"--log-net-log={log}",
             "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        self.dom = done.stdout
        self.console = [said for said in done.stderr.splitlines() if "CONSOLE" in said]
        asked = re.findall(r'"url":"(https?://[^"]+)"', log.read_text(errors="replace"))
        self.requests = [url for url in asked if not _ITS_OWN.match(url)]


def test_this_test_would_notice_a_request_and_a_console_error(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("boom")</script>')

    visit = Visit(page, tmp_path)

    assert any("http://127.0.0.1:9/x.png" in url for url in visit.requests)
    assert any("boom" in said for said in visit.console)


def test_a_promoted_run_is_drawn_in_silence_and_without_a_request(tmp_path):
    FileReportWriter().write(promoted(tmp_path), tmp_path, tmp_path)

    visit = Visit(tmp_path / "report.html", tmp_path)

    assert visit.console == []
    assert visit.requests == []
    for plot in ("comparison", "residuals", "weight", "rollout-errors", "rollout-latency",
                 "latency", "load-over-time", "drift", "durations"):  # fmt: skip
        figure = re.search(rf'<figure id="{plot}".*?</figure>', visit.dom, re.DOTALL)
        assert figure, plot
        assert re.search(r"<svg.*<(?:polyline|rect|polygon)", figure[0], re.DOTALL), plot


def test_the_policy_lets_our_own_script_and_style_through(tmp_path):
    FileReportWriter().write(promoted(tmp_path), tmp_path, tmp_path)

    dom = Visit(tmp_path / "report.html", tmp_path).dom

    assert "<title>" not in dom.split("</head>")[1]  # the script took them for its own tips
    assert re.search(r'<button type="button" id="unfold">', dom)  # and showed the button


def test_every_outcome_stays_silent_in_the_browser(tmp_path):
    """All pages in one visit, as frames: a browser start costs seconds."""
    frames = []
    for name, make in RUNS.items():
        folder = tmp_path / name
        folder.mkdir()
        FileReportWriter().write(make(folder), folder, folder)
        frames.append(f'<iframe src="{name}/report.html"></iframe>')
    (tmp_path / "last.html").write_text('<script>console.log("frames are loaded")</script>')
    index = tmp_path / "index.html"
    index.write_text("".join([*frames, '<iframe src="last.html"></iframe>']))

    visit = Visit(index, tmp_path)

    assert len(frames) == len(RUNS)
    assert ["frames are loaded" in said for said in visit.console] == [True]
    assert visit.requests == []
