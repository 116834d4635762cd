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
from itertools import pairwise
from pathlib import Path

import numpy as np

from oddframe.datasets.frame_labels import (
    TRACK_COLUMNS,
    Labels,
    Tracks,
    is_mask_array,
    read_labels,
    read_tracks,
)
from oddframe.datasets.masks import Size, check_masks, odd_frames, read_masks
from oddframe.errors import BadTruth
from oddframe.files import aside
from oddframe.types import Bools, Floats, Masks, Truth
from oddframe.video.reader import pictures_of

LABEL_ENDINGS = (".npy", ".txt", ".csv")
MASK_ENDINGS = (".masks.npz", "", "_gt", "_mask")
TRACK_ENDING = ".tracks.csv"

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
        inside = np.clip(corners, 0, 1).round(6).tolist()
        x1, y1, x2, y2 = inside
        if x1 < x2 and y1 < y2:
            box = [f"{corner:g}" for corner in inside]
            yield [int(frame), int(track), *box]


def write_table(path: Path, header: list[str], rows: Iterable[list[str | int]]) -> None:
    """A CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# ── reading ──


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
    label_file = only_one(folder, name, LABEL_ENDINGS)
    mask_file = only_one(folder, name, MASK_ENDINGS)
    track_file = folder / f"{name}{TRACK_ENDING}"
    labels: Labels | None = None
    mask: Masks | None = None
    tracks: Tracks | None = None
    if label_file is not None and is_mask_array(label_file):
        # a pixel mask where frame labels were expected says the same and more
        if mask_file is not None:
            raise BadTruth(f"{name} has its masks twice, in {label_file} and in {mask_file.name}")
        mask_file = label_file
        label_file = None
    if label_file is not None:
        labels = read_labels(label_file, frames, seconds)
    if mask_file is not None:
        video_size = None
        if size is not None:
            video_size = size()
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
    rows = None
    if tracks is not None:
        kind = tracks.kind
        rows = tracks.rows
    if labels is not None and labels.kind is not None:
        kind = labels.kind
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
            f"{both} are so by both: they are of different videos"
        )
    if not differ:
        return ""
    return f"frame labels and {what} disagree in {differ} frames; the labels count"


def truth_files(folder: Path, name: str) -> list[Path]:
    """The files and folders from which `read_truth` would read."""
    found = []
    for ending in (*LABEL_ENDINGS, *MASK_ENDINGS, TRACK_ENDING):
        path = folder / f"{name}{ending}"
        if is_truth(path):
            found.append(path)
    return found


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


def only_one(folder: Path, name: str, endings: Iterable[str]) -> Path | None:
    """The truth about `name` with one of these endings. Raises BadTruth where there are two."""
    found: Path | None = None
    for ending in endings:
        path = folder / f"{name}{ending}"
        if not is_truth(path):
            continue
        if found is not None:
            raise BadTruth(f"{name} has its truth twice, in {found} and in {path.name}: keep one")
        found = path
    return found
