"""The admin API: on loopback, with a token, in the supervisor's process."""

import asyncio
import contextlib
import hmac
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from pydantic import JsonValue, ValidationError

from ml_pipeline.domain.errors import (
    ConfigurationError,
    PipelineError,
    StorageError,
)
from ml_pipeline.localplatform.clock import as_text
from ml_pipeline.localplatform.fleet import DeploymentWish
from ml_pipeline.localplatform.messages import (
    DeploymentBody,
    EventsQuery,
    HoldBody,
    RunBody,
    WeightsBody,
    WindowQuery,
    refusal,
    shown,
)
from ml_pipeline.localplatform.platform import Platform
from ml_pipeline.localplatform.records import Endpoint
from ml_pipeline.localplatform.traffic import TrafficStore

LOG_LINES = 20


class Admin:
    """Handlers; each answers JSON."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._traffic = TrafficStore(platform.folder.traffic)

    def close(self) -> None:
        """Close the traffic records."""
        self._traffic.close()

    def application(self) -> web.Application:
        """The routes, behind token and error handling."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/v1/status", self.status)
        app.router.add_get("/v1/deployments/{endpoint:staging|production}", self.deployments)
        app.router.add_get("/v1/deployments/{endpoint:staging|production}/{slot}", self.deployment)
        app.router.add_put("/v1/deployments/{endpoint:staging|production}/{slot}", self.deploy)
        app.router.add_delete("/v1/deployments/{endpoint:staging|production}/{slot}", self.remove)
        app.router.add_get("/v1/weights", self.weights)
        app.router.add_put("/v1/weights", self.set_weights)
        app.router.add_get("/v1/lease", self.lease)
        app.router.add_post("/v1/lease/hold", self.hold)
        app.router.add_post("/v1/lease/renew", self.renew)
        app.router.add_post("/v1/lease/commit", self.commit)
        app.router.add_get("/v1/windows/{slot}", self.window)
        app.router.add_get("/v1/events", self.events)
        app.router.add_post("/v1/keep", self.keep)
        app.router.add_post("/v1/shutdown", self.shutdown)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refused = self._unauthorised(request)
        if refused is not None:
            return refused
        self._platform.touch()
        try:
            return await handler(request)
        except PipelineError as exc:
            return refusal(exc)
        except ValidationError as exc:
            return refusal(ConfigurationError(f"not a proper request: {exc}", remedy="Mend it."))
        except (sqlite3.Error, OSError) as exc:
            remedy = "See that its disk is neither full nor read-only, then try again."
            return refusal(StorageError(f"the platform's state: {exc}", remedy=remedy))

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if not given:
            return web.json_response({"error": "a token is needed"}, status=401)
        expected = f"Bearer {self._platform.token}"
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode()):
            return web.json_response({"error": "the token is wrong"}, status=403)
        return None

    async def status(self, _request: web.Request) -> web.Response:
        """Everything about the platform but its traffic."""
        now = self._platform.store.snapshot()
        return web.json_response(
            {
                "public_url": self._platform.public_url,
                "started_at": as_text(self._platform.started_s),
                "for_run": self._platform.for_run,
                "pids": self._platform.pids(),
                "weights": dict(now.weights),
                "lease": self._lease(),
                "deployments": [shown(one) for one in now.deployments],
            }
        )

    async def deployments(self, request: web.Request) -> web.Response:
        """Deployments of one endpoint."""
        endpoint = Endpoint(request.match_info["endpoint"])
        found = self._platform.store.snapshot().deployments
        return web.json_response([shown(one) for one in found if one.endpoint is endpoint])

    async def deployment(self, request: web.Request) -> web.Response:
        """One deployment with the end of its log."""
        endpoint, slot = _slot(request)
        found = self._platform.store.snapshot().find(endpoint, slot)
        if found is None:
            return web.json_response(None)
        log = self._platform.folder.logs / f"{endpoint}-{slot}.log"
        return web.json_response({**shown(found), "log": _tail(log)})

    async def deploy(self, request: web.Request) -> web.Response:
        """Deploy; the answer comes before the server is up."""
        endpoint, slot = _slot(request)
        body = DeploymentBody.model_validate_json(await request.read())
        wish = DeploymentWish(
            endpoint=endpoint,
            slot=slot,
            model=body.model,
            version=body.version,
            digest=body.digest,
            package=Path(body.package),
            chaos=body.chaos,
            trusted_types=tuple(body.trusted_types),
        )
        await self._platform.deploy(wish)
        return await self.deployment(request)

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a deployment that gets no traffic."""
        await self._platform.remove(*_slot(request))
        return web.json_response({})

    async def weights(self, _request: web.Request) -> web.Response:
        """Shares by slot."""
        return web.json_response(dict(self._platform.store.snapshot().weights))

    async def set_weights(self, request: web.Request) -> web.Response:
        """Set all shares; in force when the answer comes."""
        body = WeightsBody.model_validate_json(await request.read())
        await self._platform.set_weights(body.weights, body.run_id)
        return await self.weights(request)

    async def lease(self, _request: web.Request) -> web.Response:
        """The last lease, null when there never was one."""
        return web.json_response(self._lease())

    def _lease(self) -> dict[str, JsonValue] | None:
        lease = self._platform.store.snapshot().lease
        if lease is None:
            return None
        return {
            "run_id": lease.run_id,
            "state": lease.state,
            "fallback": dict(lease.fallback),
            "deadline": as_text(lease.deadline_s),
        }

    async def hold(self, request: web.Request) -> web.Response:
        """Begin a rollout."""
        body = HoldBody.model_validate_json(await request.read())
        await self._platform.hold(body.run_id, body.fallback, body.lease_s)
        return await self.lease(request)

    async def renew(self, request: web.Request) -> web.Response:
        """Renew the lease."""
        body = RunBody.model_validate_json(await request.read())
        await self._platform.renew(body.run_id)
        return await self.lease(request)

    async def commit(self, request: web.Request) -> web.Response:
        """End the rollout."""
        body = RunBody.model_validate_json(await request.read())
        await self._platform.commit(body.run_id)
        return await self.lease(request)

    async def window(self, request: web.Request) -> web.Response:
        """What one slot did between `start` and `end` (ISO 8601 with a time zone)."""
        ask = WindowQuery.model_validate(dict(request.query))
        slot, start_s, end_s = (
            request.match_info["slot"],
            ask.start.timestamp(),
            ask.end.timestamp(),
        )
        seen = await asyncio.to_thread(self._traffic.window, slot, start_s, end_s, ask.slow_ms)
        return web.json_response(
            {
                "requests": seen.requests,
                "errors": seen.errors,
                "client_errors": seen.client_errors,
                "slow": seen.slow,
                "p99_ms": seen.p99_ms,
                "as_of": as_text(seen.as_of_s),
            }
        )

    async def events(self, request: web.Request) -> web.Response:
        """What happened, oldest first: `after` an id, at most `limit`."""
        ask = EventsQuery.model_validate(dict(request.query))
        found = self._platform.store.events(ask.after, ask.limit)
        shown = [{**one, "at": as_text(float(str(one.pop("at_s"))))} for one in found]
        return web.json_response(shown)

    async def keep(self, _request: web.Request) -> web.Response:
        """From now on the platform stays up although nobody asks for it."""
        self._platform.for_run = False
        return web.json_response({})

    async def shutdown(self, _request: web.Request) -> web.Response:
        """Stop the platform; its state stays."""
        self._platform.stopping.set()
        return web.json_response({})


def _slot(request: web.Request) -> tuple[Endpoint, str]:
    return Endpoint(request.match_info["endpoint"]), request.match_info["slot"]


def _tail(log: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    return []
