"""Real model server processes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

LONG_S = 120.0


class ModelServer:
    """A process of `ml_pipeline.serving.server`, and a client for it."""

    def __init__(self, package: Path, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ready_file = folder / "ready.json"
        self.log = folder / "server.log"
        command = [sys.executable, "-m", "ml_pipeline.serving.server", "--package", str(package)]
        command += ["--port", "0", "--slot", "green", "--version", "7"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--ready-file", str(self.ready_file), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> "ModelServer":
        """Wait until it takes requests."""
        deadline = time.monotonic() + LONG_S
        while not self.ready_file.exists():
            said = self.log.read_text()
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {said}"
            assert time.monotonic() < deadline, said
            time.sleep(0.02)  # noqa: TID251 - another process writes it
        port = json.loads(self.ready_file.read_text())["port"]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LONG_S)
        return self

    def invoke(self, body: object) -> httpx.Response:
        """Send JSON to /invocations."""
        return self.client.post("/invocations", json=body)

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(timeout=LONG_S)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=LONG_S)
        self.process.stdin.close()
        if hasattr(self, "client"):
            self.client.close()


@contextmanager
def model_server(package: Path, folder: Path, *options: str) -> Iterator[ModelServer]:
    """A server that takes requests, gone afterwards."""
    server = ModelServer(package, folder, *options)
    try:
        yield server.wait_ready()
    finally:
        server.close()
