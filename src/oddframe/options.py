"""The range of a number that somebody chooses, stated where the option is declared and checked in
one way.

    def fit(*, epochs: Annotated[int, Range(1, 100_000)] = 20): ...

`check_ranges` holds values against the annotations of a function, a class with such an `__init__`,
or a dataclass.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

SHOWN_CHARACTERS = 60  # characters of a value in a message


@dataclass(frozen=True, repr=False)
class Range:
    """Numbers from `low` to `high`, both included unless open. NaN is in no range.

    >>> 0 in Range(0, 1, open_low=True), 1 in Range(0, 1)
    (False, True)
    >>> str(Range(1, 100)), str(Range(low=1)), str(Range(0, 1, open_low=True))
    ('from 1 to 100', '1 or more', 'above 0 and at most 1')
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        if not self.low <= value <= self.high:
            return False
        below = self.open_low and value == self.low
        above = self.open_high and value == self.high
        return not below and not above

    def __str__(self) -> str:
        if not self.open_low and not self.open_high and math.isfinite(self.low + self.high):
            return f"from {self.low:,.15g} to {self.high:,.15g}".replace(",", " ")
        ends = []
        if self.low > -math.inf:
            ends.append(f"above {self.low}" if self.open_low else f"{self.low} or more")
        if self.high < math.inf:
            ends.append(f"below {self.high}" if self.open_high else f"at most {self.high}")
        return " and ".join(ends) or "any number"

    def __repr__(self) -> str:  # the help of the command line shows annotations as they are
        return str(self)


@dataclass(frozen=True)
class RangedNumber:
    """What an annotation says of a number, or of each number of a sequence."""

    whole: bool
    range: Range


def check_ranges(declared: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Raise ValueError, one line, for the first of `values` that is not in the range declared for
    its name.

    None is taken where the annotation allows it; of a sequence each number is checked. Names
    without a range, and values that are no numbers, are left to the types.
    """
    for name, number in ranged_numbers(declared).items():
        if name not in values:
            continue
        value = values[name]
        several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        for one in value if several else [value]:
            check_number(name, one, number)


def check_number(name: str, value: Any, number: RangedNumber) -> None:
    """Raise ValueError for a number that is not whole, or not in the range, where it must be."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number:
        return
    shown = str(value)[:SHOWN_CHARACTERS]
    if number.whole and not isinstance(value, Integral):
        raise ValueError(f"{name} is a whole number, got {shown}")
    if value not in number.range:
        raise ValueError(f"{name} is {number.range}, got {shown}")


def ranged_numbers(declared: Callable[..., Any]) -> dict[str, RangedNumber]:
    """The options of a function, class or dataclass that state a range, by name."""
    if isinstance(declared, type) and not is_dataclass(declared):
        hints = get_type_hints(declared.__init__, include_extras=True)  # type: ignore[misc]
    else:
        hints = get_type_hints(declared, include_extras=True)
    found = {}
    for name, hint in hints.items():
        number = number_in(hint)
        if number is not None:
            found[name] = number
    return found


def number_in(hint: Any) -> RangedNumber | None:
    """The range in an annotation, also within a union with None, a tuple or a list."""
    if get_origin(hint) is Annotated:
        for note in hint.__metadata__:
            if isinstance(note, Range):
                return RangedNumber(is_whole(hint.__origin__), note)
    if get_origin(hint) in (Annotated, Union, UnionType, tuple, list, Sequence):
        for part in get_args(hint):
            number = number_in(part)
            if number is not None:
                return number
    return None


def is_whole(hint: Any) -> bool:
    """Whether an annotation takes whole numbers only."""
    kinds = {hint, *get_args(hint)}
    return int in kinds and float not in kinds


Seed = Annotated[int, Range(0, 2**32 - 1)]
Threads = Annotated[int, Range(1, 1024)]
FramesPerSecond = Annotated[float, Range(1e-3, 1000)]
AlarmsPerHour = Annotated[float, Range(1e-6, 1e6)]
Lookahead = Annotated[float, Range(0, 60)]  # seconds
