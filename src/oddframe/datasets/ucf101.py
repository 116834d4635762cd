"""UCF101: 101 human actions in clips from YouTube (Soomro, Zamir and Shah, CRCV-TR-12-01, 2012). Classes, no anomalies.

Its authors cut several clips out of one film; such a group is never on both sides of a split.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.files import listing
from oddframe.progress import logger
from oddframe.types import Video
from oddframe.video.reader import VIDEO_ENDINGS

VIDEOS, LISTS = (
    ("UCF-101", "UCF101"),
    ("ucfTrainTestlist", "ucf101", "UCF101TrainTestSplits-RecognitionTask"),
)
GROUP = re.compile(r"_(g\d+)_c\d+$")


class Ucf101(DataSet):
    """UCF101, official split 1: 101 human actions, 9,537 clips to train on and 3,783 to test. 320×240, 25 fps."""

    name = "ucf101"
    offered = "https://www.crcv.ucf.edu/data/UCF101.php (UCF101.rar and the train/test splits for action recognition)"
    classes = True
    split: ClassVar[int] = 1
    TREE = """
UCF-101/
  ApplyEyeMakeup/ …
    v_ApplyEyeMakeup_g01_c01.avi …
ucfTrainTestlist/                   beside or in it
  classInd.txt                      lines such as "1 ApplyEyeMakeup"
  trainlist01.txt … trainlist03.txt   lines such as "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
  testlist01.txt … testlist03.txt     the same without the number
"""

    def places(self, root: Path) -> dict[str, Path]:
        if not root.is_dir():
            return {}
        lists = nearest(root, *LISTS) or nearest(root.parent, *LISTS)
        videos = nearest(root, *(name for name in VIDEOS if lists is None or lists.name != name))
        if videos is None and any(
            nearest(root, name) for name in ("ApplyEyeMakeup", "Archery", "YoYo")
        ):
            videos = root
        found = {"UCF-101": videos, "ucfTrainTestlist": lists}
        return {name: place for name, place in found.items() if place is not None}

    def read(self, root: Path) -> Split:
        places = self.places(root)
        if len(places) < 2:
            lacking = [name for name in ("UCF-101", "ucfTrainTestlist") if name not in places]
            raise self.nothing(root, f"there is no {' and no '.join(lacking)}")
        videos, lists = places["UCF-101"], places["ucfTrainTestlist"]
        classes = _classes(lists)
        there = {f"{path.parent.name}/{path.name}".lower(): path for path in _films(videos)}
        parts = []
        for side in ("train", "test"):
            named = _lines(lists, f"{side}list{self.split:02d}.txt")
            found = {line: there[line.lower()] for line in named if line.lower() in there}
            if len(found) < len(named):
                absent = next(line for line in named if line not in found)
                logger.warning(
                    f"note: {len(named) - len(found)} of {len(named)} {side} clips of {self.name} are absent ({absent})"
                )
            if strange := {line.split("/")[0] for line in found} - classes:
                raise BadInput(
                    f"{lists / 'classInd.txt'} has no class {min(strange)}, which {side}list names"
                )
            parts.append(
                [Video(path.stem, path, label=line.split("/")[0]) for line, path in found.items()]
            )
        if not parts[0] and not parts[1]:
            raise self.nothing(root, f"none of the clips in the lists is in {videos}")
        refuse_split_groups(parts[0], parts[1])
        return Split(*parts)


class Ucf101Split2(Ucf101):
    """UCF101, official split 2: 9,586 clips to train on and 3,734 to test."""

    name = "ucf101-2"
    split = 2


class Ucf101Split3(Ucf101):
    """UCF101, official split 3: 9,624 clips to train on and 3,696 to test."""

    name = "ucf101-3"
    split = 3


def refuse_split_groups(train: Iterable[Video], test: Iterable[Video]) -> None:
    """Raise BadInput when clips of one film are on both sides."""
    sides = [
        {(video.label, m[1]) for video in side if (m := GROUP.search(video.name))}
        for side in (train, test)
    ]
    if both := sides[0] & sides[1]:
        label, group = min(both, key=str)
        raise BadInput(
            f"group {group} of {label} is in the train list and in the test list; take the official lists"
        )


def _films(folder: Path) -> list[Path]:
    inside = [path for path in listing(folder) if path.is_dir()]
    return [
        film for path in inside for film in listing(path) if film.suffix.lower() in VIDEO_ENDINGS
    ]


def _classes(lists: Path) -> set[str]:
    """The names of classInd.txt; which number each has does not matter here."""
    names = set()
    for line in _lines(lists, "classInd.txt", column=1):
        names.add(line)
    return names


def _lines(lists: Path, name: str, column: int = 0) -> list[str]:
    """One column of a list. Some copies end lines as Windows does."""
    path = nearest(lists, name)
    if path is None:
        raise BadInput(f"{lists} has no {name}; it belongs to the official lists of splits")
    rows = [line.split() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    if short := [row for row in rows if len(row) <= column]:
        raise BadInput(f"{path} has the line {' '.join(short[0])!r}, which says too little")
    return [row[column] for row in rows]
