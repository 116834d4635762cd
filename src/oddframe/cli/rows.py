"""Pieces of the lines that the command line prints: numbers, counts, rows, names cut short."""

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN_LINES = 6  # lines of a kind before "and N more": the answer fits one screen
DASH = "–"


def number(value: Any) -> str:
    """A number to four digits, or a dash for none."""
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def several(what: str, lines: Sequence[str]) -> list[str]:
    """Rows of one kind: the first few, and how many more there are."""
    shown = list(lines[:SHOWN_LINES])
    if len(lines) > SHOWN_LINES:
        shown.append(f"and {len(lines) - SHOWN_LINES:,} more")
    rows = []
    for line in shown:
        rows.append(row(what, line))
        what = ""  # the first row says it
    return rows


def shortened(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    listed = ", ".join(names[:SHOWN_LINES])
    if len(names) > SHOWN_LINES:
        listed += f" and {len(names) - SHOWN_LINES} more"
    return listed


def row(what: str, text: str) -> str:
    """One row of two columns."""
    return f"  {what:10}{text}"


def many(count: int, what: str) -> str:
    """A count with its noun.

    >>> many(1, "video"), many(2000, "frame")
    ('1 video', '2,000 frames')
    """
    if count == 1:
        return f"1 {what}"
    return f"{count:,} {what}s"


def count_of_events(count: int) -> str:
    """How many events there are, in words."""
    if not count:
        return "no events"
    if count == 1:
        return "1 event"
    return f"{count} events"


def counts_in_words(counts: Mapping[str, int], nothing: str = "none") -> str:
    """Names with their counts.

    >>> counts_in_words({"walk": 3, "run": 1})
    'walk 3, run 1'
    """
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or nothing
