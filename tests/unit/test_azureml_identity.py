"""Who asks Azure: a CI job by its own identity, without a stored key."""

from collections.abc import Callable, Iterator

import pytest

from ml_pipeline.adapters.azureml.client import Workspace
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from tests.emulators.azureml import AzuremlEmulator
from tests.emulators.azureml_cases import workspace


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuremlEmulator]:
    with workspace(tmp_path_factory.mktemp("azureml")) as made:
        yield made


@pytest.fixture
def reached(
    emulator: AzuremlEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Workspace]]:
    """A workspace that a CI job has reached; the environment's names may be given anew."""
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", emulator.url)
    emulator.calls.clear()
    made: list[Workspace] = []

    def reach(**environ: str) -> Workspace:
        own = {
            "AZURE_CLIENT_ID": "app",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_TOKEN_REQUEST": f"{emulator.url}/ci/token?v=2 ci",
            **environ,
        }
        policy = AzuremlPolicy(**emulator.settings())
        made.append(Workspace(policy, HostClock(), own, backoff_factor=0.01))
        _look(made[-1])
        return made[-1]

    yield reach
    for one in made:
        one.close()
    emulator.faults.clear()


def _look(made: Workspace) -> None:
    made.ask("the workspace", lambda ml: ml.workspaces.get("workspace"))


def _asked(emulator: AzuremlEmulator) -> list[str]:
    paths = [path for _, path in emulator.calls]
    return [one for one in paths if one.startswith(("/ci/", "/tenant/", "/identity/"))]


def test_a_ci_jobs_own_token_is_exchanged_for_one_of_azure(emulator, reached) -> None:
    reached()
    assert _asked(emulator) == ["/ci/token", "/tenant/oauth2/v2.0/token"]


def test_a_token_that_ended_is_asked_for_anew_with_a_new_one_of_the_job(emulator, reached) -> None:
    """The first of the job's own has long ended by then; the emulator takes none twice."""
    made = reached()
    emulator.expire_tokens()
    _look(made)
    assert _asked(emulator) == ["/ci/token", "/tenant/oauth2/v2.0/token"] * 2


@pytest.mark.parametrize(
    "environ",
    [
        {"AZURE_TOKEN_REQUEST": ""},
        {"AZURE_CLIENT_ID": ""},
        {"AZURE_TENANT_ID": ""},
        {"AZURE_CLIENT_SECRET": "stored"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_without_an_identity_of_the_job_the_default_chain_is_asked(
    emulator, reached, environ: dict[str, str]
) -> None:
    reached(**environ)
    assert set(_asked(emulator)) == {"/identity/token"}


def test_a_job_that_may_ask_for_no_token_is_refused(emulator, reached) -> None:
    with pytest.raises(PlatformRefusedError, match="takes no token of this identity"):
        reached(AZURE_TOKEN_REQUEST=f"{emulator.url}/ci/token?v=2 wrong")


def test_a_ci_system_that_does_not_answer_is_asked_again_and_then_unavailable(
    emulator, reached
) -> None:
    fault = emulator.fault("GET /ci/token", 503, 2)
    reached()
    assert fault.seen == 2
    emulator.fault("GET /ci/token", 503, 99)
    with pytest.raises(PlatformUnavailableError, match="503"):
        reached()
