"""Somebody's own videos."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.discovery import (
    Found,
    find_videos,
    is_video_file,
    nothing_in,
    what_is_read,
    with_truth,
)
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.types import Truth, Video

TRAIN = ("train", "training")
TEST = ("test", "testing")
TRUTH = ("truth", "labels", "ground_truth")
NORMAL = {"normal", "normals", "good", "ok", "ordinary", "regular", "typical"}
ANOMALOUS = {"abnormal", "abnormals", "anomaly", "anomalies", "anomalous", "anomal"}

SHOWN_PATHS = 4  # paths in a note
# of folders only: in the name of a film these words may mean anything
BAD = {"bad", "odd", "defect", "defects", "defective", "outlier", "outliers"}


class Folder(DataSet):
    """Your own videos: ordinary ones to learn from and, if you like, others to be judged, with what
    is odd in them.

    A video is a file or a folder of pictures. Sub-folders are looked through; a video's label is
    the one it lies in. What operating systems leave behind is ignored. How to write down what is
    odd: docs/how-to/ground-truth.md. Nothing is learned from folders called abnormal/, anomaly/ or
    bad/; those beside normal/ or good/ are for testing.
    """

    name = "folder"
    origin = "your own disk"
    TREE = """
ROOT/
  train/                  ordinary video: files, or folders of pictures; sub-folders as you like
    monday.mp4 …
  test/                   optional: video to be judged on
    friday.mp4 …
  truth/                  optional: (or labels/) what is odd in test/, see docs/how-to/ground-truth.md
    friday.csv …
or just a folder of ordinary video
ROOT/
  monday.mp4 …
or the same as pictures
ROOT/
  monday/
    001.png …
or divided by name
ROOT/
  normal/ or good/        ordinary video
    monday.mp4 …
  abnormal/ or anomaly/   to be judged on
    friday.mp4 …
  truth/                  optional: (or labels/, ground_truth/)
    friday.csv …
"""

    def find(self, root: Path) -> dict[str, Path]:
        return {"ROOT": root}

    def read_split(self, root: Path) -> Split:
        if root.is_file():
            if not is_video_file(root):
                raise BadInput(f"{root} is not a video; {what_is_read()}")
            return Split([Video(root.stem, root)], [])
        if not root.is_dir():
            raise BadInput(f"no such file or folder: {root}")
        train = nearest(root, *TRAIN)
        test = nearest(root, *TEST)
        truth = nearest(root, *TRUTH)
        split = read_halves(root, train, test, truth)
        if not split.train and not split.test:
            raise BadInput(f"{nothing_in(root)}. Expected\n{self.TREE}")
        return split

    def missing(self, root: Path) -> tuple[str, ...]:
        """Nothing: whatever can be read is as it should be."""
        del root
        return ()


@dataclass
class Sorted:
    """Videos by what the names of their folders say."""

    learned: list[Found] = field(default_factory=list)
    anomalous: list[Found] = field(default_factory=list)
    others: list[Found] = field(default_factory=list)  # neither normal nor anomalous by name
    notes: tuple[str, ...] = ()

    @property
    def videos(self) -> list[Video]:
        """Those to learn from."""
        return [found.video for found in self.learned]


def read_halves(root: Path, train: Path | None, test: Path | None, truth: Path | None) -> Split:
    """A folder with train/ or test/, or both; without either, names may tell them apart."""
    if train is None and test is None:
        return read_undivided(root, truth)
    learned = Sorted()
    if train is not None:
        learned = sort_by_name(find_videos(train), train)
        refuse_only_anomalous(learned, root)
    judged = []
    if test is not None:
        judged = with_truth_by_name(find_videos(test), test, truth)
    return Split(learned.videos, judged, notes=learned.notes)


def read_undivided(root: Path, truth: Path | None) -> Split:
    """A folder without train/ and test/: all ordinary, unless names tell normal and anomalous video
    apart.
    """
    videos = find_videos(root)
    if truth is not None:
        videos = outside(truth, videos)
    found = sort_by_name(videos, root)
    refuse_only_anomalous(found, root)
    if truth is not None and not found.anomalous:
        raise BadInput(
            f"{truth} says what is odd in the videos of {root / 'test'}, which is not there"
        )
    if not found.anomalous:
        return Split(found.videos, [])
    judged = with_truth_by_name(found.anomalous, root, truth)
    return Split(found.videos, judged, notes=found.notes)


def outside(folder: Path, videos: list[Found]) -> list[Found]:
    """The videos that do not lie below the folder."""
    return [found for found in videos if not found.video.source.is_relative_to(folder)]


def sort_by_name(videos: list[Found], folder: Path) -> Sorted:
    """What to learn from and what not. Where some folder is called normal, all that is not so
    called is left out.
    """
    by_name: dict[str, list[Found]] = {"anomalous": [], "normal": [], "": []}
    for one in videos:
        by_name[name_says(one.video.source, folder)].append(one)
    anomalous = by_name["anomalous"]
    if not anomalous:
        return Sorted(videos)
    learned = by_name["normal"]
    left_out = by_name[""]
    if not learned:
        learned = left_out
        left_out = []
    notes = [f"not learned from, being anomalous by name: {paths_of(anomalous, folder)}"]
    if left_out:
        notes.append(f"left out, being in no folder called normal: {paths_of(left_out, folder)}")
    return Sorted(learned, anomalous, left_out, tuple(notes))


def paths_of(videos: list[Found], folder: Path) -> str:
    """The paths of the first few videos, and how many more there are."""
    paths = [str(found.video.source.relative_to(folder)) for found in videos[:SHOWN_PATHS]]
    listed = ", ".join(paths)
    if len(videos) > SHOWN_PATHS:
        listed += f" and {len(videos) - SHOWN_PATHS} more"
    return listed


def refuse_only_anomalous(found: Sorted, root: Path) -> None:
    """Raise BadInput where all there is to learn from is anomalous by its name."""
    if found.anomalous and not found.learned:
        path = found.anomalous[0].video.source.relative_to(root)
        raise BadInput(
            f"{root} holds nothing to learn from but what is anomalous by its name, "
            f"such as {path}; "
            f"put ordinary video into {root / 'train'}, or name a folder that holds nothing else"
        )


def with_truth_by_name(videos: list[Found], folder: Path, truth: Path | None) -> list[Video]:
    """Videos for testing with their truth; those in a folder called normal or good need none to be
    normal.
    """
    if truth is None:
        return [found.video for found in videos]
    judged = []
    for video in with_truth(videos, truth):
        if video.truth is None and name_says(video.source, folder) == "normal":
            judged.append(replace(video, truth=all_normal))
        else:
            judged.append(video)
    return judged


def name_says(source: Path, folder: Path) -> str:
    """Whether the names of a video and of the folders it lies in call it "normal", "anomalous" or
    neither ("").

    >>> name_says(Path("set/train/good/1.mp4"), Path("set"))
    'normal'
    >>> name_says(Path("set/abnormal-01.mp4"), Path("set"))
    'anomalous'
    >>> name_says(Path("set/Not Normal/1.mp4"), Path("set"))
    ''
    """
    if source == folder:
        return ""
    relative = source.relative_to(folder)
    folders = relative.parts
    if not source.is_dir():
        folders = relative.parts[:-1]
    said = ""
    for part in folders:
        words = words_of(part)
        if words & (ANOMALOUS | BAD):
            return "anomalous"
        if len(words) == 1 and words <= NORMAL:
            said = "normal"
    if words_of(relative.stem) & ANOMALOUS:
        return "anomalous"
    return said


def words_of(name: str) -> set[str]:
    """The words of a file's name in small letters."""
    return set(re.findall(r"[^\W\d_]+", name.lower()))


def all_normal(frames: int) -> Truth:
    """The truth of a video in which nothing is odd."""
    return Truth(np.zeros(frames, bool))
