"""The HTML report: complete, honest about what is missing, and deaf to hostile text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from ml_pipeline.domain.evidence import Check, Outcome, Status
from ml_pipeline.reporting.page import prose, render
from ml_pipeline.reporting.recordings import Recordings
from ml_pipeline.reporting.story import VERDICTS
from tests.fakes.report_runs import RUNS, RunFolder, promoted, rolled_back

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}</style></svg>"


class Page(HTMLParser):
    """Elements with their attributes, and the text between them."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements, self.words, self.raw, self._in = [], [], {}, ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data):
        if self._in in ("script", "style"):
            self.raw[self._in] = self.raw.get(self._in, "") + data
        else:
            self.words.append(data)

    def handle_endtag(self, tag):
        self._in = ""

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self, tag):
        return [attrs.get("id") for name, attrs in self.elements if name == tag]


def shown(run, folder, **more) -> Page:
    return Page(render(Recordings(run=run, folder=folder, **more)))


@pytest.mark.parametrize("name", RUNS)
def test_every_outcome_has_its_verdict_its_exit_code_and_its_sentence(name, tmp_path):
    run = RUNS[name](tmp_path)

    page = shown(run, tmp_path)

    assert VERDICTS[run.outcome].title in page.text
    assert f"exit code {run.exit_code}" in page.text
    assert run.message.split("`")[0].strip() in page.text
    for result in run.stages:
        assert f"{result.stage}, attempt 1" in page.text


def test_all_outcomes_are_among_the_samples(tmp_path):
    outcomes = {make(tmp_path / name).outcome for name, make in RUNS.items()}
    assert outcomes == set(Outcome)


def test_the_page_refers_to_nothing_outside_itself(tmp_path):
    page = shown(promoted(tmp_path), tmp_path)

    for tag, attrs in page.elements:
        assert "src" not in attrs, tag
        assert "style" not in attrs, tag
        assert not [name for name in attrs if name.startswith("on")], tag
        assert attrs.get("href", "#").startswith(("#", "data:,")), attrs
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(tmp_path):
    page = shown(promoted(tmp_path), tmp_path)

    policy = next(a["content"] for t, a in page.elements if "Content-Security" in str(a))
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_ids_are_unique_and_every_plot_is_described(tmp_path):
    page = shown(promoted(tmp_path), tmp_path)

    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    plots = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len(plots) == 9
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in plots)


def test_hostile_text_stays_text_wherever_it_stands(tmp_path):
    run = RunFolder(tmp_path)
    rollout = {
        "challenger": HOSTILE, "champion": None, "verdict": HOSTILE,
        "events": [{"at_s": 0, "event": HOSTILE, "weights": {HOSTILE: 10}, "message": HOSTILE}],
        "samples": [{"at_s": 1, "slot": HOSTILE, "requests": 1, "errors": 1}],
    }  # fmt: skip
    run.stage("drift", message=HOSTILE, metrics={f"psi.{HOSTILE}": 0.5}, values={"limit": 0.2})
    run.stage("compare", metrics={"challenger": 1.0}, values={"metric": HOSTILE, "rule": HOSTILE})
    run.stage("shift-traffic", Status.ERROR, message=HOSTILE, remedy=HOSTILE, outcome=HOSTILE,
              checks=[Check(name=HOSTILE, passed=False, value=HOSTILE, limit=HOSTILE,
                            unit=HOSTILE, message=HOSTILE)],
              values={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}, adopted_from=HOSTILE,
              files={"rollout.json": rollout})  # fmt: skip
    record = run.record(Outcome.ERROR, HOSTILE, project=HOSTILE, model=HOSTILE,
                        options={"force": True, "reason": HOSTILE, HOSTILE: HOSTILE})  # fmt: skip

    page = shown(record, tmp_path)

    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert "img" not in tags
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert "49" not in page.text.split("alert(2)")[1][:20]
    assert page.text.count("alert(1)") > 15


def test_a_run_whose_files_are_gone_says_what_was_not_recorded(tmp_path):
    run = promoted(tmp_path)

    page = shown(run, tmp_path / "elsewhere")

    assert "load-test left no load.json" in page.text
    assert "shift-traffic left no rollout.json" in page.text
    assert "evaluate left no predictions.json" in page.text
    assert "comparison" in page.ids("figure")  # its numbers stand in the result itself


def test_a_stage_that_did_not_run_is_named(tmp_path):
    page = shown(RUNS["nothing_to_do"](tmp_path), tmp_path)

    assert "Did not run: train, evaluate, compare" in page.text
    assert "Load test: Not recorded: load-test did not run." in page.text


def test_a_recording_that_was_changed_afterwards_is_not_shown(tmp_path):
    run = promoted(tmp_path)
    file = tmp_path / "load-test" / "1" / "load.json"
    file.write_text(file.read_text().replace('"errors": 3', '"errors": 0', 1))

    page = shown(run, tmp_path)

    assert "load-test/load.json is not the file the evidence was written for" in page.text
    assert "latency" not in page.ids("figure")


def test_a_recording_that_cannot_be_read_names_the_place(tmp_path):
    run = RunFolder(tmp_path)
    run.stage(
        "shift-traffic", files={"rollout.json": {"challenger": "v1", "events": [{"at_s": "?"}]}}
    )

    page = shown(run.record(Outcome.PROMOTED, "."), tmp_path)

    assert "shift-traffic/rollout.json cannot be read (events.0.at_s:" in page.text


def test_numbers_that_are_no_numbers_are_not_drawn(tmp_path):
    run = RunFolder(tmp_path)
    folder = tmp_path / "evaluate" / "1"
    folder.mkdir(parents=True)
    (folder / "predictions.json").write_text('{"truth": [NaN], "challenger": [1.0]}')
    run.stage("evaluate")
    run.stage("compare", metrics={"challenger": 1.0})

    page = shown(run.record(Outcome.PROMOTED, "."), tmp_path)

    assert "evaluate/predictions.json cannot be read (truth.0:" in page.text


def test_overrides_stand_above_everything_with_their_reason(tmp_path):
    run = promoted(tmp_path)
    options = {"force": True, "force_promote": True, "reason": "the champion's licence ended"}
    page = shown(run.model_copy(update={"options": options}), tmp_path)

    before = page.text.split("Champion and challenger")[0]
    assert "Rules were overridden in this run" in before
    assert "--force-promote" in before
    assert "the champion's licence ended" in before


def test_a_run_without_overrides_shows_none(tmp_path):
    assert "overridden" not in shown(promoted(tmp_path), tmp_path).text.split("Stages")[0]


def test_a_failed_check_stands_on_top_with_value_limit_and_remedy(tmp_path):
    run = RUNS["error"](tmp_path)
    assert "What to do Start the platform with ml-pipeline platform up" in shown(run, tmp_path).text

    page = shown(RUNS["checks_red"](tmp_path / "red"), tmp_path)
    top = page.text.split("This run")[0]
    assert "ruff check src: 1 exit code (limit 0)" in top
    assert "E999 <SyntaxError> & more | pipes" in top
    assert "Local variable `x` is" in top  # a log is shown as it is


def test_statuses_are_told_apart(tmp_path):
    run = RunFolder(tmp_path)
    for name, status in zip(("lint", "train", "compare", "approve", "package"),
                            (Status.SKIPPED, Status.ERROR, Status.INCONCLUSIVE,
                             Status.WAITING, Status.INTERRUPTED), strict=True):  # fmt: skip
        run.stage(name, status, message=f"it was {status}")

    page = render(Recordings(run=run.record(Outcome.ERROR, "x"), folder=tmp_path))
    chips = re.findall(r'class="chip (\w+)"><span[^>]*>(.)</span> ([\w ]+)', page)

    assert {words for _, _, words in chips} == {
        "skipped", "error", "inconclusive", "waiting", "interrupted"}  # fmt: skip
    assert len({sign for _, sign, _ in chips}) == 5


def test_the_newest_attempt_counts(tmp_path):
    run = RunFolder(tmp_path)
    run.stage("train", Status.ERROR, message="first try")
    run.stage("train", message="second try", attempt=2)

    page = shown(run.record(Outcome.PROMOTED, "."), tmp_path)

    assert "second try" in page.text
    assert "first try" not in page.text


def test_secrets_in_recordings_are_masked(tmp_path):
    run = rolled_back(tmp_path)
    file = tmp_path / "shift-traffic" / "1" / "rollout.json"
    content = json.loads(file.read_text())
    content["events"][0]["message"] = 'sent with canary"secret-42'
    bare = run.stages[-1].model_copy(update={"artifacts": []})
    file.write_text(json.dumps(content))
    run = run.model_copy(update={"stages": [*run.stages[:-1], bare]})

    page = shown(run, tmp_path, secrets=('canary"secret-42',))

    assert "sent with •••" in page.text
    assert "secret-42" not in page.text


def test_what_stands_between_backticks_is_code_and_an_odd_one_stays():
    assert prose("a `b<` c") == "a <code>b&lt;</code> c"
    assert prose("a `b` c`") == "a <code>b</code> c`"
