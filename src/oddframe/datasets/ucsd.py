"""UCSD Ped1 and Ped2: walkways on a campus, where only walking is normal (Mahadevan et al., CVPR 2010).

Frame labels are those of the authors' `.m` file, by which results are published; pixel masks come beside them, for
some clips of Ped1 and all of Ped2. Where the two disagree, the truth's note says so.
"""

import re
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from oddframe.datasets.annotations import array_in, fits, names_in, odd_frames, pictured_masks
from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput, BadTruth
from oddframe.files import listing
from oddframe.types import Bools, Truth, Video
from oddframe.video.reader import VIDEO_ENDINGS, pictures_of

FPS = 10.0
PACKED = "pixel_masks.npz"


class _Ucsd(DataSet):
    offered = "http://www.svcl.ucsd.edu/projects/anomaly/dataset.htm (UCSD_Anomaly_Dataset.tar.gz)"
    folder: ClassVar[str]

    def places(self, root: Path) -> dict[str, Path]:
        levels = [root, *(path for path in listing(root) if path.is_dir())] if root.is_dir() else []
        named = [
            found
            for level in levels
            if (found := nearest(level, self.folder, self.name)) is not None
        ]
        for base in [*named, root]:
            if nearest(base, "Train") or nearest(base, "Test"):
                return {self.folder: base}
        return {}

    def read(self, root: Path) -> Split:
        base = self.places(root).get(self.folder)
        if base is None:
            raise self.nothing(root, "there is neither Train/ nor Test/")
        train, test = nearest(base, "Train"), nearest(base, "Test")
        for other in sorted(test.glob("UCSDped*.m")) if test else []:
            if other.stem.lower() != self.folder.lower():
                raise self.nothing(root, f"{other} belongs to another data set")
        split = Split(
            [Video(path.stem, path, fps=FPS) for path in _clips(train, "Train")],
            [
                Video(path.stem, path, fps=FPS, truth=_told(test, path.stem))
                for path in _clips(test, "Test")
            ],
        )
        if not split.train and not split.test:
            raise self.nothing(root, f"there is no video in {base}, neither TrainNNN nor TestNNN")
        return split


class Ped1(_Ucsd):
    """UCSD Ped1: people walking up and down a path; cyclists, skaters and carts are odd. 238×158, grey."""

    name = "ped1"
    folder = "UCSDped1"
    counts = Counts(34, 6_800, 36, 7_200, 4_045)
    TREE = """
UCSDped1/
  Train/
    Train001/ … Train034/
      001.tif …
  Test/
    Test001/ … Test036/
      001.tif …
    Test003_gt/                     optional: pixel masks, of some clips only
      001.bmp …
    UCSDped1.m                      which frames are odd
or one video a clip
UCSDped1/
  Train/
    Train001.mp4 … Train034.mp4
  Test/
    Test001.mp4 … Test036.mp4
    pixel_masks.npz                 optional: Test003_gt (frames, height, width) …
    UCSDped1.m
"""


class Ped2(_Ucsd):
    """UCSD Ped2: people walking across the picture; cyclists, skaters and carts are odd. 360×240, grey."""

    name = "ped2"
    folder = "UCSDped2"
    counts = Counts(16, 2_550, 12, 2_010, 1_648)
    TREE = """
UCSDped2/
  Train/
    Train001/ … Train016/
      001.tif …
  Test/
    Test001/ … Test012/
      001.tif …
    Test001_gt/ … Test012_gt/       pixel masks
      001.bmp …
    UCSDped2.m                      which frames are odd
or one video a clip
UCSDped2/
  Train/
    Train001.mp4 … Train016.mp4
  Test/
    Test001.mp4 … Test012.mp4
    pixel_masks.npz                 Test001_gt (frames, height, width) …
    UCSDped2.m
"""


def ranges_in(path: Path) -> list[list[tuple[int, int]]]:
    """For each test clip the frames that are odd, as the authors write them: from 1, last included.

    Their file has a line `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];` a clip.
    """
    clips = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", path.read_text(errors="replace"))
    if not clips:
        raise BadTruth(f"{path} has no line like 'TestVideoFile{{end+1}}.gt_frame = [60:152];'")
    return [_ranges(path, text) for text in clips]


def truth_of(test: Path, clip: str, frames: int) -> Truth:
    """What the folder `Test` says of a clip such as Test001."""
    frame, mask, note = _labels(test, clip, frames), _masks(test, clip), ""
    if mask is not None:
        fits(test / f"{clip}_gt", "masks", len(mask), frames)
        marked = odd_frames(mask)
        frame = marked if frame is None else frame
        if differ := np.count_nonzero(frame != marked):
            note = f"frame labels and pixel masks disagree in {differ} frames; the labels count"
    if frame is None:
        raise BadTruth(
            f"{test} holds neither a UCSDped*.m nor masks {clip}_gt: nothing says what is odd in {clip}"
        )
    return Truth(frame, mask, note=note)


def _told(test: Path | None, clip: str) -> partial[Truth] | None:
    if test is None or not (_written(test) or _pictured(test, clip) or (test / PACKED).exists()):
        return None
    return partial(truth_of, test, clip)


def _clips(folder: Path | None, part: str) -> list[Path]:
    """TrainNNN or TestNNN, as folders of pictures or as videos; `_gt` and whatever else lies there is none."""
    found: dict[str, Path] = {}
    for path in listing(folder) if folder is not None else []:
        film = path.suffix.lower() in VIDEO_ENDINGS
        if not re.fullmatch(rf"{part}\d+", path.stem, re.IGNORECASE) or not (path.is_dir() or film):
            continue
        if path.is_dir() and not pictures_of(path):
            raise BadInput(f"{path} holds no frame; it should hold 001.tif and so on")
        if path.stem in found:
            raise BadInput(
                f"{path.stem} is there twice, as {found[path.stem].name} and {path.name} in {folder}: keep one"
            )
        found[path.stem] = path
    return list(found.values())


def _written(test: Path) -> Path | None:
    return next(iter(sorted(path for path in listing(test) if path.suffix == ".m")), None)


def _labels(test: Path, clip: str, frames: int) -> Bools | None:
    path = _written(test)
    if path is None:
        return None
    clips, number = ranges_in(path), int(re.sub(r"\D", "", clip))
    if not 1 <= number <= len(clips):
        raise BadTruth(f"{path} tells of {len(clips)} clips, nothing of {clip}")
    labels = np.zeros(frames, bool)
    for first, last in clips[number - 1]:
        if last > frames:
            raise BadTruth(
                f"{path}: {clip} is odd up to frame {last}, but {frames} frames were decoded"
            )
        labels[first - 1 : last] = True
    return labels


def _ranges(path: Path, text: str) -> list[tuple[int, int]]:
    """`5:90, 140:200` or `7`."""
    ranges = []
    for part in re.split(r"[,\s]+(?=\d)", re.sub(r"\s*:\s*", ":", text.strip())):
        match = re.fullmatch(r"(\d+)(?::(\d+))?", part.strip(" ,"))
        if part and (match is None or int(match[1]) < 1):
            raise BadTruth(f"{path}: frames are written [5:90, 140:200], got [{text}]")
        if match:
            ranges.append((int(match[1]), int(match[2] or match[1])))
    return ranges


def _pictured(test: Path, clip: str) -> Path | None:
    return nearest(test, f"{clip}_gt")


def _masks(test: Path, clip: str) -> Bools | None:
    folder, packed = _pictured(test, clip), test / PACKED
    if folder is not None and (pictures := pictures_of(folder)):
        return pictured_masks(pictures)
    if packed.exists() and f"{clip}_gt" in names_in(packed):
        return array_in(packed, f"{clip}_gt") > 0
    return None
