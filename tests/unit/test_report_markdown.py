"""The Markdown report, judged by a CommonMark parser."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ml_pipeline.domain.evidence import Check, Outcome, RunRecord, Status
from ml_pipeline.reporting.markdown import MOST_BYTES, block, markdown, plain, prose
from ml_pipeline.reporting.recordings import Recordings
from ml_pipeline.reporting.story import VERDICTS
from tests.fakes.report_runs import BEGUN, RUNS, RunFolder, promoted

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = {"<details>", "</details>", "<summary>", "</summary>"}
HOSTILE = (
    "# x | `a` **b** [l](http://e.vil) ![i](x) <script>alert(1)</script> @octocat #12 GH-7 $y$\n- z"
)


def page(run: RunRecord, folder) -> str:
    return markdown(Recordings(run=run, folder=folder))


def elements(text: str) -> set[str]:
    """The HTML elements and rendered Markdown constructs in a page."""
    return set(re.findall(r"<([a-z0-9]+)", PARSER.render(text)))


@pytest.mark.parametrize("name", RUNS)
def test_the_verdict_comes_first(name, tmp_path):
    run = RUNS[name](tmp_path)
    first = page(run, tmp_path).splitlines()[0]
    assert VERDICTS[run.outcome].title in first
    assert f"exit code {run.exit_code}" in first


def test_the_tables_are_tables(tmp_path):
    rendered = PARSER.render(page(promoted(tmp_path), tmp_path))
    stages = re.search(r"<th>Stage</th>.*?</table>", rendered, re.DOTALL)[0]
    assert stages.count("<tr>") == len(promoted(tmp_path).stages)
    assert re.search(r"<td>mae</td>\s*<td>4.112</td>\s*<td>4.435</td>", rendered)


def test_details_open_and_close_alike(tmp_path):
    text = page(promoted(tmp_path), tmp_path)
    assert text.count("<details>") == text.count("</details>") > 5


@given(st.text(max_size=60))
def test_any_text_in_a_cell_stays_one_cell_of_plain_text(text):
    rendered = PARSER.render(f"| a | b |\n| --- | --- |\n| {plain(text)} | end |\n")
    rows = rendered.split("<tbody>")[-1]
    assert rows.count("<td>") == 2
    assert set(re.findall(r"<([a-z]+)", rows)) == {"tr", "td"}


@given(st.text(alphabet="#>-+=*_`~1.) [](){}|<>@\\/:abc\n", max_size=40))
def test_any_text_at_the_beginning_of_a_line_stays_a_sentence(text):
    rendered = PARSER.render(plain(text))
    assert set(re.findall(r"<([a-z0-9]+)", rendered)) <= {"p"}
    coded = PARSER.render(prose(text))
    assert set(re.findall(r"<([a-z0-9]+)", coded)) <= {"p", "code"}


def test_text_reads_as_it_was_written():
    rendered = PARSER.render(plain("mae_4 is < 5 & *good* | 1. `x` \\ ~a~"))
    assert rendered == "<p>mae_4 is &lt; 5 &amp; *good* | 1. `x` \\ ~a~</p>\n"


@pytest.mark.parametrize("text", ["@octocat", "#12", "GH-12", "https://e.vil/x", "www.e.vil"])
def test_nothing_becomes_a_mention_or_a_link_by_itself(text):
    """GitHub links these in rendered text, so only something between their letters helps."""
    assert text not in re.sub(r"\\", "", plain(text))
    assert plain(text).replace("\u200b", "").replace("\\", "") == text


@given(st.text(alphabet="`ab\n~", max_size=60))
def test_no_text_can_close_a_code_block(text):
    rendered = PARSER.render(f"{block(text)}\n\nafter *it*")
    assert rendered.endswith("<p>after <em>it</em></p>\n")
    assert rendered.count("<pre>") == 1


def test_a_command_in_the_message_can_be_copied(tmp_path):
    text = page(RUNS["awaiting_approval"](tmp_path), tmp_path)
    assert "<code>ml-pipeline resume 20260314-092653-7f3a --approve" in PARSER.render(text)


def test_hostile_names_and_messages_are_shown_and_do_nothing(tmp_path):
    run = RunFolder(tmp_path)
    run.stage("train", Status.ERROR, message=HOSTILE, remedy=HOSTILE, outcome=HOSTILE,
              metrics={HOSTILE: 1.0},
              checks=[Check(name=HOSTILE, passed=False, value=HOSTILE, limit=HOSTILE,
                            message=HOSTILE)])  # fmt: skip
    run.stage("compare", metrics={"challenger": 1.0}, values={"metric": HOSTILE})
    record = run.record(Outcome.ERROR, HOSTILE, project=HOSTILE, model=HOSTILE,
                        options={"force": True, "reason": HOSTILE})  # fmt: skip

    text = page(record, tmp_path)

    assert not elements(text) & {"script", "a", "img", "h1"}
    assert "@octocat" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert text.rstrip().endswith("-->")
    assert text.count("-->") == 1


def test_a_log_is_kept_as_it_is(tmp_path):
    rendered = PARSER.render(page(RUNS["checks_red"](tmp_path), tmp_path))
    assert "E999 &lt;SyntaxError&gt; &amp; more | pipes\nFound 2 errors." in rendered


@settings(max_examples=20)
@given(st.text(alphabet="<|@`\u20ac\U0001f600", min_size=200, max_size=400), st.integers(1, 300))
def test_the_page_stays_below_its_limit(tmp_path_factory, text, checks):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    failed = [Check(name=text, passed=False, value=text, message=f"{text}\n" * 30)] * checks
    for name in ("lint", "unit-test", "validate-data", "smoke-train", "train", "package"):
        run.stage(name, Status.FAILED, message=text, remedy=text, checks=failed)

    written = page(run.record(Outcome.CHECKS_RED, text * 9, model=text), run.path)

    assert len(written.encode()) <= MOST_BYTES
    assert written.count("<details>") == written.count("</details>")


def test_what_did_not_fit_is_said_to_be_elsewhere(tmp_path):
    run = RunFolder(tmp_path)
    for name in ("lint", "unit-test", "validate-data", "smoke-train", "train", "package"):
        checks = [Check(name="c" * 100, passed=False, message="m\n" * 2000)] * 60
        run.stage(name, Status.FAILED, checks=checks)

    assert "did not fit; `report.html` has them" in page(run.record(Outcome.ERROR, "."), tmp_path)


def test_a_comment_can_be_found_again_by_its_last_line(tmp_path):
    """So that a pull request keeps one comment that is updated."""
    last = page(promoted(tmp_path), tmp_path).rstrip().splitlines()[-1]
    assert last == "<!-- ml-pipeline report: freshmart/freshmart-delivery-time -->"


def test_an_empty_run_can_be_told(tmp_path):
    run = RunRecord(run_id="r", project="p", model="m", platform="local", profile="test",
                    trigger="manual", started_at=BEGUN, duration_s=0, outcome=Outcome.ERROR,
                    exit_code=4, message="")  # fmt: skip
    assert "**Error**" in page(run, tmp_path)
