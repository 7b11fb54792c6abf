"""SageMaker on this machine: `python tests/emulators/sagemaker.py --port 0`.

Speaks SageMaker, its runtime, S3, CloudWatch and CloudWatch Logs at one address. S3, alarms and
logs are moto's; SageMaker itself is here, and every request and answer of it is held against
AWS's own model. Jobs run the container's program, endpoints run model servers, changes of state
take their time. Faults are asked for at `POST /_emulator/faults`.

Assumed, not proved, of the real service: how long states last, that an update of a model package
merges, and which of its errors are ValidationException.
"""

import argparse
import json
import logging
import re
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from sagemaker_endpoints import Endpoints
from sagemaker_jobs import Jobs
from sagemaker_metrics import install
from sagemaker_packages import Packages
from sagemaker_spec import MODEL, faults
from sagemaker_state import ACCOUNT, REGION, Account, AwsError, dumped
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

_REFUSALS = {
    "403": ("AccessDeniedException", "not authorized to perform {}: it does not exist here", 403),
    "404": ("ResourceNotFound", "Requested resource not found.", 404),
    "quota": (
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances.",
        400,
    ),
    "500": ("InternalFailure", "an internal error", 500),
    "expired": ("ExpiredTokenException", "The security token is expired", 403),
}
_INVOKE = re.compile(r"^/endpoints/([^/]+)/invocations$")
_OPERATION = re.compile(r"(?<!^)(?=[A-Z])")
_KEY = ("AKIAEMULATED0000TEST", "secret-of-the-emulator")


class Emulator:
    """The WSGI application."""

    def __init__(self, account: Account) -> None:
        self.account = account
        install(account)
        self.services = (Jobs(account), Packages(account), Endpoints(account))
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start):
        request = Request(environ)
        if request.path.startswith("/_emulator/"):
            return self._control(request)(environ, start)
        operation = self._operation(request)
        with self.account.lock:
            self.account.calls[operation] = self.account.calls.get(operation, 0) + 1
        try:
            self._interfere(operation, environ)
            answer = self._own(request, operation)
            if answer is not None and self.account.fault("unheard", operation):
                self._drop(environ)  # it is done, and nobody hears of it
        except AwsError as error:
            answer = self._refusal(error, request)
        if answer is None:
            return self.moto(environ, start)
        return answer(environ, start)

    def _operation(self, request) -> str:
        target = request.headers.get("X-Amz-Target", "")
        if target:
            return target.partition(".")[2]
        if _INVOKE.match(request.path):
            return "InvokeEndpoint"
        operation = request.path.rpartition("/operation/")[2]
        if operation != request.path:
            return operation
        return f"S3:{request.method}"

    def _own(self, request, operation):
        invoked = _INVOKE.match(request.path)
        if invoked:
            return self._invoked(request, invoked[1])
        if not request.headers.get("X-Amz-Target", "").startswith("SageMaker."):
            return None
        model = MODEL.operation_model(operation)
        asked = json.loads(request.get_data() or b"{}")
        wrong = list(faults(model.input_shape, asked, operation))
        if wrong:
            raise AwsError("ValidationException", f"{len(wrong)} errors: {'; '.join(wrong)}")
        name = _OPERATION.sub("_", operation).lower()
        done = next((getattr(one, name) for one in self.services if hasattr(one, name)), None)
        if done is None:
            raise AwsError("UnknownOperationException", f"{operation} is not emulated", 501)
        answer = done(asked)
        if model.output_shape is not None:
            wrong = list(faults(model.output_shape, answer, operation))
            self.account.violations += wrong
            if wrong:
                raise AwsError("InternalFailure", f"the emulator is wrong: {wrong}", 500)
        return Response(dumped(answer), content_type="application/x-amz-json-1.1")

    def _invoked(self, request, name):
        body = request.get_data()
        self._refuse_unsigned(request, body)
        status, headers, content = self.services[2].invoke(
            name,
            request.headers.get("X-Amzn-SageMaker-Target-Variant"),
            body,
            request.headers.get("Content-Type", "application/json"),
        )
        return Response(content, status=status, headers=headers)

    def _refuse_unsigned(self, request, body) -> None:
        """Compute the signature again, as AWS does."""
        given = request.headers.get("Authorization", "")
        signed = re.search(r"SignedHeaders=([^,]+), Signature=(\w+)", given)
        if not signed:
            raise AwsError("MissingAuthenticationTokenException", "Missing token", 403)
        headers = {key: request.headers[key] for key in signed[1].split(";")}
        again = AWSRequest("POST", f"http://{request.host}{request.path}", headers, body)
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(*_KEY), "sagemaker", "us-east-1")
        canonical = signer.canonical_request(again)
        expected = signer.signature(signer.string_to_sign(again, canonical), again)
        if expected != signed[2]:
            raise AwsError("InvalidSignatureException", "The signature does not match.", 403)

    def _interfere(self, operation, environ) -> None:
        """Faults of the wire and of the front door."""
        fault = self.account.fault
        for kind, (code, said, status) in _REFUSALS.items():
            if fault(kind, operation):
                raise AwsError(code, said.format(operation), status)
        asked = fault("429", operation)
        if asked:
            wait_s = str(asked.get("retry_after", 1))
            raise AwsError("ThrottlingException", "Rate exceeded", 429, **{"Retry-After": wait_s})
        slow = fault("slow", operation)
        if slow:
            time.sleep(slow.get("seconds", 1))
        if fault("reset", operation):
            self._drop(environ)

    def _drop(self, environ) -> None:
        """End the connection without an answer."""
        connection = environ["werkzeug.socket"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)  # others hold files on it: closing waits for them
        raise ConnectionResetError

    def _refusal(self, error, request):
        kinds = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": error.code}
        if not request.headers.get("X-Amz-Target") and "/operation/" not in request.path:
            xml = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
            body = (
                xml if not _INVOKE.match(request.path) else json.dumps({"message": error.message})
            )
        else:
            body = json.dumps({"__type": error.code, "message": error.message})
        return Response(body, status=error.status, headers={**kinds, **error.headers})

    def _control(self, request):
        account, path = self.account, request.path.removeprefix("/_emulator/")
        with account.lock:
            if path == "faults":
                account.faults[:] = request.get_json()
            elif path == "drills":
                account.drills.update(request.get_json())
            elif path == "stop":
                account.endpoints[request.get_json()].stop()
            elif path == "reset":
                self._reset()
            elif path == "settings":
                for name, value in request.get_json().items():
                    setattr(account, name, value)
            told = {
                "calls": account.calls,
                "violations": account.violations,
                "faults": account.faults,
                "endpoints": sorted(account.endpoints),
                "configs": sorted(account.configs),
                "models": sorted(account.models),
                "jobs": {name: job.told["TrainingJobStatus"] for name, job in account.jobs.items()},
            }
            return Response(dumped(told), content_type="application/json")

    def _reset(self) -> None:
        """An account as it was made, whatever runs in it ended."""
        account = self.account
        ended = list(account.jobs.values())
        serving = [one for each in account.endpoints.values() for one in each.variants.values()]
        for held in (
            account.jobs, account.groups, account.packages, account.tokens, account.models,
            account.configs, account.endpoints, account.tags, account.served, account.calls,
            account.violations, account.faults, account.drills,
        ):  # fmt: skip
            held.clear()
        for job in ended:
            job.stopped.set()
        for variant in serving:
            variant.end()
        for backends, region in ((s3_backends, "aws"), (logs_backends, REGION)):
            backends[ACCOUNT][region].reset()
        cloudwatch_backends[ACCOUNT][REGION].reset()


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def make_environ(self):
        return {**super().make_environ(), "werkzeug.socket": self.connection}

    def log(self, *_):
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--delay-s", type=float, default=0.5, help="a change of state takes it")
    parser.add_argument("--publish-s", type=float, default=0.5, help="CloudWatch is late by it")
    parser.add_argument("--server", default="", help="instead of the container's serving program")
    parser.add_argument("--project-env", default=sys.prefix, help="the project's environment")
    parser.add_argument("--exit-with-parent", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="sagemaker-") as root:
        account = Account(
            delay_s=asked.delay_s,
            publish_s=asked.publish_s,
            root=root,
            server=asked.server,
            project_env=asked.project_env,
            source="",
        )
        serve(account, asked)


def serve(account, asked) -> None:
    server = make_server(
        "127.0.0.1", asked.port, Emulator(account), threaded=True, request_handler=Handler
    )
    server.daemon_threads = True

    def stop(*_):
        account.stopping.set()
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if asked.exit_with_parent:
        threading.Thread(target=lambda: (sys.stdin.read(), stop()), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"SageMaker is emulated on {url}; key {_KEY[0]}, secret {_KEY[1]}", flush=True)
    if asked.ready_file:
        draft = asked.ready_file.with_suffix(".draft")
        draft.write_text(json.dumps({"url": url}))
        draft.replace(asked.ready_file)
    server.serve_forever()
    _end_all(account)


def _end_all(account) -> None:
    """Leave no process behind."""
    jobs = list(account.jobs.values())
    for job in jobs:
        job.stopped.set()
    for job in jobs:
        job.join(30)
    for endpoint in list(account.endpoints.values()):
        for variant in endpoint.variants.values():
            variant.end()


if __name__ == "__main__":
    main()
