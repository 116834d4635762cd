"""Variables of MATLAB files. Such a file unpacks only as a whole, so its size is looked at first.

Format: MathWorks, MAT-File Format, version 5: a header of 128 bytes, then elements of a type (4
bytes), a length (4 bytes) and data; elements of type 15 are packed with zlib.
"""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.errors import BadTruth

HEADER_BYTES = 128
PACKED = 15  # the type of an element that is packed
PIECE_BYTES = 1 << 16  # bytes unpacked at a time while counting


def read_cell(path: Path, name: str, most_bytes: int) -> list[NDArray[Any]]:
    """The arrays of the cell called `name`, in MATLAB's order. Raises BadTruth, naming the file.

    A file that unpacks to more than `most_bytes` is refused before it is unpacked.
    """
    from scipy.io import loadmat

    if unpacked_bytes(path, most_bytes) > most_bytes:
        raise BadTruth(f"{path} unpacks to more than {most_bytes:,} bytes, too much for its videos")
    try:
        variable = loadmat(path)[name]
    except KeyError as error:
        raise BadTruth(f"{path} has no variable {name}") from error
    except Exception as error:  # scipy raises a dozen kinds for a damaged file
        raise BadTruth(f"{path} is not a MATLAB file that scipy can read ({error})") from error
    if variable.dtype != object:
        raise BadTruth(f"{path}: {name} is a cell, got {variable.dtype} of shape {variable.shape}")
    return [np.asarray(entry) for entry in variable.reshape(-1, order="F")]


def unpacked_bytes(path: Path, most_bytes: int) -> int:
    """How many bytes a file unpacks to; counting stops beyond `most_bytes`. Nothing is kept in
    memory.
    """
    total = 0
    try:
        with path.open("rb") as file:
            file.seek(HEADER_BYTES)
            while len(tag := file.read(8)) == 8:
                kind, length = struct.unpack("<II", tag)
                if kind != PACKED:
                    total += length
                    file.seek(length, 1)
                    continue
                total += inflated_bytes(file.read(min(length, most_bytes)), most_bytes - total)
                if total > most_bytes:
                    break
    except OSError as error:
        raise BadTruth(f"{path} cannot be read ({error})") from error
    return total


def inflated_bytes(packed: bytes, most_bytes: int) -> int:
    """How many bytes zlib makes of these; counting stops beyond `most_bytes`, and where they are
    damaged.
    """
    inflate = zlib.decompressobj()
    total = 0
    try:
        while packed and total <= most_bytes:
            total += len(inflate.decompress(packed, PIECE_BYTES))
            packed = inflate.unconsumed_tail
    except zlib.error:
        return total  # scipy will say what is wrong
    return total
