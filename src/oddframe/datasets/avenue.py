"""CUHK Avenue: a campus corridor seen from one camera (Lu, Shi and Jia, ICCV 2013)."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.masks import (
    PackedMasks,
    check_masks,
    odd_frames,
    pack_masks,
    size_of_video,
)
from oddframe.datasets.matlab import read_cell
from oddframe.datasets.shared_layout import (
    find_shared_layout,
    read_shared_layout,
    video_folder,
)
from oddframe.datasets.tree import entries_of, nearest
from oddframe.errors import BadTruth
from oddframe.types import Truth, Video

FRAMES_APART = (
    2  # decoders differ by one at the end of these files, labels were made with one of them
)
MASK_FOLDER = "testing_label_mask"
MASK_CELL = "volLabel"
PIXEL_BYTES = 16  # a pixel of a mask may be a number of 8 bytes, of a picture with larger sides


class Avenue(DataSet):
    """CUHK Avenue: people passing on a campus; running, throwing, and going the wrong way are odd.
    640×360, 25 fps.
    """

    name = "avenue"
    origin = "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html (video and ground_truth_demo.zip)"
    counts = Counts(16, 15_328, 21, 15_324, 3_712)
    TREE = """
Avenue Dataset/
  training_videos/
    01.avi … 16.avi
  testing_videos/
    01.avi … 21.avi
ground_truth_demo/                  beside or in it
  testing_label_mask/
    1_label.mat … 21_label.mat      volLabel: a cell of one mask a frame
or as many repositories have it
avenue/
  training/
    frames/
      01/ … 16/
        000.jpg …
  testing/
    frames/
      01/ … 21/
        000.jpg …
  avenue.mat                        gt: a cell for each test video, a row of first and one of last frames
"""

    def find(self, root: Path) -> dict[str, Path]:
        inner = nearest(root, "Avenue_Dataset", "Avenue")
        for base in (root, inner):
            if base is None:
                continue
            if nearest(base, "training_videos") or nearest(base, "testing_videos"):
                found = {"Avenue Dataset": base}
                truth = find_ground_truth(root, base, base.parent)
                if truth is not None:
                    found["ground_truth_demo"] = truth
                return found
        shared = find_shared_layout(root, self.name)
        if shared is None:
            return {}
        return {self.name: shared}

    def read_split(self, root: Path) -> Split:
        found = self.find(root)
        if self.name in found:
            return self.read_shared(found[self.name])
        if "Avenue Dataset" not in found:
            raise self.not_found(root, "there is neither training_videos/ nor testing_videos/")
        base = found["Avenue Dataset"]
        labels = label_files(found.get("ground_truth_demo"))
        split = Split(
            find_films(nearest(base, "training_videos"), {}),
            find_films(nearest(base, "testing_videos"), labels),
        )
        if not split.train and not split.test:
            raise self.not_found(root, f"there is no video in {base}")
        return split

    def read_shared(self, base: Path) -> Split:
        """The layout of others; the authors' masks, where they are there too, say more than
        ranges.
        """
        split = read_shared_layout(base, self.name, 25.0)
        labels = label_files(find_ground_truth(base, base.parent))
        if not labels:
            return split
        frames = video_folder(nearest(base, "testing"))
        return Split(split.train, find_films(frames, labels))


def find_films(folder: Path | None, labels: dict[int, Path]) -> list[Video]:
    """The videos of a folder, those that have labels with their truth."""
    videos = []
    for found in videos_under(folder):
        truth = None
        path = None
        if found.name.isdigit():  # videos are called 01, their labels 1_label.mat
            path = labels.get(int(found.name))
        if path is not None:
            truth = partial(mask_truth, path, found.source)
        videos.append(Video(found.name, found.source, fps=25.0, truth=truth))
    return videos


def mask_truth(path: Path, source: Path, frames: int) -> Truth:
    """The masks of one test video. A difference of one or two frames at the end is mended, and
    noted.
    """
    height, width = size_of_video(Video(source.stem, source))
    longest = frames + FRAMES_APART
    pictures = read_label_cell(path, most_bytes=longest * height * width * PIXEL_BYTES)
    note = ""
    if 0 < abs(len(pictures) - frames) <= FRAMES_APART:
        note = f"{path.name} has {len(pictures)} masks for {frames} frames"
        if len(pictures) > frames:
            note += "; the last were left out"
            pictures = pictures[:frames]
        else:
            note += "; the last was taken again"
            pictures += [pictures[-1]] * (frames - len(pictures))
    masks = packed(pictures)
    check_masks(path, masks, frames, (height, width))
    return Truth(odd_frames(masks), masks, note=note)


def read_label_cell(path: Path, most_bytes: int) -> list[NDArray[Any]]:
    """The masks of a file `<n>_label.mat`, (360, 640) each, above 0 where odd."""
    pictures = read_cell(path, MASK_CELL, most_bytes)
    if not pictures:
        raise BadTruth(f"{path}: {MASK_CELL} is a cell of masks, got an empty one")
    first = pictures[0].shape
    for picture in pictures:
        if picture.ndim != 2 or picture.shape != first or 0 in picture.shape:
            raise BadTruth(
                f"{path}: {MASK_CELL} is a cell of masks of one size, "
                f"got {picture.shape} beside {first}"
            )
    return pictures


def packed(pictures: list[NDArray[Any]]) -> PackedMasks:
    """The masks, small in memory: MATLAB's files cannot be read frame by frame."""
    height, width = pictures[0].shape
    return pack_masks(pictures, (height, width))


def find_ground_truth(*folders: Path) -> Path | None:
    """The folder that holds testing_label_mask/: one of these, or ground_truth_demo/ in one of
    these.
    """
    for folder in folders:
        for holder in (nearest(folder, "ground_truth_demo"), folder):
            if holder is not None and nearest(holder, MASK_FOLDER) is not None:
                return holder
    return None


def label_files(holder: Path | None) -> dict[int, Path]:
    """The files of labels by the number at the beginning of their names."""
    found = {}
    for path in entries_of(nearest(holder, MASK_FOLDER)):
        number = re.match(r"\d+", path.name)
        if path.suffix == ".mat" and number is not None:
            found[int(number[0])] = path
    return found
