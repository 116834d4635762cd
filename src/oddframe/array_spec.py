"""What an array must be that is read from a file: kind, shape and range, stated once and checked in
one way.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ArraySpec:
    """Kind, shape and range of an array.

    Axes are sizes, or letters: the same letter is the same size, above 0, in all arrays of a set.
    """

    axes: tuple[int | str, ...]
    kind: str = "f"  # numpy's: f floats, i whole numbers, b truth values
    low: float = -math.inf
    high: float = math.inf

    def check(self, name: str, array: NDArray[Any], sizes: dict[str, int]) -> None:
        """Raise ValueError, one line, for an array that is something else; `sizes` learns what
        letters are.
        """
        if array.dtype.kind != self.kind:
            raise ValueError(f"{name} is of the type {array.dtype}")
        fits = array.ndim == len(self.axes)
        for axis, size in zip(self.axes, array.shape, strict=False):
            wanted = axis if isinstance(axis, int) else sizes.setdefault(axis, size)
            fits = fits and size == wanted and (size > 0 or axis == 0)
        if not fits:
            axes = " × ".join(map(str, self.axes)) or "a single number"
            raise ValueError(f"{name} has the shape {array.shape}, not {axes}")
        if self.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        if array.size and (array.min() < self.low or array.max() > self.high):
            raise ValueError(f"{name} holds numbers that are not from {self.low} to {self.high}")


def check_arrays(arrays: Mapping[str, NDArray[Any]], specs: Mapping[str, ArraySpec]) -> None:
    """Raise ValueError, one line, unless there is exactly one array of each name, and each is as
    its spec says.
    """
    if set(arrays) != set(specs):
        raise ValueError(f"the arrays {sorted(specs)} are needed, got {sorted(arrays)}")
    sizes: dict[str, int] = {}
    for name, spec in specs.items():
        spec.check(name, arrays[name], sizes)
