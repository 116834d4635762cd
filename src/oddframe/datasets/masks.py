"""Pixel masks on disk, read frame by frame: those of a data set may be gigabytes.

Masks are (T, h, w), True where anomalous; whoever goes through them holds one frame. What a file
will unpack to stands in its header and is compared with the video before anything is unpacked.
"""

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.errors import BadTruth
from oddframe.types import Bools, Masks, Video
from oddframe.video.picture_header import picture_size
from oddframe.video.reader import facts_of, pictures_of

Size = tuple[int, int]  # (height, width)

BYTES_AT_ONCE = 1 << 20  # bytes of an array read at a time
LARGER = 4  # times as high and wide as its video that a mask may be: people make videos smaller
STRETCHED = 1.5  # by which its aspect may differ: pixels need not be square, but 4:3 turned is 1.8

# what numpy and zipfile raise for a damaged file, whose header may also ask for any memory;
# numpy reads headers as Python literals
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    IndexError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class ArrayHeader:
    """What the first bytes of a stored array say."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class StoredMasks:
    """Masks that are read from disk each time they are gone through."""

    shape: tuple[int, int, int]  # (T, h, w)
    read_frames: Callable[[], Iterator[Bools]]  # opens them and yields (h, w), T times

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Bools]:
        return self.read_frames()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them in memory."""
        del copy
        whole = np.zeros(self.shape, bool)
        for index, mask in enumerate(self):
            whole[index] = mask
        if dtype is None:
            return whole
        return whole.astype(dtype)


@dataclass(frozen=True)
class PackedMasks:
    """Masks kept in memory, a bit a pixel and packed: some hundred bytes a frame."""

    shape: tuple[int, int, int]  # (T, h, w)
    packed: tuple[bytes, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Bools]:
        size = self.shape[1:]
        for data in self.packed:
            bits = np.frombuffer(zlib.decompress(data), np.uint8)
            yield np.unpackbits(bits, count=prod(size)).reshape(size).astype(bool)


def pack_masks(frames: Sequence[NDArray[Any]], size: Size) -> PackedMasks:
    """Keep masks (h, w) packed; a pixel is marked where it is above 0."""
    packed = []
    for frame in frames:
        bits = np.packbits(frame > 0)
        packed.append(zlib.compress(bits.tobytes(), 1))
    return PackedMasks((len(packed), *size), tuple(packed))


def array_masks(path: Path, key: str | None = None) -> StoredMasks:
    """The masks of a .npy, or of the array called `key` of an .npz. Only the header is read now."""
    header = read_header(path, key)
    if len(header.shape) != 3 or 0 in header.shape[1:]:
        raise BadTruth(
            f"{path}: masks are (frames, height, width), got an array of shape {header.shape}"
        )
    T, h, w = header.shape
    return StoredMasks((T, h, w), partial(array_frames, path, key))


def picture_masks(paths: Sequence[Path], size: Size | None = None) -> StoredMasks:
    """Masks in pictures, one a frame, in the order given. Raises BadTruth if the first is
    damaged.
    """
    if not paths:
        return StoredMasks((0, 1, 1), partial(picture_frames, (), (1, 1), None))
    first = read_mask_picture(paths[0], size)
    h, w = first.shape
    frames = partial(picture_frames, tuple(paths), (h, w), size)
    return StoredMasks((len(paths), h, w), frames)


def read_masks(path: Path, size: Size | None = None) -> StoredMasks:
    """Masks of an .npz with key `masks`, a .npy, or a folder of pictures."""
    if path.is_dir():
        return picture_masks(pictures_of(path), size)
    if path.suffix == ".npz":
        return array_masks(path, "masks")
    return array_masks(path)


def odd_frames(masks: Masks) -> Bools:
    """(T,) True where any pixel is."""
    flags = np.zeros(len(masks), bool)
    for index, mask in enumerate(masks):
        flags[index] = mask.any()
    return flags


def check_masks(where: Path, masks: Masks, frames: int, size: Size | None) -> None:
    """Raise BadTruth unless these are the masks of a video of so many frames and of this size."""
    check_count(where, "masks", len(masks), frames)
    if size is not None:
        _, h, w = masks.shape
        check_mask_size(where, (h, w), size)


def check_mask_size(where: Path, mask: Size, size: Size) -> None:
    """Raise BadTruth for a mask much larger than its video, or of another aspect."""
    h, w = mask
    height, width = size
    sizes = f"{where} is {w}×{h} pixels, its video {width}×{height}"
    if h > LARGER * height or w > LARGER * width:
        raise BadTruth(f"{sizes}: no mask of this video")
    aspect = (w * height) / (h * width)
    rounding = 1 + 1 / min(h, w)  # of very small masks
    if max(aspect, 1 / aspect) > STRETCHED * rounding:
        raise BadTruth(f"{sizes}: another shape (masks are frames, height, width, in this order)")


def check_count(where: Path, what: str, given: int, frames: int) -> None:
    """Raise BadTruth, naming both counts, unless they are the same."""
    if given != frames:
        raise BadTruth(
            f"{where} has {given} {what}, but {frames} frames were decoded from its video"
        )


def size_of_video(video: Video) -> Size:
    """(height, width) of its pictures as they are shown. Raises BadVideo."""
    facts = facts_of(video)
    return facts.height, facts.width


# ── arrays ──


@contextmanager
def open_array(path: Path, key: str | None = None) -> Iterator[tuple[ArrayHeader, IO[bytes]]]:
    """The header of a .npy, or of the array `key` of an .npz, and the file behind it. Raises
    BadTruth.
    """
    try:
        if key is None:
            with path.open("rb") as file:
                yield header_of(file), file
            return
        with zipfile.ZipFile(path) as archive:
            names = array_names(archive)
            if key not in names:
                there = ", ".join(names) or "none"
                raise BadTruth(f"{path} has no key {key!r}; there are {there}")
            with archive.open(f"{key}.npy") as file:
                yield header_of(file), file
    except DAMAGED as error:
        why = " ".join(str(error).split())
        raise BadTruth(f"{path} is not an array that numpy can read ({why})") from error


def header_of(file: IO[bytes]) -> ArrayHeader:
    """The header of a stored array. Raises ValueError where it is none, or no array of numbers."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        read = np.lib.format.read_array_header_1_0
    elif version == (2, 0):
        read = np.lib.format.read_array_header_2_0
    else:
        raise ValueError(f"an array of format {version}")
    shape, fortran_order, dtype = read(file)
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of {dtype}, not of numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape}")
    return ArrayHeader(shape, fortran_order, dtype)


def read_header(path: Path, key: str | None = None) -> ArrayHeader:
    """The header alone. Raises BadTruth."""
    with open_array(path, key) as (header, _):
        return header


def read_array(path: Path, key: str | None = None, *, most_bytes: int) -> NDArray[Any]:
    """The whole array. One of more than `most_bytes` is refused by its header. Raises BadTruth."""
    with open_array(path, key) as (header, file):
        if header.nbytes > most_bytes:
            raise BadTruth(
                f"{path} holds an array of shape {header.shape}, {header.nbytes:,} bytes: too large"
            )
        return read_values(file, header, header.shape)


def array_frames(path: Path, key: str | None) -> Iterator[Bools]:
    """The masks (h, w) of a stored array, one after the other."""
    with open_array(path, key) as (header, file):
        T, *size = header.shape
        if header.fortran_order:  # frames do not lie one after the other
            yield from read_values(file, header, header.shape) > 0
            return
        at_once = max(1, BYTES_AT_ONCE // max(1, prod(size) * header.dtype.itemsize))
        for start in range(0, T, at_once):
            count = min(at_once, T - start)
            yield from read_values(file, header, (count, *size)) > 0


def read_values(file: IO[bytes], header: ArrayHeader, shape: tuple[int, ...]) -> NDArray[Any]:
    """The next values of a stored array. Raises EOFError where it ends before."""
    wanted = prod(shape) * header.dtype.itemsize
    pieces = []
    missing = wanted
    while missing:  # a header may ask for more memory than the file can fill
        data = file.read(min(missing, BYTES_AT_ONCE))
        if not data:
            raise EOFError(f"it ends {missing:,} bytes early")
        pieces.append(data)
        missing -= len(data)
    values = np.frombuffer(b"".join(pieces), header.dtype)
    if header.fortran_order:
        return values.reshape(shape, order="F")
    return values.reshape(shape)


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The keys of an .npz."""
    return [name.removesuffix(".npy") for name in archive.namelist()]


def names_in(path: Path) -> list[str]:
    """The keys of an .npz. Raises BadTruth when it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return array_names(archive)
    except DAMAGED as error:
        why = " ".join(str(error).split())
        raise BadTruth(f"{path} is not an archive of arrays ({why})") from error


# ── pictures ──


def picture_frames(paths: Sequence[Path], first: Size, size: Size | None) -> Iterator[Bools]:
    """The masks (h, w) of pictures, all as large as the first. Raises BadTruth if one is
    damaged.
    """
    for path in paths:
        mask = read_mask_picture(path, size)
        if mask.shape != first:
            (h, w), (height, width) = mask.shape, first
            raise BadTruth(f"{path} is {w}×{h} pixels, the masks before it {width}×{height}")
        yield mask


def read_mask_picture(path: Path, size: Size | None = None) -> Bools:
    """(h, w) True where a picture is above 0. Raises BadTruth where it is none, or too large for
    `size`.
    """
    data = np.fromfile(path, np.uint8)
    said = picture_size(data[:32].tobytes())
    if size is not None and said is not None:
        check_mask_size(path, said, size)
    level = cv2.utils.logging.setLogLevel(0)  # OpenCV's complaints would stand before ours
    picture = None
    try:
        if len(data):  # unchanged: the 1 of a mask of 16 bits would become 0 in 8
            picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:  # a header may ask for any size
        picture = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None:
        raise BadTruth(f"{path} is not a picture that can be read")
    colours = np.atleast_3d(picture)[:, :, :3]  # without the alpha channel
    return np.asarray((colours > 0).any(axis=2))
