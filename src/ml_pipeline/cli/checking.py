"""`adapter-check`: the contract of a platform's adapters, seen to hold or not."""

import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ml_pipeline.adapterkit.bench import Bench
from ml_pipeline.adapterkit.kit import CHECKS, GROUPS, Check, Finding, clear, run
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.cli.opening import Place, open_session
from ml_pipeline.cli.saying import say
from ml_pipeline.domain.errors import ConfigurationError, ExitCode
from ml_pipeline.settings.profiles import Platform

#: Looks at this machine are cheap; at a cloud, a look every 15 s is enough for what takes minutes.
_LOCAL_POLL_S, _CLOUD_POLL_S = 0.2, 15.0


def check_adapter(place: Place, platform: str, groups: list[str], *, live: bool) -> int:
    """Run the checks against a platform, and take away what they made."""
    _known(platform, groups)
    chosen = [one for one in CHECKS if not groups or one.group in groups]
    if platform != Platform.LOCAL and not live:
        raise ConfigurationError(
            f"{len(chosen)} checks on {platform} start jobs and endpoints that cost money",
            remedy="Add --live to run them with the credentials of this environment.",
        )
    name = f"check-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="adapter-check-") as folder, ExitStack() as stack:
        bench, afterwards = _benches(place, platform, name, Path(folder), stack)
        red = 0
        try:
            for finding in run(bench, chosen):
                red += bool(finding.wrong)
                say(_line(finding))
        finally:
            left = clear(afterwards)
            for line in left:
                say(f"left  {line}")
    verdict = f"{red} red" if red else "all hold"
    say(f"{len(chosen)} checks on {platform}: {verdict}")
    return ExitCode.CHECKS_RED if red or left else ExitCode.DONE


def _benches(
    place: Place, platform: str, name: str, folder: Path, stack: ExitStack
) -> tuple[Bench, Bench]:
    """The platform with the project's own settings, but another model's name and state.

    The second is for clearing away: its clock does not stop when somebody asks the checks to.
    """
    settings = (f"platform={platform}", f"model={name}")
    own = Place(
        source=place.source,
        state=folder / "state",
        runs=folder / "runs",
        sets=(*place.sets, *settings),
    )
    session, shown = open_session(own)
    shown.close()
    stack.enter_context(session.alone(name))
    work = folder / "work"
    work.mkdir()
    bench = Bench(
        fresh=lambda: session.another().parts,
        model=name,
        run_id=name,
        folder=work,
        source=session.settings.source,
        clock=session.clock,
        limit_s=session.settings.train.time_limit_s,
        poll_s=_LOCAL_POLL_S if platform == Platform.LOCAL else _CLOUD_POLL_S,
    )
    clock = HostClock(session.settings.clock_scale)
    wiring = replace(session.another(), clock=clock)
    afterwards = replace(bench, fresh=lambda: wiring.parts, clock=clock, _machines=[])
    for one in (bench, afterwards):
        stack.callback(one.close)
    return bench, afterwards


def _known(platform: str, groups: list[str]) -> None:
    if platform not in list(Platform):
        raise ConfigurationError(
            f"there is no platform {platform!r}", remedy=f"Choose one of {', '.join(Platform)}."
        )
    for group in groups:
        if group not in GROUPS:
            raise ConfigurationError(
                f"there is no group of checks {group!r}",
                remedy=f"Choose one of {', '.join(GROUPS)}.",
            )


def _line(finding: Finding) -> str:
    check: Check = finding.check
    mark = "RED" if finding.wrong else "ok"
    line = f"{mark:>4}  {check.group:<9} {finding.duration_s:7.2f} s  {check.says}"
    told = finding.wrong.replace("\n", "\n      ")
    return f"{line}\n      {told}" if told else line
