"""The contract. A class with a `name` in this folder is a data set: command line, benchmark and contract tests find it
there. `TREE` is its documentation, its error message and its test fixture at once (tree.py has the notation).
"""

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import av

from oddframe.datasets.tree import compare, layouts
from oddframe.errors import BadInput, BadTruth, BadVideo, unknown
from oddframe.progress import Tick, progress
from oddframe.registry import member, members
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import read, times_of


@dataclass(frozen=True)
class Split:
    """Videos to learn from, all normal, and videos to be judged on; either may be empty."""

    train: list[Video]
    test: list[Video]


@dataclass(frozen=True)
class Counts:
    """How many videos and frames: as found, or as published."""

    train_videos: int
    train_frames: int
    test_videos: int
    test_frames: int
    anomalous_frames: int  # of the test frames


@dataclass(frozen=True)
class Inventory:
    """What stands under a root."""

    found: Counts
    labelled: int  # test videos that have truth at all,
    masked: int  # with pixel masks,
    tracked: int  # with tracks
    one_sided: tuple[
        str, ...
    ]  # test videos all of whose frames are anomalous, or none: no AUC of their own
    kinds: Mapping[str, int]  # anomalous frames of each kind, where kinds are known
    classes: Mapping[str, int]  # videos of each label, where videos have labels
    missing: tuple[str, ...]  # lines of TREE that nothing answers to
    damaged: tuple[str, ...]  # videos without a frame, truth that does not fit
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return not self.damaged and bool(self.found.train_videos or self.found.test_videos)


class DataSet(ABC):
    """A layout of videos and ground truth on disk, as its authors ship it."""

    name: ClassVar[str]
    TREE: ClassVar[str]
    offered: ClassVar[str]  # where its authors offer it
    counts: ClassVar[Counts | None] = None  # as published
    classes: ClassVar[bool] = (
        False  # its videos have classes and no anomalies: to be probed, not evaluated
    )

    @abstractmethod
    def places(self, root: Path) -> dict[str, Path]:
        """Where each top line of TREE is, if anywhere. Forgives a root that is one of those folders, or above them."""

    @abstractmethod
    def read(self, root: Path) -> Split:
        """The videos, not decoded, with truth to be read when asked for. Raises BadInput, with TREE, where none fit."""

    def check(self, root: Path) -> Inventory:
        """Count frames, without decoding, and read all truth. Raises BadInput, with TREE, where nothing fits."""
        split = self.read(root)
        return take_stock(split, self.lacks(root))

    def lacks(self, root: Path) -> tuple[str, ...]:
        """What TREE expects and is not there, by the layout of which most is there."""
        places = self.places(root)
        compared = [compare(layout, places) for layout in layouts(self.TREE)]
        return max(compared, key=lambda one: (one.found, -one.absent)).lacking

    def nothing(self, root: Path, why: str) -> BadInput:
        """The error for a root that does not hold this data set."""
        if not root.exists():
            return BadInput(f"no such folder: {root}")
        offered = f"\n{self.name} is offered at {self.offered}"
        return BadInput(
            f"{root} does not hold {self.name}: {why}. Expected\n\n{self.TREE.strip()}\n{offered}"
        )

    @classmethod
    def line(cls) -> str:
        """What it is, in one line."""
        return (inspect.getdoc(cls) or "").split("\n", 1)[0]


def open_data(data: str, root: Path | None = None, stream: str | None = None) -> tuple[str, Split]:
    """The name and the videos of what DATA means on the command line.

    DATA is the name of a data set, which is at `root`, or the path of a folder or video of somebody's own. With a
    stream, such as one of several cameras, only the videos of that label.
    """
    name, split = _open(data, root)
    if stream in (None, "all"):
        return name, split
    labels = sorted({video.label for video in split.train + split.test if video.label})
    if stream not in labels:
        raise (
            unknown("stream", str(stream), labels)
            if labels
            else BadInput(f"{name} has no streams, got {stream!r}")
        )
    train, test = (
        [video for video in videos if video.label == stream] for videos in (split.train, split.test)
    )
    return name, Split(train, test)


def _open(data: str, root: Path | None) -> tuple[str, Split]:
    family, path = members("datasets"), Path(data).expanduser()
    if data in family and root is not None:
        return data, family[data]().read(Path(root).expanduser())
    if path.exists():
        if root is not None:
            raise BadInput(
                f"{data} is a path; --root goes with the name of a data set: {', '.join(family)}"
            )
        return path.resolve().stem if path.is_file() else path.resolve().name, member_of(
            "folder"
        ).read(path)
    if data in family:
        tree = family[data].TREE.strip()
        raise BadInput(
            f"where is {data}? Give the folder that holds it with --root. Expected there\n\n{tree}\n"
        )
    if len(path.parts) > 1 or path.suffix:
        raise BadInput(f"no such file or folder: {data}")
    raise BadInput(f"{unknown('data set', data, family)}; nor is there such a folder")


def member_of(name: str) -> DataSet:
    """The data set of that name. Raises BadInput with the nearest name."""
    made: DataSet = member("datasets", name, "data set")()
    return made


def take_stock(
    split: Split, lacking: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> Inventory:
    """Frames counted from the containers, truth read and held against them."""
    with progress("counting", len(split.train) + len(split.test), "videos") as tick:
        train = [_look(video, False, tick) for video in split.train]
        test = [_look(video, True, tick) for video in split.test]
    kinds = sum((seen.kinds for seen in test), Counter())
    return Inventory(
        found=Counts(
            train_videos=len(train),
            train_frames=sum(seen.frames for seen in train),
            test_videos=len(test),
            test_frames=sum(seen.frames for seen in test),
            anomalous_frames=sum(seen.odd for seen in test),
        ),
        labelled=sum(seen.labelled for seen in test),
        masked=sum(seen.masked for seen in test),
        tracked=sum(seen.tracked for seen in test),
        one_sided=tuple(
            seen.name for seen in test if seen.labelled and seen.odd in (0, seen.frames)
        ),
        kinds=dict(kinds.most_common()),
        classes=dict(Counter(video.label for video in split.train + split.test if video.label)),
        missing=lacking,
        damaged=tuple(seen.damage for seen in train + test if seen.damage),
        notes=notes + tuple(f"{seen.name}: {seen.note}" for seen in test if seen.note),
    )


@dataclass(frozen=True)
class _Seen:
    """What is remembered of one video; its masks are not, they may be gigabytes."""

    name: str
    frames: int = 0
    damage: str = ""
    labelled: bool = False
    masked: bool = False
    tracked: bool = False
    odd: int = 0
    note: str = ""
    kinds: Counter[str] = field(default_factory=Counter)


def _look(video: Video, judged: bool, tick: Tick) -> _Seen:
    tick()
    frames = 0
    try:
        frames = _frames(video)
        truth = _truth(video, frames) if judged else None
    except (BadVideo, BadTruth) as error:
        return _Seen(video.name, frames, damage=str(error))
    if truth is None:
        return _Seen(video.name, frames)
    return _Seen(
        video.name,
        frames=len(truth.frame),
        labelled=True,
        masked=truth.mask is not None,
        tracked=truth.tracks is not None,
        odd=int(truth.frame.sum()),
        note=truth.note,
        kinds=Counter(str(kind) for kind in truth.kind if kind)
        if truth.kind is not None
        else Counter(),
    )


def _truth(video: Video, frames: int) -> Truth | None:
    if video.truth is None:
        return None
    try:
        return video.truth(frames)
    except BadTruth:
        # a container may count packets that give no picture (MPEG-4 in AVI does): only decoding tells for sure
        decoded = sum(1 for _ in read(video, ClipSpec(size=(16, 16), colour="grey")))
        if decoded == frames:
            raise
        return video.truth(decoded)


def _frames(video: Video) -> int:
    try:
        count = len(times_of(video))
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise BadVideo(f"{video.source} is not a video that FFmpeg can read ({error})") from error
    if not count:
        raise BadVideo(f"{video.source} holds no frame")
    return count
