"""Where a platform listens is read from a file, which a crash or a person may have damaged."""

import json
import socket
import threading

import pytest
from filelock import FileLock

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.platform_api import PlatformApi
from ml_pipeline.domain.errors import BusyError, PlatformUnavailableError
from ml_pipeline.localplatform import asking, control
from ml_pipeline.localplatform.folder import Folder
from tests.fakes.http_server import Answer, serving

TORN = ("", '{"admin_url": "http://127', "[1]", "{}", '{"admin_url": 3}', '{"admin_url": "x y"}')


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    made.make()
    made.token.write_text("t")
    return made


@pytest.mark.parametrize("text", [*TORN, "[" * 100_000, "9" * 5000, "\udcff"])
def test_a_torn_address_of_a_platform_that_is_gone_is_no_platform(folder, text):
    folder.address.write_text(text, errors="surrogateescape")
    assert control.status(folder.state) is None
    assert control.down(folder.state) is False


@pytest.mark.parametrize("text", TORN)
def test_a_torn_address_of_a_platform_that_lives_is_named(folder, text):
    folder.address.write_text(text)
    with FileLock(folder.lock):
        for ask in (control.status, control.down):
            with pytest.raises(PlatformUnavailableError, match=r"but .* cannot be read"):
                ask(folder.state)


@pytest.fixture
def served_elsewhere(folder):
    """As a container leaves it whose loopback is another than ours: held, and nobody there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder.address.write_text(json.dumps({"admin_url": f"http://127.0.0.1:{port}"}))
    with FileLock(folder.lock):
        yield folder


@pytest.mark.parametrize("ask", [control.status, control.down, control.up])
def test_a_platform_that_is_up_beyond_reach_is_named(served_elsewhere, monkeypatch, ask):
    monkeypatch.setattr(asking, "UNREACHABLE_S", 0.2)
    monkeypatch.setattr(control, "_start", lambda *_: pytest.fail("started another"))
    with pytest.raises(BusyError, match="another call serves this state") as refused:
        ask(served_elsewhere.state)
    assert "platform serve" in refused.value.remedy


def test_a_platform_that_comes_up_anew_meanwhile_is_not_beyond_reach(served_elsewhere, monkeypatch):
    """The address of its last life lies there until it has taken it back."""
    monkeypatch.setattr(asking, "UNREACHABLE_S", 60)
    restarted = threading.Timer(0.2, served_elsewhere.address.unlink)
    restarted.start()
    assert control.status(served_elsewhere.state) is None
    restarted.join()


def test_the_address_a_killed_platform_left_is_no_platform(folder):
    folder.address.write_text('{"admin_url": "http://127.0.0.1:1"}')
    assert control.status(folder.state) is None
    assert control.down(folder.state) is False


def test_an_answer_of_another_program_on_its_port_is_no_platform(folder):
    with serving(lambda _: Answer(body=b"<html>")) as server:
        folder.address.write_text(json.dumps({"admin_url": server.url.rpartition("/")[0]}))
        assert control.down(folder.state) is False


def test_a_state_that_is_no_folder_holds_no_platform(tmp_path):
    (tmp_path / "file").write_text("")
    assert control.status(tmp_path / "file") is None


@pytest.mark.parametrize("text", TORN[:4])
def test_a_run_that_cannot_find_its_platform_says_why(folder, text):
    folder.address.write_text(text)
    with pytest.raises(PlatformUnavailableError, match=r"platform\.json is damaged"):
        PlatformApi(folder.state, HostClock()).read("/v1/status")
