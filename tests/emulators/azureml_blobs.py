"""Azure's blob service, as far as `azure-storage-blob` is used here: files in a folder."""

import base64
import hashlib
import re
import threading
import uuid
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

Answer = tuple[int, dict[str, str], object]


class Blobs:
    """Blobs of one account, `<root>/<container>/<path>`; jobs mount these folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blocks: dict[tuple[str, str], bytes] = {}
        #: a condition and what it allows are one step
        self._lock = threading.Lock()
        self._writes = 0
        self._versions: dict[str, int] = {}

    def folder(self, container: str) -> Path:
        made = self.root / container
        made.mkdir(parents=True, exist_ok=True)
        return made

    def handle(self, method: str, path: str, query: dict, body: bytes, headers: dict) -> Answer:
        """One request; `path` is `container/blob`."""
        container, _, blob = unquote(path).partition("/")
        place = self.folder(container)
        if query.get("comp") == "list":
            return 200, {"Content-Type": "application/xml"}, self._listed(container, query)
        file = (place / blob).resolve()
        if not blob or not file.is_relative_to(place.resolve()):
            return self._refused(400, "InvalidUri")
        with self._lock:
            refusal = self._condition(method, file, query, headers)
            if refusal is not None:
                return refusal
            if method == "PUT":
                return self._put(file, query, body, headers)
            if method == "DELETE":
                file.unlink()
                return 202, {}, b""
            return self._got(file, headers)

    def _condition(self, method: str, file: Path, query: dict, headers: dict) -> Answer | None:
        """Why the request is not carried out, as Blob storage's conditional headers say it."""
        there = file.is_file()
        if method != "PUT" and not there:
            return self._refused(404, "BlobNotFound")
        if query.get("comp") == "block":
            return None
        if there and headers.get("if-none-match") == "*":
            return self._refused(409, "BlobAlreadyExists")
        wanted = headers.get("if-match")
        if wanted and (not there or wanted != self._facts(file)["ETag"]):
            return self._refused(412, "ConditionNotMet")
        return None

    def _put(self, file: Path, query: dict, body: bytes, headers: dict) -> Answer:
        if query.get("comp") == "block":
            self._blocks[str(file), query["blockid"]] = body
            return 201, {}, b""
        if query.get("comp") == "blocklist":
            ids = [one.text or "" for one in ET.fromstring(body)]
            body = b"".join(self._blocks.pop((str(file), one)) for one in ids)
        elif headers.get("x-ms-blob-type") != "BlockBlob":
            return self._refused(400, "MissingRequiredHeader")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        self._writes += 1
        self._versions[str(file)] = self._writes
        return 201, self._facts(file), b""

    def _got(self, file: Path, headers: dict) -> Answer:
        data, status, more = file.read_bytes(), 200, {}
        wanted = re.match(
            r"bytes=(\d+)-(\d*)", headers.get("x-ms-range") or headers.get("range") or ""
        )
        if wanted and data:
            start, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            more = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            data, status = data[start : end + 1], 206
        elif wanted:
            return self._refused(416, "InvalidRange")
        return (
            status,
            {**self._facts(file), **more, "Content-Type": "application/octet-stream"},
            data,
        )

    def _listed(self, container: str, query: dict) -> bytes:
        place, prefix = self.folder(container), query.get("prefix", "")
        names = sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())
        found = [name for name in names if name.startswith(prefix)]
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><BlobType>BlockBlob</BlobType>"
            f"</Properties></Blob>"
            for name in found
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint=""'
            f' ContainerName="{container}"><Prefix>{escape(prefix)}</Prefix>'
            f"<Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>"
        ).encode()

    def _facts(self, file: Path) -> dict[str, str]:
        digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).digest()
        return {
            # a job writes past this service, and two writes may share a moment
            "ETag": f'"{file.stat().st_mtime_ns:x}-{self._versions.get(str(file), 0)}"',
            "Last-Modified": formatdate(file.stat().st_mtime, usegmt=True),
            "x-ms-blob-type": "BlockBlob",
            "x-ms-version": "2025-05-05",
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-blob-content-md5": base64.b64encode(digest).decode(),
        }

    def _refused(self, status: int, code: str) -> Answer:
        said = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        body = f'<?xml version="1.0" encoding="utf-8"?>{said}'
        return status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, body.encode()
