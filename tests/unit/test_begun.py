"""A run's evidence is of one project, one code, one order."""

from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import LocalRuns, append_journal
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.evidence import StageResult, Status
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.session.begun import Begun, refuse_known, refuse_mixed, rules_of

CODE, ORDER, OTHER = ("a" * 64, "b" * 64, "c" * 64)
ASKED = RunOptions(source_digest=CODE, settings_digest=ORDER)
RULES = {"approval": {"risk_tier": "high"}, "platform": "local"}
AT = datetime(2026, 3, 1, tzinfo=UTC)
BEGUN = Begun(options=asdict(ASKED), rules=RULES, sets=[], stages=[], at=AT)


@pytest.fixture
def runs(tmp_path) -> LocalRuns:
    return LocalRuns(tmp_path, HostClock())


@pytest.mark.parametrize("known", ["nightly", "nightly-bootstrap"])
def test_an_id_that_is_known_is_no_new_runs(runs, known):
    refuse_known(runs, "nightly")
    append_journal(runs.create(known), HostClock(), "run-started")
    with pytest.raises(ConfigurationError, match=f"there is a run '{known}' already") as refused:
        refuse_known(runs, "nightly")
    assert f"ml-pipeline resume {known}" in refused.value.remedy


def test_an_id_leaves_room_for_a_first_champions(runs):
    refuse_known(runs, "a" * 53)
    with pytest.raises(ConfigurationError, match="has 54 characters, more than 53"):
        refuse_known(runs, "a" * 54)


@pytest.mark.parametrize(
    ("options", "rules", "named"),
    [
        (RunOptions(source_digest=OTHER, settings_digest=ORDER), RULES, "source"),
        (RunOptions(source_digest=CODE, settings_digest=OTHER), RULES, "settings"),
        (ASKED, {**RULES, "approval": {"risk_tier": "low"}}, "approval"),
        (ASKED, {**RULES, "platform": "vertex"}, "platform"),
    ],
)
def test_what_changed_since_a_run_began_is_named(runs, options, rules, named):
    folder = runs.create("nightly")
    refuse_mixed(folder, BEGUN, ASKED, RULES)
    with pytest.raises(ConfigurationError, match=f"{named} changed since run nightly began"):
        refuse_mixed(folder, BEGUN, options, rules)


def test_the_image_of_a_cloud_is_among_the_rules():
    policy = SimpleNamespace(image="shop@sha256:1", training_image=None)
    settings = SimpleNamespace(
        platform="vertex", vertex=policy, model_dump=lambda **_: {"platform": "vertex"}
    )
    assert rules_of(settings) == {"platform": "vertex", "image": "shop@sha256:1"}


@pytest.mark.parametrize("name", ["source", "settings"])
def test_a_stage_that_was_run_with_something_else_is_named(runs, name):
    stage = runs.begin("nightly", "train")
    inputs = {"source": CODE, "settings": ORDER, name: OTHER}
    result = StageResult(
        run_id="nightly", stage="train", attempt=1, status=Status.PASSED,
        started_at=AT, duration_s=0, inputs=inputs,
    )  # fmt: skip
    runs.finish(stage, result)
    with pytest.raises(ConfigurationError, match=f"stage train .* with other {name}"):
        refuse_mixed(runs.folder("nightly"), BEGUN, ASKED, RULES)
