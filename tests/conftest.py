"""What holds for every test."""

import os
import sys

import pytest
from hypothesis import settings

# No test is red because the machine was busy.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Hundreds of tests start processes that import MLflow or an SDK. Where the caller's environment
# forbids bytecode, each would compile all of it again: that is half of the suite's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251 - the children's
sys.dont_write_bytecode = False

#: What chooses a cloud, an identity or a project; a test that leaves one behind breaks another.
_TELLING = (
    "AWS_", "AZURE", "IDENTITY_", "MSI_", "GOOGLE_", "STORAGE_EMULATOR", "ML_", "MLFLOW_TRACKING",
    "REQUESTS_CA", "SSL_CERT", "NO_PROXY", "HOME", "PATH", "VIRTUAL_ENV",
)  # fmt: skip


def _told() -> dict[str, str]:
    ours = os.environ  # noqa: TID251 - to see what tests leave in it
    return {key: value for key, value in ours.items() if key.startswith(_TELLING)} | {
        "working folder": os.getcwd()  # noqa: PTH109 - a text to compare
    }


@pytest.fixture(autouse=True, scope="module")
def _environment_is_left_as_it_was_found():
    before = _told()
    yield
    assert _told() == before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Releases are spread among the short tests, whose work fills what they wait.

    None is among the last, where the other workers would have nothing left to do.
    """
    heavy = {one.path for one in items if one.get_closest_marker("e2e")}
    files = list(dict.fromkeys(one.path for one in items))
    place = {}
    for group, end in (([it for it in files if it in heavy], 0.8), ([*files], 1.0)):
        place |= {it: end * at / len(group) for at, it in enumerate(group) if it not in place}
    items.sort(key=lambda one: place[one.path])
