"""Talking to a person at a terminal: a progress bar with rate and time left, and nothing where nobody looks."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Tick(Protocol):
    """Call it as work is done."""

    def __call__(self, steps: int = 1, /, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int | None = None, unit: str = "frames") -> Iterator[Tick]:
    """A bar on standard error that appears once the work has lasted two seconds. Silent when that is no terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total, rate="", note="")
    begun, done = time.monotonic(), 0

    def tick(steps: int = 1, /, note: str = "") -> None:
        nonlocal done
        done += steps
        lasted = time.monotonic() - begun
        if lasted > 2 and not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, rate=f"{done / max(lasted, 1e-9):.1f}/s", note=note)

    try:
        yield tick
    finally:
        if bar.live.is_started:
            bar.stop()


def _silent(_steps: int = 1, /, note: str = "") -> None:
    del note


def track(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "frames"
) -> Iterator[T]:
    """The items again, with a progress bar."""
    with progress(what, total, unit) as tick:
        for item in items:
            yield item
            tick()


def say(line: str) -> None:
    """A line for the person at the terminal; standard output stays free for results."""
    print(line, file=sys.stderr, flush=True)
