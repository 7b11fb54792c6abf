"""What the embedded platform says to users and to strangers, over the wire."""

import gzip
import json
import socket
import stat

import httpx
import pytest

from ml_pipeline.localplatform import control
from tests.fakes.platforms import BODY, LocalWorld, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A platform with a champion that repeats what it was asked; sticky by `X-User`."""
    made = LocalWorld(tmp_path_factory.mktemp("platform"), time_out_s=2.0, max_body_bytes=100_000)
    made.up(sticky_header="X-User")
    try:
        made.deploy("c1", echoes=True)
        made.router.set_weights({"c1": 100})
        yield made
    finally:
        made.down()


@pytest.fixture
def other(world):
    """Deploys another slot, gives it all traffic, and takes it away again."""

    def deploy(**behaviour):
        world.deploy("c2", **behaviour)
        world.router.set_weights({"c1": 0, "c2": 100})

    yield deploy
    world.router.set_weights({"c1": 100})
    world.production.remove("c2")


def raw(world, *parts: bytes) -> bytes:
    """Everything the router answers to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", world.info.port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


def post(world, **more) -> httpx.Response:
    return world.send(1, **more)[0]


def test_body_headers_and_query_reach_the_model_server(world):
    answer = httpx.post(
        world.router.endpoint().url + "?a=1&b=%20",
        content=b"1,2\n",
        headers={"Content-Type": "text/csv", "X-Request-Id": "r7", "X-Model-Slot": "mine"},
    ).json()
    assert answer["line"] == "POST /invocations?a=1&b=%20 HTTP/1.1"
    assert answer["body"] == "1,2\n"
    assert answer["headers"]["content-type"] == "text/csv"
    assert answer["headers"]["x-request-id"] == "r7"
    assert "x-model-slot" not in answer["headers"]


def test_the_model_servers_own_headers_come_back(world):
    answer = post(world)
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["X-Taken"]) > 0


def test_a_body_in_chunks_arrives_whole(world):
    answer = post(world, json=None, content=iter([b"ab", b"cd"]))
    assert answer.json()["body"] == "abcd"


def test_a_compressed_body_arrives_plain(world):
    packed = gzip.compress(b"hello")
    answer = post(world, json=None, content=packed, headers={"Content-Encoding": "gzip"}).json()
    assert answer["body"] == "hello"
    assert "content-encoding" not in answer["headers"]


def test_a_body_that_unpacks_beyond_the_limit_is_refused(world):
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = post(world, json=None, content=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code in {400, 413}
    assert post(world).status_code == 200


def test_a_connection_serves_many_requests(world):
    with httpx.Client(trust_env=False) as client:
        url = world.router.endpoint().url
        assert [client.post(url, json=BODY).status_code for _ in range(20)] == [200] * 20


@pytest.mark.parametrize("encoding", ["length", "chunks"])
def test_a_body_beyond_the_limit_is_refused(world, encoding):
    body = b"0" * 200_000
    content = body if encoding == "length" else iter([body[:100_000], body[100_000:]])
    answer = post(world, json=None, content=content)
    assert answer.status_code == 413
    assert "100000 bytes" in answer.json()["error"]


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(world):
    answer = raw(world, b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"how do you do\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        (
            b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
        ),
    ],
    ids=["no-http", "no-length", "long-header", "no-chunk", "length-and-chunks"],
)
def test_what_is_no_http_is_refused_and_harms_nobody(world, request_bytes):
    answer = raw(world, request_bytes)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert post(world).status_code == 200


def test_a_client_that_leaves_early_harms_nobody(world, other):
    other(predicts=1.0, chaos="slow_ms=200")
    body = json.dumps(BODY).encode()
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    start = world.clock.now()
    for sent in (head[:20], head, head + body[:5], head + body):
        with socket.create_connection(("127.0.0.1", world.info.port)) as connection:
            connection.sendall(sent)
    look = lambda: world.traffic.window("c2", start, world.clock.now(), 500)  # noqa: E731
    seen = eventually(lambda: look() if look().requests else None)
    assert (seen.requests, seen.errors) == (1, 0)  # the one that was whole, and was answered
    assert post(world).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/admin", 404)],
)
def test_what_there_is_not_is_said_in_json(world, method, path, status):
    answer = httpx.request(method, world.info.public_url + path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_ping_is_well_only_while_every_slot_with_traffic_is(world, other):
    assert httpx.get(world.info.public_url + "/ping").status_code == 200
    other(predicts=1.0, chaos="crash_after=1")

    def given_up() -> bool:
        post(world)
        return "given up" in world.production.failure("c2")

    eventually(given_up)
    answer = httpx.get(world.info.public_url + "/ping")
    assert (answer.status_code, answer.json()["error"]) == (503, "down: c2")


def test_a_model_server_that_does_not_answer_costs_its_time_limit_and_counts_as_an_error(
    world, other
):
    other(hangs=True)
    start = world.clock.now()
    answer = post(world)
    assert (answer.status_code, answer.headers["X-Model-Slot"]) == (504, "c2")
    assert "2 s" in answer.json()["error"]
    seen = eventually(
        lambda: (
            (found := world.traffic.window("c2", start, world.clock.now(), 1000)).requests and found
        )
    )
    assert (seen.requests, seen.errors, seen.slow) == (1, 1, 1)
    # An event loop's timers end up to a tick early.
    assert seen.p99_ms == pytest.approx(2000, rel=0.05) or seen.p99_ms > 2000


def test_an_answer_that_is_no_http_is_an_error_of_its_slot(world, other):
    other(garbage=True)
    answer = post(world)
    assert (answer.status_code, answer.headers["X-Model-Slot"]) == (502, "c2")


def test_the_same_user_meets_the_same_slot_and_stays_when_it_grows(world):
    world.deploy("c2", echoes=True)
    users = [f"user-{number}" for number in range(60)]

    def on_challenger(share: int) -> set[str]:
        world.router.set_weights({"c1": 100 - share, "c2": share})
        with httpx.Client(trust_env=False) as client:
            url = world.router.endpoint().url
            slots = {
                user: {client.post(url, json=BODY, headers={"X-User": user}).headers["X-Model-Slot"]
                       for _ in range(2)}
                for user in users
            }  # fmt: skip
        assert all(len(met) == 1 for met in slots.values())
        return {user for user, met in slots.items() if met == {"c2"}}

    steps = [on_challenger(share) for share in (10, 50, 100)]
    world.router.set_weights({"c1": 100})
    world.production.remove("c2")
    assert steps[0] <= steps[1] <= steps[2] == set(users)
    assert 15 <= len(steps[1]) <= 45  # 4 standard deviations


def test_prometheus_finds_requests_latency_and_shares(world):
    post(world)
    text = httpx.get(world.info.public_url + "/metrics").text
    labels = 'slot="c1",version="of-c1"'
    assert f'ml_pipeline_requests_total{{outcome="ok",{labels}}}' in text
    assert f'ml_pipeline_request_duration_seconds_bucket{{le="0.5",{labels}}}' in text
    assert f"ml_pipeline_traffic_share_percent{{{labels}}} 100.0" in text


def test_strangers_get_nowhere_in_the_admin_api(world):
    url = world.info.admin_url + "/v1/status"
    token = (world.state / "platform" / "token").read_text()
    assert httpx.get(url).status_code == 401
    for wrong in ("Bearer wrong", f"Basic {token}", f"Bearer {token}x", "Bearer \xfc"):
        assert httpx.get(url, headers={"Authorization": wrong.encode("latin-1")}).status_code == 403
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert httpx.get(world.info.public_url + "/v1/status").status_code == 404


def test_the_token_is_the_owners_alone_and_in_no_log(world):
    folder = world.state / "platform"
    token = (folder / "token").read_text()
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    told = [path for path in folder.rglob("*") if path.is_file() and path.name != "token"]
    assert [path.name for path in told if token.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/weights", {"weights": {"c1": 99}}),
        ("PUT", "/v1/weights", {"weight": {"c1": 100}}),
        ("PUT", "/v1/weights", [1]),
        ("PUT", "/v1/deployments/production/c9", {"model": "m"}),
        ("POST", "/v1/lease/hold", {"run_id": "", "fallback": {"c1": 100}, "lease_s": 9}),
        ("POST", "/v1/lease/hold", {"run_id": "r", "fallback": {"c1": 100}, "lease_s": -1}),
        ("GET", "/v1/windows/c1?start=today&end=2026-01-01T00:00:00Z&slow_ms=1", None),
        ("GET", "/v1/windows/c1?start=2026-01-01T00:00:00&end=2026-01-01T00:00:00&slow_ms=1", None),
    ],
)
def test_admin_calls_that_make_no_sense_are_refused(world, method, path, body):
    answer = world.admin(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "configuration")
    assert world.router.weights() == {"c1": 100}


@pytest.mark.parametrize(
    ("slot", "version"), [("../../etc", "1"), ("a b", "1"), ("ok", "../1"), ("ok", "a\r\nX: y")]
)
def test_names_that_could_leave_their_folder_are_refused(world, slot, version):
    body = {"model": "m", "version": version, "digest": "d", "package": "/tmp"}
    path = "/v1/deployments/production/" + slot.replace("/", "%2F").replace(" ", "%20")
    assert world.admin("PUT", path, json=body).status_code == 409


def test_status_tells_a_person_what_runs(world):
    info = control.status(world.state)
    assert info.public_url == world.info.public_url
    assert info.weights == {"c1": 100}
    one = info.deployments[0]
    assert (one.endpoint, one.slot, one.version, one.state) == (
        "production",
        "c1",
        "of-c1",
        "healthy",
    )


def test_what_happened_is_kept_in_order(world):
    kinds = [one["kind"] for one in world.admin("GET", "/v1/events").json()]
    assert kinds[:3] == ["platform-started", "deployed", "weights-set"]
