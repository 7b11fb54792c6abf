"""Every notifier, against a real server on loopback."""

import json
import logging

import httpx
import pytest
import stamina

from ml_pipeline.adapters.local.notifier import LocalNotifier
from ml_pipeline.adapters.slack.notifier import SlackNotifier
from ml_pipeline.domain.errors import ConfigurationError, PlatformUnavailableError
from ml_pipeline.domain.evidence import Outcome
from tests.fakes import report_runs
from tests.fakes.http_server import Answer, serving, unused_port

CANARY = "T00CANARY/B00CANARY/xyzCANARYxyz"


@pytest.fixture
def run(tmp_path):
    return report_runs.promoted(tmp_path)


@pytest.fixture
def no_waiting():
    with stamina.set_testing(True, attempts=4):
        yield


def webhook(port: int) -> str:
    return f"http://127.0.0.1:{port}/services/{CANARY}?x={CANARY}"


@pytest.mark.parametrize("kind", ["local", "slack"])
def test_a_notifier_says_in_words_where_the_message_went(kind, run):
    with serving() as server:
        notifier = LocalNotifier() if kind == "local" else SlackNotifier(webhook(server.port))
        where = notifier.send(run)
    assert where
    assert "CANARY" not in where


def test_without_a_webhook_it_is_said_that_nobody_was_told(run):
    assert LocalNotifier().send(run) == "nobody was told: no webhook is set"


def test_slack_gets_the_outcome_the_model_both_scores_and_why(run):
    with serving() as server:
        where = SlackNotifier(webhook(server.port)).send(run)
    (asked,) = server.asked
    text = json.loads(asked.body)["text"]
    assert where == "Slack (127.0.0.1)"
    assert asked.path == f"/services/{CANARY}?x={CANARY}"
    assert asked.headers["content-type"] == "application/json"
    for part in ("Promoted", run.model, "mae: challenger 4.112, champion 4.435", run.run_id):
        assert part in text
    assert "7.28 % better than the champion" in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_message(run, outcome):
    with serving() as server:
        SlackNotifier(webhook(server.port)).send(run.model_copy(update={"outcome": outcome}))
    text = json.loads(server.asked[0].body)["text"]
    assert outcome.replace("-", " ").capitalize() in text


def test_what_went_red_and_what_was_forced_is_told(tmp_path):
    run = report_runs.rolled_back(tmp_path)
    with serving() as server:
        SlackNotifier(webhook(server.port)).send(run)
    text = json.loads(server.asked[0].body)["text"]
    assert "• shift-traffic: 20.0 % of 400 requests failed" in text
    assert "--force, --chaos: drill" in text


def test_a_message_cannot_call_a_whole_channel(run):
    evil = run.model_copy(update={"message": "<!channel> & <https://evil.example|click>"})
    with serving() as server:
        SlackNotifier(webhook(server.port)).send(evil)
    text = json.loads(server.asked[0].body)["text"]
    assert "<" not in text
    assert "&lt;!channel&gt; &amp;" in text


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(run, status):
    answers = [Answer(status=status, headers={"Retry-After": "1"}), Answer(status=status), Answer()]
    with serving(lambda _: answers.pop(0)) as server:
        assert SlackNotifier(webhook(server.port)).send(run)
    assert len(server.asked) == 3


def test_the_wait_a_server_asks_for_is_kept(run):
    answers = [Answer(status=429, headers={"Retry-After": "1"}), Answer()]
    waits = []
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        with serving(lambda _: answers.pop(0)) as server:
            SlackNotifier(webhook(server.port)).send(run)
    finally:
        stamina.instrumentation.set_on_retry_hooks(before)
    assert waits == [1.0]


@pytest.mark.usefixtures("no_waiting")
def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for(run):
    busy = Answer(status=429, headers={"Retry-After": "3600"})
    with serving(lambda _: busy) as server, pytest.raises(PlatformUnavailableError, match="429"):
        SlackNotifier(webhook(server.port)).send(run)
    assert len(server.asked) == 1


@pytest.mark.usefixtures("no_waiting")
def test_a_message_that_may_have_arrived_is_not_sent_twice(run):
    with serving(lambda _: None) as server, pytest.raises(PlatformUnavailableError):
        SlackNotifier(webhook(server.port)).send(run)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410])
def test_a_refusal_is_told_with_slacks_word_and_not_tried_again(run, status):
    told = pytest.raises(PlatformUnavailableError, match=rf"{status} \(no_service\)")
    with serving(lambda _: Answer(status=status, body=b"no_service")) as server, told:
        SlackNotifier(webhook(server.port)).send(run)
    assert len(server.asked) == 1


@pytest.mark.usefixtures("no_waiting")
def test_the_webhook_is_in_no_error_and_no_log(run, caplog):
    """httpx names the URL of each request at level INFO, and so would its errors."""
    caplog.set_level(logging.DEBUG)
    told = [repr(SlackNotifier(webhook(1)))]
    for reply in (Answer(), Answer(status=404, body=CANARY.encode()), Answer(status=429), None):
        with serving(lambda _, reply=reply: reply) as server:
            told += outcome_of(SlackNotifier(webhook(server.port)), run)
    told += outcome_of(SlackNotifier(webhook(unused_port())), run)
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert any("127.0.0.1" in line for line in logged), "nothing was logged, so nothing is shown"
    assert not [line for line in (*told, *logged) if "CANARY" in line]


def outcome_of(notifier: SlackNotifier, run) -> list[str]:
    """What it says: its answer, or its error with all that led to it."""
    try:
        return [notifier.send(run)]
    except PlatformUnavailableError as error:
        chain: list[BaseException] = [error]
        while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(inner)
        return [f"{one!r} {one} {vars(one)}" for one in chain] + [error.remedy]


@pytest.mark.parametrize("url", ["", f"hooks/{CANARY}", f"ftp://x/{CANARY}", f"http://[{CANARY}"])
def test_a_webhook_that_is_no_address_is_refused_without_being_shown(url):
    with pytest.raises(ConfigurationError) as error:
        SlackNotifier(url)
    assert "CANARY" not in f"{error.value} {error.value.remedy}"


def test_a_client_of_the_callers_own_is_used_and_left_open(run):
    with httpx.Client() as client, serving() as server:
        SlackNotifier(webhook(server.port), client).send(run)
        assert not client.is_closed


@pytest.mark.usefixtures("no_waiting")
def test_trying_again_leaves_no_line_of_a_librarys_own_in_the_terminal(run, caplog):
    with pytest.raises(PlatformUnavailableError):
        SlackNotifier(webhook(unused_port())).send(run)
    assert not [one for one in caplog.records if one.name == "stamina"]
