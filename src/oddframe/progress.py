"""Words and progress for whoever listens: log records of the logger "oddframe", and a callback.

A library prints nothing. What a person should know (a video that was left out, damage, where a
training goes on) is a record of `logger`; how far a piece of work is goes to the callable that was
given as `progress=`, if any. The command line turns the first into lines and the second into a bar.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")

logger = logging.getLogger("oddframe")
logger.addHandler(logging.NullHandler())  # silent until a program asks for log lines


@dataclass(frozen=True)
class Progress:
    """How far one piece of work is."""

    what: str  # such as "scoring gate"
    done: int
    total: int | None  # None where nobody knows
    unit: str  # of `done` and `total`: frames, videos, steps
    note: str = ""  # such as the loss of a training
    finished: bool = False  # the last report of this piece


ProgressCallback = Callable[[Progress], None]

# of the thread (or task) that called: two calls side by side report to their own callers
_callback: ContextVar[ProgressCallback | None] = ContextVar("oddframe_progress", default=None)


class Tick(Protocol):
    """Call it as work is done."""

    def __call__(self, steps: int = 1, /, note: str = "") -> None: ...


@contextmanager
def report_progress_to(callback: ProgressCallback | None) -> Iterator[None]:
    """Within the block, whatever `progress` is told goes to `callback`.

    None leaves the callback that is already listening, so that one workflow may call into another's
    parts.
    """
    if callback is None:
        yield
        return
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


@contextmanager
def progress(what: str, total: int | None = None, unit: str = "frames") -> Iterator[Tick]:
    """Reports of one piece of work to whoever listens; call what this gives as work is done."""
    callback = _callback.get()
    done = 0
    last_note = ""

    def tick(steps: int = 1, /, note: str = "") -> None:
        nonlocal done, last_note
        done += steps
        last_note = note
        if callback is not None:
            callback(Progress(what, done, total, unit, note))

    try:
        yield tick
    finally:
        if callback is not None:
            callback(Progress(what, done, total, unit, last_note, finished=True))


def track(
    items: Iterable[ItemT], what: str, total: int | None = None, unit: str = "frames"
) -> Iterator[ItemT]:
    """The items again, with progress reported."""
    with progress(what, total, unit) as tick:
        for item in items:
            yield item
            tick()
