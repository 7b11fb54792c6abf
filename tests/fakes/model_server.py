"""A model server without a model: starts in a fraction of a real one's time.

`model.json` in its package says how it behaves: `predicts` is its answer to every row, `ends` an
exit code it ends with at once, `hangs` makes `/invocations` never answer, `garbage` makes it
answer something that is not HTTP, `status` is its status for every request, and `echoes` makes it
answer what it was sent. A package with a real model in it is served by the real server.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from ml_pipeline.domain.chaos import Chaos, parse_chaos


class Server:
    def __init__(self, behaviour: dict, chaos: Chaos) -> None:
        self.behaviour = behaviour
        self.chaos = chaos
        self.taken = 0

    async def serve(self, reader, writer) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            line, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v.strip() for k, v in (one.split(":", 1) for one in rest)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if "/ping" in line:
                await self.answer(writer, 200, {})
            else:
                await self.invoke(writer, line, headers, body)

    async def invoke(self, writer, line: str, headers: dict, body: bytes) -> None:
        self.taken += 1
        if self.chaos.crashes(self.taken):
            os._exit(3)
        if self.behaviour.get("hangs"):
            await asyncio.Event().wait()
        await asyncio.sleep(self.chaos.slow_ms / 1000)
        if self.behaviour.get("garbage"):
            writer.write(b"how do you do\r\n\r\n")
        elif self.chaos.fails(self.taken):
            await self.answer(writer, 500, {"error": "a drill"})
        elif self.behaviour.get("echoes"):
            said = {"line": line, "headers": headers, "body": body.decode("latin-1")}
            await self.answer(writer, 200, said)
        else:
            status = self.behaviour.get("status", 200)
            rows = json.loads(body)["dataframe_split"]["data"] if status == 200 else []
            await self.answer(
                writer, status, {"predictions": [self.behaviour["predicts"]] * len(rows)}
            )

    async def answer(self, writer, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nX-Taken: {self.taken}\r\n"
        )
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("package", "port", "ready-file", "slot", "version", "chaos", "drain-s", "digest"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--trusted-type", action="append")
    asked = parser.parse_args()
    behaviour = json.loads((Path(asked.package) / "model.json").read_text())
    if "ends" in behaviour:
        sys.stderr.write("I cannot load this model\n")
        sys.exit(behaviour["ends"])
    server = Server(behaviour, parse_chaos(asked.chaos))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", int(asked.port))
    ready = Path(asked.ready_file)
    draft = ready.with_suffix(".draft")
    draft.write_text(json.dumps({"port": listening.sockets[0].getsockname()[1]}))
    draft.replace(ready)
    await listening.serve_forever()


def real() -> bool:
    """Whether the package holds a model."""
    return (Path(sys.argv[sys.argv.index("--package") + 1]) / "package.json").is_file()


if __name__ == "__main__":
    if real():
        from ml_pipeline.serving.server import main as serve

        sys.exit(serve())
    asyncio.run(main())
