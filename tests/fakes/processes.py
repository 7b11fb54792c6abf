"""Processes seen from outside."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psutil

from ml_pipeline.adapters.local.clock import HostClock

if TYPE_CHECKING:
    from collections.abc import Callable


class ImpatientClock(HostClock):
    """A clock on which a day has passed as soon as the answer is yes."""

    def __init__(self, question: Callable[[], bool]) -> None:
        super().__init__()
        self.question = question

    def monotonic(self) -> float:
        return super().monotonic() + (86400 if self.question() else 0)


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(question: Callable[[], bool], within_s: float = 60) -> bool:
    """Whether the answer becomes yes in time."""
    deadline, waiting = time.monotonic() + within_s, threading.Event()
    while not question():
        if time.monotonic() > deadline:
            return False
        waiting.wait(0.02)
    return True
