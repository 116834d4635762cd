"""The contract. A class with a `name` in this folder is a data set: command line, benchmark and
contract tests find it there. `TREE` is its documentation, its error message and its test fixture at
once (tree.py has the notation).
"""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from oddframe.datasets.discovery import check_fps, with_rate
from oddframe.datasets.tree import compare_layout, layouts, plain_name
from oddframe.errors import BadInput, unknown
from oddframe.options import Range
from oddframe.progress import logger
from oddframe.registry import member, members
from oddframe.types import Video

if TYPE_CHECKING:
    from oddframe.datasets.inventory import Inventory


OfficialSplit = Annotated[int, Range(1, 100)]


@dataclass(frozen=True)
class Split:
    """Videos to learn from, all normal, and videos to be judged on; either may be empty."""

    train: list[Video]
    test: list[Video]
    val: list[Video] = field(default_factory=list)  # normal, to choose by: weights, thresholds
    stream: str | None = None  # the label of all of them, where one stream was asked for
    notes: tuple[str, ...] = ()  # what somebody who reads a result must know


@dataclass(frozen=True)
class Counts:
    """How many videos and frames: as found, or as published."""

    train_videos: int
    train_frames: int
    test_videos: int
    test_frames: int
    anomalous_frames: int  # of the test frames


class DataSet(ABC):
    """A layout of videos and ground truth on disk, as its authors ship it."""

    name: ClassVar[str]
    TREE: ClassVar[str]
    origin: ClassVar[str]  # where its authors offer it
    counts: ClassVar[Counts | None] = None  # as published
    splits: ClassVar[tuple[int, ...]] = ()  # numbers of official splits
    split_number: int = 1  # the one of them that is read

    @abstractmethod
    def find(self, root: Path) -> dict[str, Path]:
        """Where each top line of TREE is, if anywhere. Forgives a root that is one of those
        folders, or above them.
        """

    @abstractmethod
    def read_split(self, root: Path) -> Split:
        """The videos, not decoded, with truth to be read when asked for. Raises BadInput, with
        TREE, where none fit.
        """

    def missing(self, root: Path) -> tuple[str, ...]:
        """What TREE expects and is not there, by the layout of which most is there."""
        found = self.find(root)
        compared = [compare_layout(layout, found) for layout in layouts(self.TREE)]
        best = max(compared, key=lambda one: (one.found, -one.absent))
        return best.lacking

    def differences(self, root: Path, inventory: "Inventory") -> tuple[str, ...]:
        """Where what was counted differs from what the folder itself states, a line each."""
        del root, inventory
        return ()

    def places(self, root: Path, *lines: str) -> list[Path]:
        """Where these top lines of TREE are. Raises BadInput, with TREE, for what is nowhere."""
        found = self.find(root)
        absent = [line for line in lines if line not in found]
        if absent:
            raise self.not_found(root, f"there is no {' and no '.join(absent)}")
        return [found[line] for line in lines]

    def not_found(self, root: Path, why: str) -> BadInput:
        """The error for a root that does not hold this data set."""
        if not root.exists():
            return BadInput(f"no such folder: {root}")
        origin = f"\n{self.name} is offered at {self.origin}"
        return BadInput(
            f"{root} does not hold {self.name}: {why}. Expected\n\n{self.TREE.strip()}\n{origin}"
        )

    @classmethod
    def summary(cls) -> str:
        """What it is, as the first paragraph of its docstring says, in one line."""
        text = inspect.getdoc(cls) or ""
        return " ".join(text.partition("\n\n")[0].split())


def open_data(
    data: str,
    root: str | Path | None = None,
    stream: str | None = None,
    split: int | None = None,
    fps: float | None = None,
) -> tuple[str, Split]:
    """The name and the videos of what DATA means on the command line.

    DATA is the name of a data set, which is at `root`, or the path of a folder or video of
    somebody's own. With a stream, such as one of several cameras, only the videos of that label,
    whatever its case. `split` is the number of an official split, of data sets that have several;
    `fps` is the rate of all videos, where given.
    """
    check_fps(fps)
    name, found = read_data(data, root, split)
    if fps is not None:
        found = at_rate(found, fps)
    for note in found.notes:
        logger.warning(f"note: {note}")
    if stream is None or stream == "all":
        return name, found
    return name, only_stream(name, found, stream)


def at_rate(split: Split, fps: float) -> Split:
    """The same videos at another number of frames a second."""

    def changed(videos: list[Video]) -> list[Video]:
        return [with_rate(video, fps) for video in videos]

    return replace(
        split, train=changed(split.train), test=changed(split.test), val=changed(split.val)
    )


def only_stream(name: str, split: Split, stream: str) -> Split:
    """The videos of one label. Raises BadInput with the labels that there are."""
    by_plain_name = {}
    for video in split.train + split.test:
        if video.label:
            by_plain_name[plain_name(video.label)] = video.label
    label = by_plain_name.get(plain_name(stream))
    if label is None:
        if not by_plain_name:
            raise BadInput(f"{name} has no streams, got {stream!r}")
        raise unknown("stream", stream, sorted(by_plain_name.values()))

    def kept(videos: list[Video]) -> list[Video]:
        return [video for video in videos if video.label == label]

    return replace(
        split,
        train=kept(split.train),
        test=kept(split.test),
        val=kept(split.val),
        stream=label,
    )


def read_data(data: str, root: str | Path | None, split: int | None = None) -> tuple[str, Split]:
    """The name and all videos of a data set at `root`, or of somebody's own folder. Raises
    BadInput.
    """
    family = members("datasets")
    path = Path(data).expanduser()
    if data in family and root is not None:
        name = data
        if split not in (None, 1):
            name = f"{data}-{split}"
        return name, data_set(data, split).read_split(Path(root).expanduser())
    if path.exists():
        if root is not None:
            raise BadInput(
                f"{data} is a path; --root goes with the name of a data set: {', '.join(family)}"
            )
        if split is not None:
            raise BadInput(f"{data} is a folder of your own and has no official splits")
        name = path.resolve().name
        if path.is_file():
            name = path.resolve().stem
        return name, data_set("folder").read_split(path)
    if data in family:
        tree = family[data].TREE.strip()
        raise BadInput(
            f"where is {data}? Give the folder that holds it with --root. "
            f"Expected there\n\n{tree}\n"
        )
    if len(path.parts) > 1 or path.suffix:
        raise BadInput(f"no such file or folder: {data}")
    raise BadInput(f"{unknown('data set', data, family)}; nor is there such a folder")


def data_set(name: str, split: int | None = None) -> DataSet:
    """The data set of that name, with the official split of that number. Raises BadInput with the
    nearest name.
    """
    kind: type[DataSet] = member("datasets", name, "data set")
    if split is None:
        return kind()
    if not kind.splits:
        raise BadInput(f"{name} has no official splits: leave --split away")
    if split not in kind.splits:
        numbers = ", ".join(map(str, kind.splits))
        raise BadInput(f"{name} has the official splits {numbers}; got {split}")
    made = kind()
    made.split_number = split
    return made
