"""UCF101: 101 human actions in clips from YouTube (Soomro, Zamir and Shah, CRCV-TR-12-01, 2012).
Classes, no anomalies.

Its authors cut several clips out of one film; such a group is never on both sides of a split.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.tree import entries_of, nearest, places_found
from oddframe.errors import BadInput
from oddframe.files import listing
from oddframe.types import Video
from oddframe.video.reader import VIDEO_ENDINGS

UCF_VIDEO_FOLDERS = ("UCF-101", "UCF101")
UCF_LIST_FOLDERS = ("ucfTrainTestlist", "ucf101", "UCF101TrainTestSplits-RecognitionTask")
UCF_SOME_CLASSES = ("ApplyEyeMakeup", "Archery", "YoYo")  # by which a folder of clips is known
GROUP = re.compile(r"_(g\d+)_c\d+$")


class Ucf101(DataSet):
    """UCF101: 101 human actions, 13,320 clips in three official splits. 320×240, 25 fps."""

    name = "ucf101"
    origin = (
        "https://www.crcv.ucf.edu/data/UCF101.php "
        "(UCF101.rar and the train/test splits for action recognition)"
    )
    splits = (1, 2, 3)
    TREE = """
UCF-101/
  ApplyEyeMakeup/ …
    v_ApplyEyeMakeup_g01_c01.avi …
ucfTrainTestlist/                   beside or in it
  classInd.txt                      lines such as "1 ApplyEyeMakeup"
  trainlist01.txt … trainlist03.txt   lines such as "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
  testlist01.txt … testlist03.txt     the same without the number
"""

    def find(self, root: Path) -> dict[str, Path]:
        if not root.is_dir():
            return {}
        lists = nearest(root, *UCF_LIST_FOLDERS) or nearest(root.parent, *UCF_LIST_FOLDERS)
        names = [name for name in UCF_VIDEO_FOLDERS if lists is None or lists.name != name]
        videos = nearest(root, *names)
        if videos is None and nearest(root, *UCF_SOME_CLASSES) is not None:
            videos = root
        return places_found({"UCF-101": videos, "ucfTrainTestlist": lists})

    def read_split(self, root: Path) -> Split:
        videos, lists = self.places(root, "UCF-101", "ucfTrainTestlist")
        clips = clips_by_line(videos)
        train, train_notes = self.read_list("train", lists, clips)
        test, test_notes = self.read_list("test", lists, clips)
        if not train and not test:
            raise self.not_found(root, f"none of the clips in the lists is in {videos}")
        refuse_split_groups(train, test)
        return Split(train, test, notes=(*train_notes, *test_notes))

    def read_list(
        self, side: str, lists: Path, clips: dict[str, Path]
    ) -> tuple[list[Video], list[str]]:
        """The videos of an official list ("train" or "test") that are there, and a line if some are
        not.
        """
        lines = read_column(lists, f"{side}list{self.split_number:02d}.txt")
        classes = read_classes(lists)
        videos = []
        absent = []
        for line in lines:
            path = clips.get(line.lower())
            label = line.split("/")[0]
            if path is None:
                absent.append(line)
            elif label not in classes:
                raise BadInput(
                    f"{lists / 'classInd.txt'} has no class {label}, which {side}list names"
                )
            else:
                videos.append(Video(path.stem, path, label=label))
        if not absent:
            return videos, []
        counts = f"{len(absent)} of {len(lines)} {side} clips of {self.name}"
        return videos, [f"{counts} are absent ({absent[0]})"]


def refuse_split_groups(train: Iterable[Video], test: Iterable[Video]) -> None:
    """Raise BadInput when clips of one film are on both sides."""
    both = groups_of_clips(train) & groups_of_clips(test)
    if both:
        label, group = min(both)
        raise BadInput(
            f"group {group} of {label} is in the train list and in the test list; "
            "take the official lists"
        )


def groups_of_clips(videos: Iterable[Video]) -> set[tuple[str, str]]:
    """The class and the group of each clip that is named by one."""
    groups = set()
    for video in videos:
        match = GROUP.search(video.name)
        if match is not None:
            groups.add((str(video.label), match[1]))
    return groups


def clips_by_line(folder: Path) -> dict[str, Path]:
    """The clips of a folder of classes by the line that lists have for them, in small letters."""
    clips = {}
    for inside in listing(folder):
        for path in entries_of(inside):
            if path.suffix.lower() in VIDEO_ENDINGS:
                clips[f"{inside.name}/{path.name}".lower()] = path
    return clips


def read_classes(lists: Path) -> set[str]:
    """The names of classInd.txt; which number each has does not matter here."""
    return set(read_column(lists, "classInd.txt", column=1))


def read_column(lists: Path, name: str, column: int = 0) -> Sequence[str]:
    """One column of a list. Some copies end lines as Windows does."""
    path = nearest(lists, name)
    if path is None:
        raise BadInput(f"{lists} has no {name}; it belongs to the official lists of splits")
    words = []
    for line in path.read_text(errors="replace").splitlines():
        cells = line.split()
        if cells and len(cells) <= column:
            raise BadInput(f"{path} has the line {' '.join(cells)!r}, which says too little")
        if cells:
            words.append(cells[column])
    return words
