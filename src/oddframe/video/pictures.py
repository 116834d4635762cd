"""Folders of pictures as films: which files belong to one, and each of them decoded.

A picture that cannot be read is replaced by its neighbour, so that frame numbers still fit the
ground truth.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from oddframe.files import listing
from oddframe.video.damage import FAULTS, MOST_PIXELS, DamageReport, error_text

PICTURE_ENDINGS = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
SIGNATURES = {
    b"\x89PNG": "png",
    b"\xff\xd8": "mjpeg",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
}
FLOATS = 3  # value of TIFF's tag SampleFormat
MOST_ENTRIES = 1000  # of a TIFF directory that are looked at


def pictures_of(folder: Path) -> list[Path]:
    """A frame folder's pictures in natural order."""
    found = [path for path in listing(folder) if path.suffix.lower() in PICTURE_ENDINGS]
    return [path for path in found if not path.is_dir()]


def read_pictures(
    paths: Sequence[Path], first: int = 0, damage: DamageReport | None = None
) -> Iterator[VideoFrame]:
    """The pictures from this one on, each replaced by a neighbour where it cannot be read.

    None at all when not one can be read.
    """
    before: VideoFrame | None = None
    for number, path in enumerate(paths[first:], first):
        own = decode_or_report(path, damage)
        before = own or before or read_picture(paths, number)
        if before is None:
            return
        yield before


def read_picture(
    paths: Sequence[Path], number: int, damage: DamageReport | None = None
) -> VideoFrame | None:
    """One picture of several, or the nearest before it that can be read, or else the nearest after
    it.
    """
    own = decode_or_report(paths[number], damage)
    if own is not None:
        return own
    for path in chain(reversed(paths[:number]), paths[number + 1 :]):
        other = decode_or_report(path, None)
        if other is not None:
            return other
    return None


def decode_or_report(path: Path, damage: DamageReport | None) -> VideoFrame | None:
    """The picture in a file; None, and a line in the report, where there is none."""
    try:
        return decode_picture(path, damage)
    except (*FAULTS, IndexError, struct.error) as error:
        if damage is not None:
            damage.pictures.append(f"{path.name}: {error_text(error)}")
        return None


def decode_picture(path: Path, damage: DamageReport | None = None) -> VideoFrame:
    """The picture in a file, by what the file holds and not by its ending.

    Of several pages of a TIFF the first. Raises ValueError or one of FFmpeg's errors.
    """
    if not path.is_file():
        raise ValueError("not a regular file")
    data = path.read_bytes()
    name = ""
    for signature, codec_name in SIGNATURES.items():
        if data.startswith(signature):
            name = codec_name
    if not name:
        raise ValueError("no picture in it")
    several = False
    if name == "tiff":
        facts = tiff_facts(data)
        several = facts.pages > 1
        if facts.sample_format == FLOATS:
            return decode_floats(data)
    codec: Any = av.CodecContext.create(name, "r")
    codec.thread_count = 1
    codec.options = {"max_pixels": MOST_PIXELS}
    found: list[VideoFrame] = codec.decode(av.Packet(data)) or codec.decode(None)
    first = found[0]
    if several and damage is not None:
        damage.pages += 1
    return first


@dataclass(frozen=True)
class TiffFacts:
    """What the first directory of a TIFF says, and how many pictures follow each other in the file
    (2: or more).
    """

    sample_format: int  # 1 unsigned, 2 signed, 3 floating point
    pages: int


def tiff_facts(data: bytes) -> TiffFacts:
    """Read a TIFF's header (TIFF 6.0, section 2). Raises struct.error where it is cut off."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    sample_format = 1
    for k in range(min(count, MOST_ENTRIES)):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, at + 2 + 12 * k)
        if tag == 339 and kind == 3 and values == 1:
            (sample_format,) = struct.unpack_from(f"{order}H", data, at + 10 + 12 * k)
    after = data[at + 2 + 12 * count : at + 6 + 12 * count]
    pages = 1
    if len(after) == 4 and any(after):  # where a second directory begins
        pages = 2
    return TiffFacts(sample_format, pages)


def decode_floats(data: bytes) -> VideoFrame:
    """A TIFF of floating-point numbers, one channel, as a picture of 32-bit floats. Raises
    ValueError.
    """
    import cv2

    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"floating-point picture that cannot be read ({error.err})") from error
    if values is None or values.ndim != 2:
        raise ValueError("floating-point picture of a sort that is not read; save it as 16 bits")
    finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    return VideoFrame.from_ndarray(np.ascontiguousarray(finite), format="grayf32le")
