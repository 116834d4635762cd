"""The layout in which Ped2, Ped1 and Avenue circulate between repositories of the field.

    ped2/training/frames/01/000.jpg …   ped2/testing/frames/01/000.jpg …   ped2/ped2.mat

`ped2.mat` has a cell `gt` of one array a test video, a row of first and a row of last frames, from
1, both included (Liu et al., Future Frame Prediction for Anomaly Detection, CVPR 2018). In its
place there may be `test_frame_mask/NN.npy`, as ShanghaiTech has it, or `frame_labels_ped2.npy`, the
labels of all test videos one after the other (Park et al., Memory-guided Normality, CVPR 2020).
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.datasets.base import Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.frame_labels import as_flags, read_flags
from oddframe.datasets.masks import check_count, read_array
from oddframe.datasets.matlab import read_cell
from oddframe.datasets.tree import nearest
from oddframe.errors import BadTruth
from oddframe.types import Bools, Truth, Video
from oddframe.video.reader import times_of

RANGE_CELL = "gt"
FRAME_MASK_FOLDERS = ("test_frame_mask", "frame_masks", "frame_mask", "test_frame_masks")
LABEL_FILE_BYTES = 1 << 26  # of frame labels: no set of these has a million frames

Ranges = list[tuple[int, int]]  # first and last frame, from 1


def find_shared_layout(root: Path, name: str, *others: str) -> Path | None:
    """The folder that holds training/ and testing/ of the data set `name`, if any; it or its truth
    is called so.
    """
    named = nearest(root, name, *others)
    for base in (named, root):
        if base is None or not base.is_dir():
            continue
        training = video_folder(nearest(base, "training"))
        testing = video_folder(nearest(base, "testing"))
        if training is None and testing is None:
            continue
        called = base == named or nearest(base.parent, name, *others) == base
        if called or label_file(base, name) is not None:
            return base
    return None


def read_shared_layout(base: Path, name: str, fps: float) -> Split:
    """Videos of training/ and testing/, the latter with the truth that there is."""
    train = videos_in(nearest(base, "training"), fps)
    test = videos_in(nearest(base, "testing"), fps)
    labels = label_file(base, name)
    masks = nearest(nearest(base, "testing"), *FRAME_MASK_FOLDERS)
    sources = [video.source for video in test]
    judged = []
    for position, video in enumerate(test):
        truth = None
        mask = None
        if masks is not None:
            mask = masks / f"{video.name}.npy"
        if mask is not None and mask.is_file():
            truth = partial(frame_mask_truth, mask)
        elif labels is not None and labels.suffix == ".mat":
            truth = partial(cell_truth, labels, position, len(test))
        elif labels is not None:
            truth = partial(joined_truth, labels, position, sources)
        judged.append(replace(video, truth=truth))
    return Split(train, judged)


def cell_truth(path: Path, position: int, videos: int, frames: int) -> Truth:
    """The truth of the test video at `position` of NAME.mat, of which there are `videos`."""
    cells = read_cell(path, RANGE_CELL, LABEL_FILE_BYTES)
    if len(cells) != videos:
        raise BadTruth(f"{path} has ranges of {len(cells)} videos, but there are {videos} to test")
    ranges = ranges_of_cell(path, cells[position])
    return Truth(flags_in(path, ranges, frames))


def ranges_of_cell(path: Path, cell: NDArray[Any]) -> Ranges:
    """Row 1 the first, row 2 the last frame of each range."""
    if cell.size == 0:
        return []
    rows = cell
    if cell.shape == (1, 2):
        rows = cell.reshape(2, 1)
    if rows.ndim != 2 or len(rows) != 2 or not np.isfinite(rows).all():
        raise BadTruth(
            f"{path}: {RANGE_CELL} is a row of starts and a row of ends, got {cell.shape}"
        )
    whole = rows.astype(np.int64)
    if (whole != rows).any():
        raise BadTruth(f"{path}: frames are whole numbers, got {rows.tolist()}")
    ranges = []
    for first, last in whole.T.tolist():
        ranges.append((first, last))
    return ranges


def flags_in(where: Path, ranges: Ranges, frames: int) -> Bools:
    """(frames,) True in the ranges. Raises BadTruth for one that does not lie inside."""
    flags = np.zeros(frames, bool)
    for first, last in ranges:
        if not 1 <= first <= last:
            raise BadTruth(f"{where}: frames are counted from 1, a range is {first} to {last}")
        if last > frames:
            raise BadTruth(
                f"{where}: a range goes up to frame {last}, but {frames} frames were decoded"
            )
        flags[first - 1 : last] = True
    return flags


def frame_mask_truth(path: Path, frames: int) -> Truth:
    """The truth of one test video from its own file of labels."""
    flags = read_flags(path, frames)
    check_count(path, "labels", len(flags), frames)
    return Truth(flags)


def joined_truth(path: Path, position: int, sources: list[Path], frames: int) -> Truth:
    """The truth of the test video at `position` from the labels of all test videos one after the
    other.
    """
    values = read_array(path, most_bytes=LABEL_FILE_BYTES).reshape(-1)
    lengths = []
    for source in sources:
        video = Video(source.name, source)
        lengths.append(len(times_of(video)))
    total = sum(lengths)
    if len(values) != total:
        raise BadTruth(f"{path} has {len(values)} labels for {total} frames of all videos")
    check_count(path, f"labels for {sources[position].name}", lengths[position], frames)
    start = sum(lengths[:position])
    return Truth(as_flags(path, values[start : start + frames]))


def label_file(base: Path, name: str) -> Path | None:
    """NAME.mat or frame_labels_NAME.npy, in the folder, in testing/ or beside the folder."""
    for folder in (base, nearest(base, "testing"), base.parent):
        found = nearest(folder, f"{name}.mat", f"frame_labels_{name}.npy")
        if found is not None:
            return found
    return None


def videos_in(half: Path | None, fps: float) -> list[Video]:
    """The videos of training/ or testing/, in natural order."""
    videos = videos_under(video_folder(half))
    return [Video(video.name, video.source, fps=fps) for video in videos]


def video_folder(half: Path | None) -> Path | None:
    """The folder of videos in training/ or testing/."""
    return nearest(half, "frames", "videos")
