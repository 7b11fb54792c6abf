"""What people do to a release: force it, approve it, take it back."""

import pytest

from tests.fakes.toy_project import WORSE, configured, toy

pytestmark = pytest.mark.e2e


def test_a_worse_model_promoted_by_force_stands_so_in_the_evidence(tmp_path) -> None:
    project = toy(tmp_path)
    assert project.run("full-pipeline").code == 0
    forced = project.run(
        "full-pipeline", "--force", "--force-promote", "--reason", "a legal deadline", *WORSE
    )
    assert forced.code == 0, forced.output
    page = (project.newest() / "report" / "1" / "report.md").read_text()
    assert "a legal deadline" in page
    back = project.run("rollback", "--reason", "it was worse after all")
    assert back.code == 0, back.output
    assert "version 1 serves again instead of version 2" in back.output
    assert "version 1" in project.run("status").output


def test_a_release_waits_for_a_person_and_goes_on_when_approved(tmp_path) -> None:
    project = toy(
        tmp_path,
        configured(("[retrain]", '[approval]\n        risk_tier = "high"\n\n        [retrain]')),
    )
    waiting = project.run("full-pipeline", "--run-id", "careful")
    assert waiting.code == 0, waiting.output
    assert project.record()["outcome"] == "awaiting-approval"
    approved = project.run("resume", "careful", "--approve", "--reason", "looked at it")
    assert approved.code == 0, approved.output
    assert project.record()["outcome"] == "promoted"
    assert project.record()["options"]["reason"] == "looked at it"
