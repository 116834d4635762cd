"""One bad entry never ends the others: what cannot be used is left out, named, and told at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from oddframe.errors import BadInput, BadTruth, BadVideo, OddframeError
from oddframe.progress import logger

EntryT = TypeVar("EntryT")
ResultT = TypeVar("ResultT")
ERRORS = {error.code: error for error in (OddframeError, BadInput, BadVideo, BadTruth)}


@dataclass(frozen=True)
class LeftOut:
    """An entry that could not be used."""

    name: str
    why: str  # the line of the error
    code: int  # and its exit code


def do_each(
    entries: Sequence[EntryT],
    do: Callable[[EntryT], ResultT],
    *,
    name_of: Callable[[EntryT], str],
    done: str = "read",
    what: str = "videos",
) -> tuple[list[ResultT], tuple[LeftOut, ...]]:
    """What `do` gives for each entry for which it raises no BadInput, and the others with the
    reason.

    `done` completes "2 of 3 videos could not be …". Each that is left out is a log record. The
    error of a single entry is raised as it is; raises the kind of the first error when none could
    be done.
    """
    results: list[ResultT] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        try:
            results.append(do(entry))
        except BadInput as error:
            if len(entries) == 1:
                raise
            left_out.append(LeftOut(name_of(entry), str(error), error.code))
            logger.warning(f"left out: {error}")
    if left_out and not results:
        first = left_out[0]
        text = f"none of {len(entries)} {what} could be {done}; the first: {first.why}"
        raise ERRORS[first.code](text)
    return results, tuple(left_out)


def problem_with(
    left_out: Sequence[LeftOut], total: int, done: str, what: str = "videos"
) -> OddframeError | None:
    """The error with which a command ends that did the others first; None when nothing was left
    out.
    """
    if not left_out:
        return None
    first = left_out[0]
    text = f"{len(left_out)} of {total} {what} could not be {done}; the first: {first.why}"
    return ERRORS[first.code](text)
