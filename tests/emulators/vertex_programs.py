"""The programs an emulated Vertex AI runs: training jobs and model servers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import weakref
from pathlib import Path
from typing import Any

from tests.emulators.project_image import started

ROOT = Path(__file__).parents[2]


def container_env(store: Path, more: dict[str, str]) -> dict[str, str]:
    """A container's environment: nothing of the caller's but the way to Python."""
    kept = {"PATH": os.defpath, "HOME": str(store), "LANG": "C.UTF-8"}
    return {**kept, "PYTHONPATH": str(ROOT), "ML_PIPELINE_ROOT": str(store), **more}


class Program:
    """A process with everything it starts, its output in a file."""

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.folder = self._own_folder()
        self.log = self.folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _own_folder(self) -> Path:
        """A folder that goes with the program."""
        made = tempfile.mkdtemp(prefix="vertex-")
        weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return Path(made)

    def ended(self) -> int | None:
        return self.process.poll()

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def stop(self) -> None:
        for number, wait_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            if self.process.poll() is not None:
                return
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(wait_s)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


class ModelServer(Program):
    """A container that serves; `server` replaces its program by one that needs no model."""

    def __init__(self, model: Any, deployed: Any, store: Path, chaos: str, server: str) -> None:
        self.ready = self._own_folder() / "ready.json"
        self._port = 0
        spec = model.container_spec
        told = ["--port", "0", "--ready-file", str(self.ready), "--chaos", chaos, "--drain-s", "1"]
        if server:
            package = store / model.artifact_uri.removeprefix("gs://")
            argv = [sys.executable, server, "--package", str(package), *told]
            argv += ["--slot", deployed.display_name, "--version", deployed.model_version_id]
        else:
            words = [*spec.command, *spec.args]
            argv = started(words, ["--host", "127.0.0.1", *told])
        given = {one.name: one.value for one in spec.env}
        env = {
            **given,
            "AIP_STORAGE_URI": model.artifact_uri,
            "AIP_HTTP_PORT": str(spec.ports[0].container_port),
            "AIP_HEALTH_ROUTE": spec.health_route,
            "AIP_PREDICT_ROUTE": spec.predict_route,
            "AIP_DEPLOYED_MODEL_ID": deployed.id,
        }
        super().__init__(argv, cwd=store, env=container_env(store, env))
        self.predict_route, self.health_route = spec.predict_route, spec.health_route

    @property
    def port(self) -> int:
        if not self._port and self.ready.exists():
            self._port = int(json.loads(self.ready.read_text())["port"])
        return self._port

    def healthy(self) -> bool:
        if not self.port:
            return False
        try:
            url = f"http://127.0.0.1:{self.port}{self.health_route}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False
