"""What can be made to go wrong in the emulator."""

import threading
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.vertex_rules import RefusedError


@dataclass
class Fault:
    """One thing that goes wrong with calls of a method.

    Args:
        method: the RPC (`CreateCustomJob`), or `storage.get`, `storage.put`, `storage.list`,
            `rawPredict`.
        code: gRPC status to answer with; empty for none.
        times: how often.
        retry_after_s: what the answer asks to wait.
        delay_s: how long the answer takes.
        reset: the connection ends without an answer.
        lost: the call is answered and does nothing.
        unheard: the call does its work, and the answer is lost on its way.
        operation: the call is answered, and the long-running operation it begins fails.
        metadata: none; here so that faults can be told as JSON with a note.
    """

    method: str
    code: str = ""
    times: int = 1
    retry_after_s: float | None = None
    delay_s: float = 0
    reset: bool = False
    lost: bool = False
    unheard: bool = False
    operation: bool = False
    metadata: str = ""


@dataclass
class Faults:
    """All of them, and what was called."""

    waiting: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    #: by run id: stuck, preempted, failed
    jobs: dict[str, str] = field(default_factory=dict)
    #: by slot: a drill of the model server
    chaos: dict[str, str] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def add(self, method: str, **how: Any) -> None:
        self.waiting.append(Fault(method, **how))

    def clear(self) -> None:
        self.waiting.clear()
        self.jobs.clear()
        self.chaos.clear()

    def meet(self, method: str) -> Fault | None:
        """Note a call, and what goes wrong with it; raises when that is its answer."""
        with self._lock:
            self.calls.append(method)
            found = next((one for one in self.waiting if one.method == method), None)
            if found is None:
                return None
            found.times -= 1
            if found.times <= 0:
                self.waiting.remove(found)
        if found.delay_s:
            threading.Event().wait(found.delay_s)
        if found.reset and method[0].isupper():  # an RPC: this is what a client sees of it
            raise RefusedError("UNAVAILABLE", "Connection reset by peer")
        if found.code and not found.operation:
            raise RefusedError(found.code, f"a fault put into {method}", found.retry_after_s)
        return found
