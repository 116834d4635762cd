"""Ground truth in files: what people write down about a video, read into a Truth of as many frames
as were decoded.

Beside a video called NAME, in one folder (docs/how-to/ground-truth.md shows each with an example):

    NAME.npy         (frames,) 0 or 1
    NAME.txt         0 or 1 for every frame, separated by white space
    NAME.csv         anomalous segments: start,end[,kind] in frames from 0, end not included;
                     or start_seconds,end_seconds[,kind]
    NAME.masks.npz   key `masks`: (frames, h, w), above 0 where anomalous
    NAME/  NAME_gt/  NAME_mask/   pictures of masks, one a frame in natural order, above 0 where
                     anomalous
    NAME.tracks.csv  frame,track,x1,y1,x2,y2[,kind]: boxes as fractions of width and height

At most one of the first three and one of the masks. Without the first three a frame is anomalous
where its mask or a track says so; with them, masks and tracks are compared with them. All is read
within the size of its video.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.datasets.masks import (
    Size,
    check_count,
    check_masks,
    odd_frames,
    read_array,
    read_header,
    read_masks,
)
from oddframe.datasets.tables import read_rows, read_text
from oddframe.errors import BadTruth
from oddframe.files import aside
from oddframe.types import Bools, Floats, Masks, Truth
from oddframe.video.reader import pictures_of

LABEL_ENDINGS = (".npy", ".txt", ".csv")
MASK_ENDINGS = (".masks.npz", "", "_gt", "_mask")
TRACK_ENDING = ".tracks.csv"
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


# ── writing ──


def write_truth(folder: Path, name: str, truth: Truth) -> None:
    """Write a truth as NAME.csv (segments with their kinds), NAME.masks.npz and NAME.tracks.csv.

    Boxes are cut at the picture's edge; those wholly outside are left out.
    """
    header = ["start", "end"]
    if truth.kind is not None:
        header.append("kind")
    with aside(folder / f"{name}.csv") as part:
        write_table(part, header, segment_rows(truth))
    if truth.mask is not None:
        masks = np.asarray(truth.mask)
        with aside(folder / f"{name}.masks.npz") as part:
            np.savez_compressed(part, masks=(masks > 0).astype(np.uint8))
    if truth.tracks is not None:
        with aside(folder / f"{name}{TRACK_ENDING}") as part:
            write_table(part, list(TRACK_COLUMNS), track_rows(truth.tracks))


def segment_rows(truth: Truth) -> Iterator[list[str | int]]:
    """Rows start, end[, kind] of frames that follow each other, are anomalous and of one kind."""
    frames = len(truth.frame)
    if not frames:
        return
    kind = truth.kind
    changes = truth.frame[1:] != truth.frame[:-1]
    if kind is not None:
        changes = changes | (kind[1:] != kind[:-1])
    inner = (np.flatnonzero(changes) + 1).tolist()
    for start, end in pairwise([0, *inner, frames]):
        if not truth.frame[start]:
            continue
        if kind is None:
            yield [start, end]
        else:
            yield [start, end, str(kind[start])]


def track_rows(tracks: Floats) -> Iterator[list[str | int]]:
    """Rows frame, track, x1, y1, x2, y2 of the boxes that lie in the picture."""
    for frame, track, *corners in tracks:
        inside = np.clip(corners, 0, 1).round(6)
        x1, y1, x2, y2 = inside.tolist()
        if x1 < x2 and y1 < y2:
            box = [f"{corner:g}" for corner in (x1, y1, x2, y2)]
            yield [int(frame), int(track), *box]


def write_table(path: Path, header: list[str], rows: Iterable[list[str | int]]) -> None:
    """A CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# ── reading ──


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


def read_truth(
    folder: Path,
    name: str,
    frames: int,
    seconds: Callable[[], Floats] | None = None,
    size: Callable[[], Size] | None = None,
) -> Truth | None:
    """The truth in the folder about the video `name`, of which `frames` frames were decoded; None
    where there is none.

    `seconds` gives the time of every frame and is asked only where segments are in seconds; `size`,
    the (height, width) of the video, only where there are masks. Raises BadTruth, naming file and
    counts, for whatever does not fit.
    """
    label_file = only_one([folder / f"{name}{ending}" for ending in LABEL_ENDINGS], name)
    mask_file = only_one([folder / f"{name}{ending}" for ending in MASK_ENDINGS], name)
    track_file = folder / f"{name}{TRACK_ENDING}"
    labels: Labels | None = None
    mask: Masks | None = None
    tracks: Tracks | None = None
    if label_file is not None and is_mask_array(label_file):
        # a pixel mask where frame labels were expected says the same and more
        if mask_file is not None:
            raise BadTruth(f"{name} has its masks twice, in {label_file} and in {mask_file.name}")
        mask_file, label_file = label_file, None
    if label_file is not None:
        labels = read_labels(label_file, frames, seconds)
    if mask_file is not None:
        video_size = None if size is None else size()
        mask = read_masks(mask_file, video_size)
        check_masks(mask_file, mask, frames, video_size)
    if track_file.exists():
        tracks = read_tracks(track_file, frames)
    return combine(labels, mask, tracks, frames, label_file)


def combine(
    labels: Labels | None,
    mask: Masks | None,
    tracks: Tracks | None,
    frames: int,
    where: Path | None = None,
) -> Truth | None:
    """One truth of what was found; frame labels count, and where masks or tracks differ from them
    is a note.

    `where` names the labels in errors. Raises BadTruth where labels and masks, or tracks, have no
    frame in common.
    """
    if labels is None and mask is None and tracks is None:
        return None
    marked: dict[str, Bools] = {}  # frames that hold a place
    if mask is not None:
        marked["masks"] = odd_frames(mask)
    if tracks is not None:
        marked["tracks"] = np.zeros(frames, bool)
        marked["tracks"][tracks.rows[:, 0].astype(int)] = True
    notes: list[str] = []
    if labels is not None:
        frame = labels.frame
        for what, flags in marked.items():
            note = compare_frames(where, frame, flags, what)
            if note:
                notes.append(note)
    else:
        frame = np.any(list(marked.values()), axis=0)
    kind = None
    if labels is not None:
        kind = labels.kind
    if kind is None and tracks is not None:
        kind = tracks.kind
    rows = None if tracks is None else tracks.rows
    return Truth(np.asarray(frame, bool), mask, rows, kind, "; ".join(notes))


def compare_frames(
    where: Path | None, labels: Bools, marked: Bools, what: str, least: float = 0.0
) -> str:
    """A note on the frames in which frame labels and masks (or tracks) disagree; "" where they
    agree.

    Raises BadTruth when, of the frames that either calls anomalous, no more than the share `least`
    is so by both: they are not of the same video.
    """
    differ = int(np.count_nonzero(labels != marked))
    both = int(np.count_nonzero(labels & marked))
    either = both + differ
    if labels.any() and marked.any() and both <= least * either:
        raise BadTruth(
            f"{where}: of {either} frames that labels or {what} call anomalous, "
            f"{both} are so by both: "
            "they are of different videos"
        )
    if not differ:
        return ""
    return f"frame labels and {what} disagree in {differ} frames; the labels count"


def truth_files(folder: Path, name: str) -> list[Path]:
    """The files and folders from which `read_truth` would read."""
    paths = [folder / f"{name}{ending}" for ending in (*LABEL_ENDINGS, *MASK_ENDINGS, TRACK_ENDING)]
    return [path for path in paths if is_truth(path)]


def truth_names(folder: Path) -> dict[str, Path]:
    """The names that a folder of truth holds something about, each with a file; `sub/name` for
    sub-folders.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__MACOSX")) for part in relative.parts)
        if hidden or not is_truth(path):
            continue
        found.setdefault(without_ending(relative.as_posix()), path)
    return found


def without_ending(name: str) -> str:
    """The name of the video that a file of truth is called after.

    >>> without_ending("monday.tracks.csv"), without_ending("sub/monday_gt")
    ('monday', 'sub/monday')
    >>> without_ending("a.avi.txt")
    'a.avi'
    """
    for ending in (TRACK_ENDING, ".masks.npz", "_gt", "_mask", *LABEL_ENDINGS):
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


def is_truth(path: Path) -> bool:
    """Whether a file, or a folder of pictures, may be truth by its name."""
    if path.is_dir():
        return bool(pictures_of(path))
    return path.is_file() and path.name.endswith((*LABEL_ENDINGS, ".masks.npz"))


def only_one(paths: Iterable[Path], name: str) -> Path | None:
    """The one of these that is there. Raises BadTruth where there are two."""
    found = [path for path in paths if is_truth(path)]
    if len(found) > 1:
        raise BadTruth(
            f"{name} has its truth twice, in {found[0]} and in {found[1].name}: keep one"
        )
    return found[0] if found else None


# ── labels ──


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
        times = None if seconds is None else seconds()
        if times is None or len(times) < frames:
            raise BadTruth(
                f"{path} is in seconds, but the times of the video's {frames} frames are not "
                "known; use frames"
            )
        segments = [segment_in_seconds(path, record, times[:frames]) for record in records]
    else:
        raise BadTruth(f"{path} begins with {','.join(header)!r}, not with {SEGMENTS_HEADER}")
    frame = np.zeros(frames, bool)
    kinds: list[list[str]] = [[] for _ in range(frames)]
    for (start, end), (_, row) in zip(segments, records, strict=True):
        frame[start:end] = True
        for k in range(start, end):
            add_kind(kinds[k], row)
    return Labels(frame, join_kinds(kinds) if "kind" in header else None)


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
    last = float(times[-1]) if len(times) else 0.0
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
    kinds: list[list[str]] = [[] for _ in range(frames)]
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
        add_kind(kinds[int(frame)], row)
    return Tracks(rows, join_kinds(kinds) if "kind" in header else None)


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


def add_kind(kinds: list[str], row: dict[str, str]) -> None:
    """Add a row's kind to those of a frame."""
    kind = row.get("kind")
    if kind and kind not in kinds:
        kinds.append(kind)


def join_kinds(kinds: list[list[str]]) -> Kinds:
    """One word a frame; two things at once are `runner+cyclist`."""
    return np.array(["+".join(kind) for kind in kinds], dtype=np.str_)
