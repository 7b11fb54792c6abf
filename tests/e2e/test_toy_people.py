"""What people do to a release: force it, approve it, take it back."""

import pytest

from ml_pipeline.domain.errors import ExitCode
from tests.fakes.toy_project import WORSE, configured, end, toy

pytestmark = pytest.mark.e2e


def test_a_worse_model_promoted_by_force_stands_so_in_the_evidence(tmp_path) -> None:
    project = toy(tmp_path)
    assert project.run("full-pipeline").code == 0
    refused = project.run("rollback")
    assert refused.code == ExitCode.CONFIGURATION, refused.output
    assert "the first that served" in refused.output
    assert not list(project.runs.glob("rollback-*")), "a rollback that was refused left a folder"
    forced = project.run(
        "full-pipeline", "--force", "--force-promote", "--reason", "a legal deadline", *WORSE
    )
    assert forced.code == 0, forced.output
    page = (project.newest() / "report" / "1" / "report.md").read_text()
    assert "a legal deadline" in page
    back = project.run("rollback", "--reason", "it was worse after all")
    assert back.code == 0, back.output
    assert "version 1 serves again instead of version 2" in back.output
    told = project.run("status").output
    assert "champion: version 1" in told
    assert "version 1 serves again instead of version 2" in told


SMALL = ("--set", "train.smoke_hyperparameters.do=no")


def test_what_was_mended_after_a_failed_first_training_is_trained_at_once(tmp_path) -> None:
    """The cost guard holds back a second answer; there is none yet, and no champion."""
    project = toy(tmp_path, configured(("guard_h = 0", "guard_h = 12")))
    failed = project.run("full-pipeline", "--set", "hyperparameters.do=exit1", *SMALL)
    assert failed.code == ExitCode.DATA, failed.output
    mended = project.run("full-pipeline")
    assert mended.code == 0, mended.output
    assert project.record()["outcome"] == "promoted"


def test_a_release_waits_for_a_person_and_goes_on_when_approved(tmp_path) -> None:
    project = toy(
        tmp_path,
        configured(("[retrain]", '[approval]\n        risk_tier = "high"\n\n        [retrain]')),
    )
    waiting = project.run("full-pipeline", "--run-id", "careful")
    assert waiting.code == 0, waiting.output
    assert project.record()["outcome"] == "awaiting-approval"
    lax = project.run("run", "approve", "--run", "careful", "--set", "approval.risk_tier=low")
    assert (lax.code, "approval changed since run careful began" in lax.output) == (4, True)
    again = project.run("full-pipeline", "--run-id", "careful", *WORSE)
    assert (again.code, "there is a run 'careful' already" in again.output) == (4, True)
    looked = project.run("run", "load-test", "--run", "careful", "--set", "load.duration_s=0.5")
    assert looked.code == 0, looked.output
    mixed = project.run("resume", "careful", "--approve", "--reason", "looked at it")
    assert mixed.code == 4
    assert "stage load-test of run careful was run again with other settings" in mixed.output
    assert project.run("run", "load-test", "--run", "careful").code == 0
    killed = project.start("resume", "careful", "--approve", "--reason", "looked at it")
    project.until("careful", "production-deploying")
    end(killed)
    taken = tmp_path.with_name(f"{tmp_path.name}-taken")
    project.run("evidence", "export", "careful", "--output", str(taken))
    assert (taken / "outcome").read_text() == "unfinished\n"
    approved = project.run("resume", "careful", "--approve", "--reason", "looked at it")
    assert approved.code == 0, approved.output
    assert project.record()["outcome"] == "promoted"
    assert project.record()["options"]["reason"] == "looked at it"
