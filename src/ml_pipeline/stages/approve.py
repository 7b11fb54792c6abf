"""Automatic, or by a person, as the project's risk tier says."""

from ml_pipeline.domain.evidence import Check, Outcome, StageOutcome, Status
from ml_pipeline.domain.policies.release import ApprovalPolicy
from ml_pipeline.ports.evidence import RunOptions, StageFolder


def run(*, stage: StageFolder, approval: ApprovalPolicy, options: RunOptions) -> StageOutcome:
    """Pass at once, or stop the run here until `resume --approve`."""
    tier = approval.risk_tier
    if not approval.by_hand:
        message = f"automatic: risk tier {tier}"
    elif options.approve:
        message = f"approved by hand: {options.reason or 'no reason given'}"
        stage.journal("approved", reason=options.reason)
    else:
        return StageOutcome(
            status=Status.WAITING,
            outcome=Outcome.AWAITING_APPROVAL,
            message=f"risk tier {tier} asks for a person: `ml-pipeline resume {stage.run_id}"
            " --approve --reason …`",
        )
    check = Check(name="approved", passed=True, value=message)
    return StageOutcome(status=Status.PASSED, message=message, checks=(check,))
