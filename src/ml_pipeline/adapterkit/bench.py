"""What a check works with: one platform's adapters, small things to give them, and patience."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.platform import PlatformParts
from ml_pipeline.ports.registry import BASELINE, FINGERPRINTS, PACKAGE, ModelVersion
from ml_pipeline.ports.serving import deploy_and_wait
from ml_pipeline.ports.training import JobRef, JobState, TrainingRequest
from ml_pipeline.serving.package import write_package

_T = TypeVar("_T")
#: y = 2 a + 3 b + 1, in ONNX: what costs nothing to train and to serve.
_LINE = base64.b64decode(
    "CAg6vgEKIQoEcm93cwoHd2VpZ2h0cxIId2VpZ2h0ZWQiBk1hdE11bAokCgh3ZWlnaHRlZAoIY29uc3RhbnQSCXByZWRp"
    "Y3RlZCIDQWRkEgVzbWFsbCohCAIIARALQgd3ZWlnaHRzShAAAAAAAAAAQAAAAAAAAAhAKhgIARALQghjb25zdGFudEoI"
    "AAAAAAAA8D9aFAoEcm93cxIMCgoICxIGCgAKAggCYhkKCXByZWRpY3RlZBIMCgoICxIGCgAKAggBQgQKABAP"
)
COLUMNS = ("a", "b")
ROWS = ((1.0, 2.0), (0.0, 0.5))
EXPECTED = tuple(2 * a + 3 * b + 1 for a, b in ROWS)
TRAINING_ROWS = "a,b\n1,2\n"
METRICS = '{"mae": 4.5, "rows": 100}'
#: The training: no code of a project is needed, so that any image will do.
_SCRIPT = """
import pathlib, sys, time
data, output, behaviour, metrics = sys.argv[1:]
if behaviour == "hang":
    time.sleep(3600)
if behaviour == "fail":
    sys.exit("the training says why")
folder = pathlib.Path(output)
(folder / "model.skops").write_bytes(pathlib.Path(data).read_bytes())
(folder / "metrics.json").write_text(metrics)
"""


class Red(Exception):  # noqa: N818 - no error of the program: what a check found
    """A platform does not do what the contract says."""


def expect(truth: object, otherwise: str) -> None:
    """Go on when it holds.

    Raises:
        Red: it does not; `otherwise` says what is the case instead.
    """
    if not truth:
        raise Red(otherwise)


def expect_error(kind: type[Exception], call: Callable[[], object]) -> str:
    """The message of an error that has to come.

    Raises:
        Red: none came, or another one.
    """
    try:
        given = call()
    except kind as error:
        return str(error)
    except Exception as error:
        raise Red(f"{type(error).__name__} instead of {kind.__name__}: {error}") from error
    raise Red(f"no {kind.__name__}, but {given!r}")


@dataclass(kw_only=True)
class Bench:
    """One platform under check.

    Args:
        fresh: its adapters as a machine makes them that never saw the platform before.
        model: a name nothing else on the platform has; what is made carries it.
        run_id: of the jobs.
        folder: an empty one on this machine.
        source: the project's folder, for platforms that run trainings in its environment.
        clock: for waits.
        limit_s: how long one job or deployment may take.
        poll_s: between two looks.
    """

    fresh: Callable[[], PlatformParts]
    model: str
    run_id: str
    folder: Path
    source: Path
    clock: Clock
    limit_s: float = 1800
    poll_s: float = 15
    _jobs: dict[str, JobRef] = field(default_factory=dict)
    _machines: list[PlatformParts] = field(default_factory=list)

    @cached_property
    def parts(self) -> PlatformParts:
        """The adapters this machine works with."""
        return self.another()

    def another(self) -> PlatformParts:
        """The adapters of one more machine."""
        self._machines.append(self.fresh())
        return self._machines[-1]

    def close(self) -> None:
        """Give back the connections of all of them."""
        while self._machines:
            self._machines.pop().close()

    def request(self, behaviour: str, metrics: str = METRICS) -> TrainingRequest:
        """A training that does as told: succeed, fail or hang. Each is a run of its own."""
        data = self.folder / "rows.csv"
        data.write_text(TRAINING_ROWS, encoding="utf-8")
        return TrainingRequest(
            project=self.model,
            run_id=f"{self.run_id}-{behaviour}{'' if metrics == METRICS else '-nan'}",
            attempt=1,
            source=self.source,
            data=data,
            argv=("python", "-c", _SCRIPT, "{data}", "{output}", behaviour, metrics),
            artifact="model.skops",
            metrics="metrics.json",
            time_limit_s=self.limit_s,
            labels={"purpose": "adapter-check"},
        )

    def job(self, behaviour: str, metrics: str = METRICS) -> JobRef:
        """That training, submitted once whoever asks."""
        asked = self.request(behaviour, metrics)
        if asked.run_id not in self._jobs:
            self._jobs[asked.run_id] = self.parts.training.submit(asked)
        return self._jobs[asked.run_id]

    def ended(self, job: JobRef) -> JobState:
        """The job's last state, waited for."""

        def look() -> JobState | None:
            state = self.parts.training.state(job)
            return state if state.final else None

        return self.until(f"job {job.name} has ended", look)

    def until(self, what: str, look: Callable[[], _T | None]) -> _T:
        """What `look` gives once it gives something.

        Raises:
            Red: not within the limit.
        """
        begun = self.clock.monotonic()
        while (found := look()) is None:
            if self.clock.monotonic() - begun > self.limit_s:
                raise Red(f"not within {self.limit_s:g} s: {what}")
            self.clock.sleep(self.poll_s)
        return found

    def bundle(self, name: str) -> Path:
        """A registered bundle's folder; another name is another content."""
        bundle = self.folder / f"bundle-{name}"
        if not bundle.exists():
            bundle.mkdir()
            model = self.folder / "line.onnx"
            model.write_bytes(_LINE)
            columns = [{"name": one, "type": "float"} for one in COLUMNS]
            facts = {"format": "onnx", "task": "regression", "columns": columns}
            write_package(bundle / PACKAGE, model, {**facts, "versions": {"kit": name}})
            (bundle / BASELINE).write_text("{}", encoding="utf-8")
            (bundle / FINGERPRINTS).write_bytes(hashlib.sha256(name.encode()).digest())
        return bundle

    def version(self, name: str = "one") -> ModelVersion:
        """A registered version of that content; the same one whoever asks."""
        return self.parts.registry.register(
            self.model,
            self.bundle(name),
            run_id=f"{self.run_id}-{name}",
            metrics={"mae": 0.1 + 0.2},
            tags={"commit": "abc", "note": "Ü 1.5 / x"},
        )

    @cached_property
    def champion(self) -> str:
        """A slot in production that answers and has all traffic."""
        self.deploy("c1")
        self.parts.router.set_weights({"c1": 100})
        return "c1"

    @cached_property
    def challenger(self) -> str:
        """A second one beside it, without any."""
        _ = self.champion
        self.deploy("c2", "two")
        return "c2"

    def deploy(self, slot: str, name: str = "one") -> None:
        """A version in a production slot, waited for until it answers."""
        deploy_and_wait(
            self.parts.production_host, slot, self.version(name), self.bundle(name) / PACKAGE,
            clock=self.clock, time_limit_s=self.limit_s,
        )  # fmt: skip
