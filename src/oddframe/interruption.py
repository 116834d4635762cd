"""A program that ends when it is asked to: within 30 seconds of SIGTERM or Ctrl-C, with all its
processes.

Python runs a signal's handler only between two of its own instructions, so a native call that takes
minutes (one step of a large network on a slow processor) would hold it up. Here the handler raises
KeyboardInterrupt as usual, and a thread that the C part of Python wakes at once counts: after
`GRACE` seconds, or at a second signal, it ends the processes that were begun, and then this one.
Files are written aside and renamed, so nothing is left half written.
"""

import os
import signal
import sys
import time
from collections.abc import Set
from multiprocessing import active_children
from pathlib import Path
from threading import Event, Thread
from types import FrameType

GRACE = 20.0  # seconds to end in an orderly way: to write what is finished and to stop processes
TWICE = 1.0  # seconds in which a signal counts as the first one again: `timeout` sends it twice
INTERRUPTED_LINE = "oddframe: interrupted; what was finished is kept"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The signal by which the program was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Interruption:
    """Watches for signals in a process; made by `end_on_signals`."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.reported = Event()
        self.asked = Event()
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)

    def start(self) -> None:
        """Set the handlers and begin to watch. For the main thread of a program."""
        for number in SIGNALS:
            signal.signal(number, self.raise_once)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        Thread(target=self.watch, name="interruption", daemon=True).start()

    def raise_once(self, number: int, frame: FrameType | None) -> None:
        """Python's handler: interrupt the main thread, but not while it already cleans up."""
        del frame
        if self.asked.is_set():
            return
        self.asked.set()
        raise Interrupted(number)

    def watch(self) -> None:
        """Wait for a signal; then for the program to end, for a later signal, or for the grace to
        be over.
        """
        first = self.next_signal()
        began = time.monotonic()
        Thread(target=self.end_after_grace, args=(first,), daemon=True).start()
        while time.monotonic() - began < TWICE:
            self.next_signal()
        self.end_now(first)

    def next_signal(self) -> int:
        """The number of the next signal that asks to end."""
        while True:
            number = os.read(self.reader, 1)[0]
            if number in SIGNALS:
                return number

    def end_after_grace(self, number: int) -> None:
        """End the program unless it ends by itself."""
        time.sleep(self.grace)
        self.end_now(number)

    def end_now(self, number: int) -> None:
        """End all processes that were begun, and this one, without waiting for anything."""
        kill_descendants()
        if not self.reported.is_set():
            os.write(2, f"{INTERRUPTED_LINE}\n".encode())
        os._exit(128 + number)


WATCHED: list[Interruption] = []  # in this process


def end_on_signals(grace: float = GRACE) -> None:
    """Let this program end within `grace` seconds of SIGINT or SIGTERM. For the main thread of a
    program.
    """
    watched = Interruption(grace)
    watched.start()
    WATCHED.append(watched)


def report_interruption(interrupt: KeyboardInterrupt) -> int:
    """Say that the work was interrupted; gives the exit code.

    130 for SIGINT and 143 for SIGTERM are what a shell expects of a program that a signal ended.
    """
    print(INTERRUPTED_LINE, file=sys.stderr, flush=True)
    for watched in WATCHED:
        watched.reported.set()
    number = getattr(interrupt, "number", signal.SIGINT)
    return 128 + int(number)


def kill_descendants(spare: Set[int] = frozenset()) -> None:
    """Kill all processes that this one began, and those that they began, but some."""
    for pid in descendants(os.getpid()):
        if pid in spare:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it has just ended
            continue


def descendants(pid: int) -> list[int]:
    """The processes that a process began, and those that they began, youngest generation last.

    From /proc where there is one; elsewhere only those that multiprocessing began.
    """
    parents = parents_by_process()
    if not parents:
        return [child.pid for child in active_children() if child.pid is not None]
    found = []
    generation = {pid}
    while generation:
        children = {child for child, parent in parents.items() if parent in generation}
        found += sorted(children)
        generation = children
    return found


def parents_by_process() -> dict[int, int]:
    """The parent of every process, as Linux tells it; empty elsewhere."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        after_name = text.rpartition(")")[2].split()  # a name may hold spaces and brackets
        parents[int(stat.parent.name)] = int(after_name[1])
    return parents
