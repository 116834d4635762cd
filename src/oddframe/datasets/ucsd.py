"""UCSD Ped1 and Ped2: walkways on a campus, where only walking is normal (Mahadevan et al., CVPR
2010).

Frame labels are those of the authors' `.m` file, by which results are published; pixel masks come
beside them, for some clips of Ped1 and all of Ped2. Where the two disagree, the truth's note tells
in how many frames.
"""

import re
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import ClassVar

from oddframe.datasets.annotations import compare_frames
from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.masks import (
    StoredMasks,
    array_masks,
    check_masks,
    names_in,
    odd_frames,
    picture_masks,
    size_of_video,
)
from oddframe.datasets.shared_layout import (
    Ranges,
    find_shared_layout,
    flags_in,
    read_shared_layout,
)
from oddframe.datasets.tree import entries_of, nearest
from oddframe.errors import BadInput, BadTruth
from oddframe.files import listing
from oddframe.types import Bools, Truth, Video
from oddframe.video.reader import VIDEO_ENDINGS, pictures_of

PACKED_MASKS = "pixel_masks.npz"
LEAST_IN_COMMON = (
    0.5  # share of anomalous frames that labels and masks of one clip have in common, at least
)

COMMENT_BLOCK = re.compile(r"^[ \t]*%\{[ \t]*$.*?^[ \t]*%\}[ \t]*$", re.MULTILINE | re.DOTALL)
CONTINUATION = re.compile(r"\.\.\.[^\n]*\n")
COMMENT = re.compile(r"%[^\n]*")
ASSIGNMENT = re.compile(r"(?:\{([^}]*)\}\s*\.\s*)?gt_frame\s*=\s*\[([^\]]*)\]")


class _Ucsd(DataSet):
    origin = "http://www.svcl.ucsd.edu/projects/anomaly/dataset.htm (UCSD_Anomaly_Dataset.tar.gz)"
    folder: ClassVar[str]
    counts: ClassVar[Counts]
    fps: ClassVar[float] = 10.0

    def find(self, root: Path) -> dict[str, Path]:
        levels: list[Path] = []
        for path in (root, *entries_of(root)):
            if path.is_dir():
                levels.append(path)
        bases = []
        for level in levels:
            named = nearest(level, self.folder, self.name)
            if named is not None:
                bases.append(named)
        for base in [*bases, root]:
            if nearest(base, "Train") or nearest(base, "Test"):
                return {self.folder: base}
        for level in levels:
            base_of_all = find_shared_layout(level, self.name, self.folder)
            if base_of_all is not None:
                return {self.name: base_of_all}
        return {}

    def read_split(self, root: Path) -> Split:
        found = self.find(root)
        if self.name in found:
            split = read_shared_layout(found[self.name], self.name, self.fps)
        elif self.folder in found:
            split = self.read_official(root, found[self.folder])
        else:
            raise self.not_found(root, "there is neither Train/ nor Test/")
        if not split.train and not split.test:
            base = next(iter(found.values()))
            raise self.not_found(root, f"there is no video in {base}, neither TrainNNN nor TestNNN")
        return split

    def read_official(self, root: Path, base: Path) -> Split:
        """The split of the authors' own layout."""
        train = nearest(base, "Train")
        test = nearest(base, "Test")
        for other in entries_of(test):
            named_so = fnmatchcase(other.name, "UCSDped*.m")
            if named_so and other.stem.lower() != self.folder.lower():
                raise self.not_found(root, f"{other} belongs to another data set")
        learned = [Video(path.stem, path, fps=self.fps) for path in clips_in(train, "Train")]
        judged = []
        for path in clips_in(test, "Test"):
            truth = None
            if test is not None and has_truth(test, path.stem):
                truth = partial(clip_truth, test, path.stem, self.counts.test_videos, path)
            judged.append(Video(path.stem, path, fps=self.fps, truth=truth))
        return Split(learned, judged)


class Ped1(_Ucsd):
    """UCSD Ped1: people walking up and down a path; cyclists, skaters and carts are odd. 238×158,
    grey.
    """

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
or as many repositories have it
ped1/
  training/
    frames/
      01/ … 34/
        000.jpg …
  testing/
    frames/
      01/ … 36/
        000.jpg …
  ped1.mat                          gt: a cell for each test video, a row of first and one of last frames
"""


class Ped2(_Ucsd):
    """UCSD Ped2: people walking across the picture; cyclists, skaters and carts are odd. 360×240,
    grey.
    """

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
or as many repositories have it
ped2/
  training/
    frames/
      01/ … 16/
        000.jpg …
  testing/
    frames/
      01/ … 12/
        000.jpg …
  ped2.mat                          gt: a cell for each test video, a row of first and one of last frames
"""


# ── truth ──


def clip_truth(test: Path, clip: str, published: int, source: Path | None, frames: int) -> Truth:
    """The truth in the folder `Test` about a clip such as Test001 of a set that has `published`
    test clips.

    `source` is its video, with whose size masks are compared.
    """
    ranges_file = find_ranges(test)
    masks = clip_masks(test, clip)
    labels: Bools | None = None
    if ranges_file is not None:
        labels = clip_labels(ranges_file, clip, published, frames)
    note = ""
    if masks is not None:
        where = test / f"{clip}_gt"
        size = None
        if source is not None:
            size = size_of_video(Video(clip, source))
        check_masks(where, masks, frames, size)
        marked = odd_frames(masks)
        if labels is None:
            labels = marked
        else:
            note = compare_frames(ranges_file, labels, marked, f"masks of {clip}", LEAST_IN_COMMON)
    if labels is None:
        raise BadTruth(
            f"{test} holds neither a UCSDped*.m nor masks {clip}_gt: "
            f"nothing says what is odd in {clip}"
        )
    return Truth(labels, masks, note=note)


def clip_labels(path: Path, clip: str, published: int, frames: int) -> Bools:
    """(frames,) True where the `.m` file calls a frame of the clip anomalous.

    The file has a line for each clip. One with more or fewer would give clips the labels of others:
    it is refused, unless it has as many as the folder beside it.
    """
    clips = read_ranges(path)
    number = int(re.sub(r"\D", "", clip))
    here = highest_clip(path.parent)
    if len(clips) not in (published, here):
        raise BadTruth(
            f"{path} has ranges of {len(clips)} clips, but there are {here} here and {published} "
            "published"
        )
    if not 1 <= number <= len(clips):
        raise BadTruth(f"{path} has ranges of {len(clips)} clips, none of {clip}")
    for _, last in clips[number - 1]:
        if last > frames:
            raise BadTruth(
                f"{path}: {clip} is odd up to frame {last}, but {frames} frames were decoded"
            )
    return flags_in(path, clips[number - 1], frames)


def read_ranges(path: Path) -> list[Ranges]:
    """For each test clip the frames that are odd, as the authors write them: from 1, last included.

    Their file has a line `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];` a clip. It is read as
    MATLAB would: what follows a % is a comment, and an index in place of `end+1` says which clip it
    is.
    """
    text = path.read_text(errors="replace")
    text = COMMENT_BLOCK.sub("", text)
    text = CONTINUATION.sub(" ", text)
    text = COMMENT.sub("", text)
    clips: dict[int, Ranges] = {}
    for index, ranges in ASSIGNMENT.findall(text):
        given = index.replace(" ", "")
        number = len(clips) + 1
        if given.isdecimal():
            number = int(given)
        clips[number] = parse_ranges(path, ranges)
    if not clips:
        raise BadTruth(f"{path} has no line like 'TestVideoFile{{end+1}}.gt_frame = [60:152];'")
    if sorted(clips) != list(range(1, len(clips) + 1)):
        raise BadTruth(f"{path} has ranges of the clips {sorted(clips)}: some are missing")
    return [clips[number] for number in sorted(clips)]


def parse_ranges(path: Path, text: str) -> Ranges:
    """`5:90, 140:200` or `7`."""
    ranges = []
    compact = re.sub(r"\s*:\s*", ":", text.strip())
    for word in re.split(r"[,\s]+(?=\d)", compact):
        if not word:
            continue
        match = re.fullmatch(r"(\d+)(?::(\d+))?", word.strip(" ,"))
        if match is None or int(match[1]) < 1:
            raise BadTruth(f"{path}: frames are written [5:90, 140:200], got [{text}]")
        first, last = match.groups()
        ranges.append((int(first), int(last or first)))
    return ranges


def find_ranges(test: Path) -> Path | None:
    """The authors' `.m` file."""
    for path in sorted(listing(test)):
        if path.suffix == ".m":
            return path
    return None


def clip_masks(test: Path, clip: str) -> StoredMasks | None:
    """The pixel masks of a clip, as pictures or packed."""
    folder = nearest(test, f"{clip}_gt")
    packed = test / PACKED_MASKS
    if folder is not None:
        pictures = pictures_of(folder)
        if pictures:
            return picture_masks(pictures)
    if packed.exists() and f"{clip}_gt" in names_in(packed):
        return array_masks(packed, f"{clip}_gt")
    return None


def has_truth(test: Path, clip: str) -> bool:
    """Whether the folder `Test` holds anything about the clip."""
    if find_ranges(test) is not None or nearest(test, f"{clip}_gt") is not None:
        return True
    return (test / PACKED_MASKS).exists()


# ── clips ──


def clips_in(folder: Path | None, half: str) -> list[Path]:
    """TrainNNN or TestNNN, as folders of pictures or as videos; `_gt` and whatever else lies there
    is none.
    """
    found: dict[str, Path] = {}
    for path in clip_paths(folder, half):
        if path.is_dir() and not pictures_of(path):
            raise BadInput(f"{path} holds no frame; it should hold 001.tif and so on")
        if path.stem in found:
            other = found[path.stem]
            raise BadInput(
                f"{path.stem} is there twice, as {other.name} and {path.name} in {folder}: keep one"
            )
        found[path.stem] = path
    return list(found.values())


def clip_paths(folder: Path | None, half: str) -> list[Path]:
    """What is called TrainNNN or TestNNN."""
    found = []
    for path in entries_of(folder):
        called = re.fullmatch(rf"{half}\d+", path.stem, re.IGNORECASE)
        if called and (path.is_dir() or path.suffix.lower() in VIDEO_ENDINGS):
            found.append(path)
    return found


def highest_clip(test: Path) -> int:
    """The highest number of a test clip in the folder."""
    highest = 0
    for path in clip_paths(test, "Test"):
        number = int(re.sub(r"\D", "", path.stem))
        highest = max(highest, number)
    return highest
