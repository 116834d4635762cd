"""What one file says about the frames of a video: labels, anomalous segments, tracks of boxes.

T frames. Whatever does not fit the video raises BadTruth, naming file and line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.datasets.masks import check_count, read_array, read_header
from oddframe.datasets.tables import read_rows, read_text
from oddframe.errors import BadTruth
from oddframe.types import Bools, Floats

SEGMENTS_HEADER = (
    "start,end[,kind] (frames from 0, end not included) or start_seconds,end_seconds[,kind]"
)
TRACKS_HEADER = "frame,track,x1,y1,x2,y2[,kind]"
TRACK_COLUMNS = ("frame", "track", "x1", "y1", "x2", "y2")
# a segment may outlast its video so long: people round up, containers are vague about the last
# frame
SECONDS_BEYOND = 1.0
TEXT_BYTES = (1 << 16, 1 << 8)  # of labels as text: at most so many, and so many more a frame
TABLE_BYTES = (1 << 20, 1 << 14)  # of a table, likewise
LABEL_BYTES = 16  # the widest number that a label may be stored as

Kinds = NDArray[np.str_]
Record = tuple[int, dict[str, str]]  # line number, cells by column


@dataclass(frozen=True)
class Labels:
    """What one file says of every frame."""

    frame: Bools  # (T,)
    kind: Kinds | None = None  # (T,)


@dataclass(frozen=True)
class Tracks:
    """The boxes of one file."""

    rows: Floats  # (R, 6): frame track x1 y1 x2 y2
    kind: Kinds | None = None  # (T,) by frame


def read_labels(path: Path, frames: int, seconds: Callable[[], Floats] | None = None) -> Labels:
    """Labels of a video of so many frames, of a .csv, .npy or .txt. Raises BadTruth."""
    if path.suffix == ".csv":
        return read_segments(path, frames, seconds)
    flags = read_flags(path, frames)
    check_count(path, "labels", len(flags), frames)
    return Labels(flags)


def read_flags(path: Path, most: int) -> Bools:
    """0 and 1 for every frame, of a .npy (frames,) or a .txt, as bools. Much more than `most` is
    not read.
    """
    if path.suffix == ".npy":
        shape = read_header(path).shape
        length = max(shape, default=0)
        if sum(side != 1 for side in shape) > 1 or not shape:
            raise BadTruth(
                f"{path}: labels are one number for every frame, got an array of shape {shape}"
            )
        if length > most:
            check_count(path, "labels", length, most)
        values = read_array(path, most_bytes=LABEL_BYTES * length).reshape(-1)
    else:
        values = read_numbers(path, most)
    return as_flags(path, values)


def as_flags(path: Path, values: NDArray[Any]) -> Bools:
    """0 and 1 as bools. Raises BadTruth, naming the file, for any other number."""
    strange = np.setdiff1d(values, [0, 1])
    if len(strange):
        raise BadTruth(f"{path}: labels are 0 (normal) or 1 (anomalous), got {strange[0]}")
    return np.asarray(values > 0)


def is_mask_array(path: Path) -> bool:
    """Whether a .npy holds (frames, h, w)."""
    return path.suffix == ".npy" and len(read_header(path).shape) == 3


def read_numbers(path: Path, frames: int) -> Floats:
    """Numbers separated by white space."""
    most_bytes = TEXT_BYTES[0] + TEXT_BYTES[1] * frames
    words = read_text(path, error=BadTruth, most_bytes=most_bytes).split()
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise BadTruth(
            f"{path}: labels are 0 or 1 for every frame, separated by white space ({error})"
        ) from error


def read_segments(path: Path, frames: int, seconds: Callable[[], Floats] | None) -> Labels:
    """Anomalous segments, in frames or in seconds."""
    header, records = read_frame_table(path, frames)
    if {"start", "end"} <= set(header):
        segments = [segment_in_frames(path, record, frames) for record in records]
    elif {"start_seconds", "end_seconds"} <= set(header):
        times: Floats = np.zeros(0)
        if seconds is not None:
            times = seconds()
        if seconds is None or len(times) < frames:
            raise BadTruth(
                f"{path} is in seconds, but the times of the video's {frames} frames are not "
                "known; use frames"
            )
        segments = [segment_in_seconds(path, record, times[:frames]) for record in records]
    else:
        raise BadTruth(f"{path} begins with {','.join(header)!r}, not with {SEGMENTS_HEADER}")
    frame = np.zeros(frames, bool)
    kinds = KindsByFrame(frames)
    for (start, end), (_, row) in zip(segments, records, strict=True):
        frame[start:end] = True
        for k in range(start, end):
            kinds.add(k, row)
    if "kind" not in header:
        return Labels(frame)
    return Labels(frame, kinds.joined())


def segment_in_frames(path: Path, record: Record, frames: int) -> tuple[int, int]:
    """Frames [start, end) of a row, as they stand there."""
    line, row = record
    start = read_number(path, line, row, "start")
    end = read_number(path, line, row, "end")
    if start != int(start) or end != int(end):
        raise BadTruth(
            f"{path}, line {line}: frames are whole numbers, got {start} to {end}; "
            "seconds go in start_seconds"
        )
    check_order(path, line, start, end)
    if end > frames:
        raise BadTruth(
            f"{path}, line {line}: ends at frame {end:g}, but {frames} frames were decoded "
            "from its video"
        )
    return int(start), int(end)


def segment_in_seconds(path: Path, record: Record, times: Floats) -> tuple[int, int]:
    """Frames [start, end) of a row in seconds, by the time of every frame."""
    line, row = record
    start = read_number(path, line, row, "start_seconds")
    end = read_number(path, line, row, "end_seconds")
    last = 0.0
    if len(times):
        last = float(times[-1])
    check_order(path, line, start, end)
    if start > last or end > last + SECONDS_BEYOND:
        raise BadTruth(
            f"{path}, line {line}: {start:g} to {end:g} s, "
            f"but the video's last frame is at {last:.2f} s"
        )
    first, beyond = np.searchsorted(times, (start - 1e-6, end - 1e-6)).tolist()
    return first, beyond


def check_order(path: Path, line: int, start: float, end: float) -> None:
    """Raise BadTruth unless 0 ≤ start < end."""
    if not 0 <= start < end:
        raise BadTruth(
            f"{path}, line {line}: a segment starts at 0 or later and before its end, "
            f"got {start:g} to {end:g}"
        )


# ── tracks ──


def read_tracks(path: Path, frames: int) -> Tracks:
    """Boxes of a video of so many frames, each with its track."""
    header, records = read_frame_table(path, frames)
    if not set(TRACK_COLUMNS) <= set(header):
        raise BadTruth(f"{path} begins with {','.join(header)!r}, not with {TRACKS_HEADER}")
    rows = np.zeros((len(records), 6))
    kinds = KindsByFrame(frames)
    for index, (line, row) in enumerate(records):
        numbers = [read_number(path, line, row, column) for column in TRACK_COLUMNS]
        rows[index] = numbers
        frame, track, x1, y1, x2, y2 = numbers
        if frame != int(frame) or track != int(track):
            raise BadTruth(
                f"{path}, line {line}: frame and track are whole numbers, "
                f"got {frame:g} and {track:g}"
            )
        if not 0 <= frame < frames:
            raise BadTruth(
                f"{path}, line {line}: frame {frame:g}, but {frames} frames were decoded "
                "from its video"
            )
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            box = f"{x1:g},{y1:g},{x2:g},{y2:g}"
            raise BadTruth(
                f"{path}, line {line}: boxes are x1,y1,x2,y2 as fractions of width and height, "
                f"got {box}"
            )
        kinds.add(int(frame), row)
    if "kind" not in header:
        return Tracks(rows)
    return Tracks(rows, kinds.joined())


# ── tables about frames ──


def read_frame_table(path: Path, frames: int) -> tuple[list[str], list[Record]]:
    """The header in small letters, and each row by column. Spreadsheets' semicolons are fine."""
    most_bytes = TABLE_BYTES[0] + TABLE_BYTES[1] * frames
    rows = read_rows(path, error=BadTruth, most_bytes=most_bytes)
    if not rows:
        raise BadTruth(f"{path} is empty; a video without anomalies still has the header line")
    header = [cell.lower() for cell in rows[0][1]]
    records = []
    for number, cells in rows[1:]:
        records.append((number, dict(zip(header, cells, strict=False))))
    return header, records


def read_number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    """A finite number. Raises BadTruth, naming the line."""
    text = row.get(column, "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise BadTruth(f"{path}, line {line}: {column} is not a number, got {text!r}")
    return value


class KindsByFrame:
    """The kinds of anomaly in each frame, in the order of the table that names them."""

    def __init__(self, frames: int) -> None:
        self.kinds: list[list[str]] = [[] for _ in range(frames)]

    def add(self, frame: int, row: dict[str, str]) -> None:
        """Add a row's kind to those of a frame."""
        kind = row.get("kind")
        if kind and kind not in self.kinds[frame]:
            self.kinds[frame].append(kind)

    def joined(self) -> Kinds:
        """(T,) one word a frame; two things at once are `runner+cyclist`."""
        return np.array(["+".join(kinds) for kinds in self.kinds], dtype=np.str_)
