"""Names for what is kept on disk: one function, so that no cache forgets what its content depends
on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

DIGITS = 16  # bytes of a key: two of a thousand million keys are the same once in 10^20


def key(*parts: object) -> str:
    """A short name, the same in every process, that differs when any of the parts does.

    Parts are plain values, arrays, tensors, paths, dataclasses, and lists and dictionaries of
    these. Raises TypeError for anything else: the text of an unknown object may hold its address,
    or leave out what matters.

    >>> key("spec", 1) == key("spec", 1), key("spec", 1) == key("spec", 1.0)
    (True, False)
    >>> key("a", "b") == key("ab")
    False
    """
    digest = blake2b(digest_size=DIGITS)
    for part in parts:
        for piece in pieces_of(part):
            digest.update(struct.pack("<Q", len(piece)))  # or ("a", "b") would be ("ab",)
            digest.update(piece)
    return digest.hexdigest()


def pieces_of(part: object) -> Iterable[bytes]:
    """The bytes that stand for a part, one piece after the other. Raises TypeError for an unknown
    type.
    """
    if part is None or isinstance(part, bool | int | float | complex):
        yield f"{type(part).__name__} {part!r}".encode()
    elif isinstance(part, str | Path):
        yield f"text {part}".encode("utf-8", "surrogatepass")
    elif isinstance(part, bytes):
        yield b"bytes"
        yield part
    elif isinstance(part, Mapping):
        yield f"mapping of {len(part)}".encode()
        for name, value in part.items():
            yield from pieces_of(name)
            yield from pieces_of(value)
    elif isinstance(part, list | tuple):
        yield f"list of {len(part)}".encode()
        for value in part:
            yield from pieces_of(value)
    elif is_dataclass(part) and not isinstance(part, type):
        yield type(part).__name__.encode()
        for field in fields(part):
            yield field.name.encode()
            yield from pieces_of(getattr(part, field.name))
    else:
        yield from pieces_of_array(part)


def pieces_of_array(part: Any) -> Iterable[bytes]:
    """The same for a numpy array, a numpy number or a torch tensor, which is not imported for it."""
    if hasattr(part, "detach"):
        part = part.detach().cpu().float() if "bfloat16" in str(part.dtype) else part.detach().cpu()
        part = part.numpy()
    if not isinstance(part, np.ndarray | np.generic) or part.dtype.hasobject:
        raise TypeError(f"a {type(part).__name__} has no key: give its values")
    array = np.asarray(part)
    yield f"array {array.dtype.str} {array.shape}".encode()
    yield np.ascontiguousarray(array).tobytes()
