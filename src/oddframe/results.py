"""What a workflow is: a function that prints nothing and returns a frozen value.

The value says itself as plain data and as strict JSON.
"""

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

from oddframe.errors import BadInput, OddframeError
from oddframe.options import check_ranges
from oddframe.progress import report_progress_to

P = ParamSpec("P")
ReturnT = TypeVar("ReturnT")

OUT_OF_MEMORY = "out of memory; smaller pictures, smaller batches or fewer threads need less"

WHY_NULL = "why_null"  # beside the values: the path of each number that is none, and the reason


@dataclass(frozen=True)
class Result:
    """A value that a workflow returns. Fields are public and typed; nothing is printed."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data by field: texts, numbers, None, lists and dictionaries.

        A number that is NaN or infinite is None, and "why_null" says so.
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return to_plain(found)

    def to_json(self) -> str:
        """The same as indented JSON, without NaN and Infinity, which JSON does not know."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def problem(self) -> OddframeError | None:
        """What could not be done although the rest was, as the error to end with; None when all
        was.
        """
        return None


@dataclass(frozen=True)
class Listing(Result):
    """Names, each with one line about it."""

    lines: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The lines by name."""
        return dict(self.lines)


def to_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON can hold them; each number that is none becomes None with a reason."""
    reasons: dict[str, str] = {}
    found = {str(name): _plain(value, str(name), reasons) for name, value in values.items()}
    if reasons:
        known = found.get(WHY_NULL)
        found[WHY_NULL] = (known if isinstance(known, dict) else {}) | reasons
    return found


def _plain(value: Any, path: str, reasons: dict[str, str]) -> Any:
    """One value; `reasons` receives why a number at `path` is None."""
    if isinstance(value, Result):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{path}.{key}", reasons) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item, f"{path}.{at}", reasons) for at, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        reasons[path] = "not a number" if math.isnan(value) else "infinite"
        return None
    if isinstance(value, PurePath):
        return str(value)
    return value


def workflow(function: Callable[P, ReturnT]) -> Callable[P, ReturnT]:
    """A function of the Python API and the command line: options checked, progress reported.

    Numbers outside their ranges are refused before anything is done. `progress=`, where it is
    given, is called with `oddframe.progress.Progress` values. What the system refuses (a full disk,
    no memory) is raised as an error of `oddframe.errors`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> ReturnT:
        given = signature.bind(*args, **kwargs).arguments
        try:
            check_ranges(function, given)
        except ValueError as error:
            raise BadInput(str(error)) from error
        with report_progress_to(given.get("progress")), only_own_errors():
            return function(*args, **kwargs)

    return call


@contextmanager
def only_own_errors() -> Iterator[None]:
    """Within the block, what the system refuses becomes an error of `oddframe.errors`."""
    try:
        yield
    except MemoryError as error:
        raise OddframeError(OUT_OF_MEMORY) from error
    except BrokenPipeError:  # the reader of a program's output has gone
        raise
    except OSError as error:
        what = f"use {error.filename}" if error.filename else "go on"
        raise BadInput(f"cannot {what}: {error.strerror or error}") from error
