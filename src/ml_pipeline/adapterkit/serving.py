"""What every host, router and source of traffic metrics owes."""

import json
from datetime import timedelta

import httpx

from ml_pipeline.adapterkit.bench import COLUMNS, EXPECTED, ROWS, Bench, expect, expect_error
from ml_pipeline.domain.errors import BusyError, ConfigurationError, PlatformRefusedError
from ml_pipeline.ports.registry import PACKAGE, STAGING
from ml_pipeline.ports.serving import Target, Window, deploy_and_wait

_BODY = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": ROWS}})
_REQUESTS = 20
_WRONG: tuple[dict[str, int], ...] = ({"c1": 90}, {"c1": 110, "c2": -10}, {})


def staging_answers_and_goes(bench: Bench) -> None:
    """A version in staging predicts what it should, and staging is gone when it is removed."""
    host = bench.parts.staging_host
    package = bench.bundle("one") / PACKAGE
    deploy_and_wait(
        host, STAGING, bench.version(), package, clock=bench.clock, time_limit_s=bench.limit_s
    )
    given = list(host.predict(STAGING, COLUMNS, ROWS))
    expect(_close(given), f"predicted {given}, not {EXPECTED}")
    host.remove(STAGING)
    host.remove(STAGING)
    left = bench.until("staging is empty", lambda: None if host.list() else True)
    expect(left, "staging still has a deployment")
    expect(not host.health(STAGING), "what was removed is healthy")


def production_answers_through_the_router(bench: Bench) -> None:
    """The champion answers in its slot and at the public endpoint, with all the traffic."""
    slot = bench.champion
    given = list(bench.parts.production_host.predict(slot, COLUMNS, ROWS))
    expect(_close(given), f"predicted {given}, not {EXPECTED}")
    answered = _ask(bench.parts.router.endpoint(), 3)
    expect(all(_close(one) for one in answered), f"the endpoint answered {answered}")
    weights = dict(bench.another().router.weights())
    expect(weights.get(slot) == 100, f"weights are {weights}")


def a_second_deployment_gets_no_traffic(bench: Bench) -> None:
    """A second deployment answers beside the champion, and gets no traffic."""
    slot = bench.challenger
    expect(bench.parts.production_host.health(slot), "it is not healthy")
    weights = dict(bench.parts.router.weights())
    expect(not weights.get(slot, 0), f"weights are {weights}")
    listed = {one.slot for one in bench.parts.production_host.list()}
    expect({bench.champion, slot} <= listed, f"listed are {listed}")


def weights_are_read_back_as_they_were_set(bench: Bench) -> None:
    """Weights of 90/10 and back are what another machine reads."""
    first, second, router = bench.champion, bench.challenger, bench.parts.router
    for share in (10, 50, 0):
        router.set_weights({first: 100 - share, second: share})
        weights = {k: v for k, v in bench.another().router.weights().items() if v}
        wanted = {k: v for k, v in ((first, 100 - share), (second, share)) if v}
        expect(weights == wanted, f"weights are {weights}, not {wanted}")


def wrong_weights_are_refused(bench: Bench) -> None:
    """Weights that do not sum to 100, or name an unknown slot, are refused and change nothing."""
    _, router = bench.challenger, bench.parts.router
    for wrong in _WRONG:
        expect_error(ConfigurationError, lambda wrong=wrong: router.set_weights(wrong))  # type: ignore[misc]
    expect_error(PlatformRefusedError, lambda: router.set_weights({"c1": 50, "never-was": 50}))
    weights = dict(router.weights())
    expect(weights.get(bench.champion) == 100, f"weights are {weights}")


def one_run_moves_traffic_at_a_time(bench: Bench) -> None:
    """A rollout is held by one run, renewed, and committed; another run is told it is busy."""
    slot, router = bench.champion, bench.parts.router
    router.hold(bench.run_id, fallback={slot: 100}, lease_s=600)
    try:
        router.renew(bench.run_id)
        other = bench.another().router
        holder = other.rollout()
        expect(holder == bench.run_id, f"the rollout is {holder}'s")
        expect_error(
            BusyError, lambda: other.hold("another-run", fallback={slot: 100}, lease_s=600)
        )
    finally:
        router.commit(bench.run_id)
    expect(router.rollout() is None, "the lease did not end")


def a_slot_with_traffic_is_not_removed(bench: Bench) -> None:
    """A slot with traffic is not removed; one without is, and removing it twice does no harm."""
    host, champion, slot = bench.parts.production_host, bench.champion, bench.challenger
    expect_error(PlatformRefusedError, lambda: host.remove(champion))
    expect(host.health(champion), "the champion does not answer any more")
    host.remove(slot)
    host.remove(slot)
    del bench.challenger
    listed = [one.slot for one in host.list()]
    expect(slot not in listed, f"listed are {listed}")


def every_request_is_counted_once(bench: Bench) -> None:
    """Requests and errors of a slot are counted once they are complete, which is waited for."""
    slot, router = bench.champion, bench.parts.router
    start = bench.clock.now()
    _ask(router.endpoint(), _REQUESTS)
    end = bench.clock.now()
    seen = _complete(bench, slot, end)
    # Clouds count by the minute: the window begins before the first request and ends after.
    counted = bench.parts.traffic.window(slot, start - timedelta(minutes=2), seen.end, 10_000)
    expect(counted.requests >= _REQUESTS, f"{counted.requests} of {_REQUESTS} requests are counted")
    expect(counted.errors == 0, f"{counted.errors} errors are counted")


def _complete(bench: Bench, slot: str, until: object) -> Window:
    def look() -> Window | None:
        now = bench.clock.now()
        seen = bench.parts.traffic.window(slot, now - timedelta(minutes=10), now, 10_000)
        return seen if seen.as_of >= until and seen.requests >= _REQUESTS else None  # type: ignore[operator]

    return bench.until(f"the metrics of {slot} are complete", look)


def _ask(target: Target, count: int) -> list[list[float]]:
    headers = {"Content-Type": "application/json", **target.headers}
    answers = []
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(count):
            answer = client.post(target.url, content=_BODY, headers=headers)
            expect(answer.status_code == 200, f"{answer.status_code}: {answer.text[:300]}")
            answers.append([float(one) for one in answer.json()["predictions"]])
    return answers


def _close(given: list[float]) -> bool:
    pairs = zip(given, EXPECTED, strict=False)
    return len(given) == len(EXPECTED) and all(abs(a - b) < 1e-6 for a, b in pairs)


CHECKS = (
    staging_answers_and_goes,
    production_answers_through_the_router,
    a_second_deployment_gets_no_traffic,
    weights_are_read_back_as_they_were_set,
    wrong_weights_are_refused,
    one_run_moves_traffic_at_a_time,
    every_request_is_counted_once,
    a_slot_with_traffic_is_not_removed,
)
