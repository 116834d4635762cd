"""What a person at a terminal sees on standard error: log lines, and a bar while work is done.

Standard output stays free for results.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oddframe.progress import Progress, logger

BAR_AFTER = 2.0  # seconds that work must last before a bar appears


class StandardError(logging.Handler):
    """Log records as lines on whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, and nothing of it that a terminal would take for a command."""
        print(visible(record.getMessage()), file=sys.stderr, flush=True)


@contextmanager
def log_lines(
    *, quiet: bool = False, verbose: bool = False, file: Path | None = None
) -> Iterator[None]:
    """Within the block, log records are lines on standard error, and in a file where one is named.

    Quietly, only what was left out or damaged is said; verbosely, everything.
    """
    level = logging.INFO
    if quiet:
        level = logging.WARNING
    if verbose:
        level = logging.DEBUG
    terminal = StandardError(level)
    handlers: list[logging.Handler] = [terminal]
    if file is not None:
        lines = logging.FileHandler(file, encoding="utf-8")
        lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        lines.setLevel(min(level, logging.INFO))
        handlers.append(lines)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


class ProgressBar:
    """A bar with rate and time left for each piece of work that lasts, where somebody looks."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._began = 0.0

    def __call__(self, now: Progress) -> None:
        """Show how far a piece of work is; a piece within another is left out."""
        if self._what and now.what != self._what:
            return
        if now.finished:
            self.close()
            return
        if not self._what:
            self._what = now.what
            self._began = time.monotonic()
        lasted = time.monotonic() - self._began
        if lasted < BAR_AFTER:
            return
        if self._bar is None:
            self._open(now)
        rate = f"{now.done / lasted:.1f}/s"
        self._bar.update(self._task, completed=now.done, rate=rate, note=now.note)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._what = ""

    def _open(self, now: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(now.unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(visible(now.what), total=now.total, rate="", note="")
        self._bar.start()


@contextmanager
def bar_where_somebody_looks(quiet: bool = False) -> Iterator[ProgressBar | None]:
    """A bar for `progress=` when standard error is a terminal, otherwise None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = ProgressBar()
    try:
        yield bar
    finally:
        bar.close()


def visible(text: str) -> str:
    """A text with what a terminal would take for a command, or cannot show, written out.

    >>> visible("gate\\x1b[2J.mp4")
    'gate\\\\x1b[2J.mp4'
    """
    if text.isprintable():
        return text
    shown = []
    for letter in text:
        if letter.isprintable() or letter == "\n":
            shown.append(letter)
        else:
            shown.append(letter.encode("unicode_escape", "surrogatepass").decode())
    return "".join(shown)
