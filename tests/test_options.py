"""Ranges of numbers: stated once, checked in one way, for functions, methods and dataclasses."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from oddframe.options import Range, check_ranges, ranged_numbers

Count = Annotated[int, Range(1, 1000)]
Share = Annotated[float, Range(0, 1, open_low=True)]


def verb(
    source: str,
    *,
    count: Count = 3,
    share: Share = 0.5,
    seconds: Annotated[float | None, Range(0)] = None,
    size: tuple[Count, Count] = (1, 2),
    layers: tuple[Count, ...] = (),
    limit: Share | None = None,
    name: str = "",
) -> None:
    """Does nothing."""


class Method:
    def __init__(self, *, count: Count = 3) -> None:
        check_ranges(type(self), {"count": count})


@dataclass(frozen=True)
class Group:
    share: Share = 0.5

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("count", 0, "count is from 1 to 1 000, got 0"),
        ("count", -1, "count is from 1 to 1 000, got -1"),
        ("count", 2**64, "count is from 1 to 1 000, got 18446744073709551616"),
        ("share", 10**400, f"share is above 0 and at most 1, got {10**400}"[: 36 + 60]),
        ("count", 1.5, "count is a whole number, got 1.5"),
        ("share", 0.0, "share is above 0 and at most 1, got 0.0"),
        ("share", math.nan, "share is above 0 and at most 1, got nan"),
        ("share", math.inf, "share is above 0 and at most 1, got inf"),
        ("seconds", -1e-300, "seconds is 0 or more, got -1e-300"),
        ("size", (5, 0), "size is from 1 to 1 000, got 0"),
        ("layers", [4, 3, 2000], "layers is from 1 to 1 000, got 2000"),
        ("limit", 2, "limit is above 0 and at most 1, got 2"),
    ],
)
def test_a_number_out_of_its_range_is_one_line(name: str, value: Any, line: str) -> None:
    with pytest.raises(ValueError) as error:
        check_ranges(verb, {name: value})
    assert str(error.value) == line


@pytest.mark.parametrize(
    "values",
    [
        {"count": 1000, "share": 1, "seconds": 0, "size": (1, 1000), "layers": ()},
        {"seconds": None, "limit": None, "name": "x", "unknown": -5, "source": "y"},
    ],
)
def test_what_is_in_its_range_is_taken(values: dict[str, Any]) -> None:
    check_ranges(verb, values)


def test_classes_and_dataclasses_declare_as_functions_do() -> None:
    with pytest.raises(ValueError, match="count is from 1 to 1 000, got 0"):
        Method(count=0)
    with pytest.raises(ValueError, match=r"share is above 0 and at most 1, got 1\.5"):
        Group(share=1.5)
    assert list(ranged_numbers(verb)) == ["count", "share", "seconds", "size", "layers", "limit"]
