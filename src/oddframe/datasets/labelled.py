"""Somebody's own videos in folders of classes. What was cut out of one source is never on both sides of a split."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.discovery import nothing_in, videos_under
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.files import natural
from oddframe.types import Video

TRAIN, TEST = ("train", "training"), ("test", "testing")
SHARE = (
    1 / 3
)  # of the videos of each class, as near as groups allow, is for testing where no split is given
SERIES = re.compile(r"^(.*?)(\d+)\s*-\s*\1(\d+)$")
CUT_OUT = re.compile(r"^(.*_g\d+)_c\d+$")  # how UCF101 and others name clips of one film


class Labelled(DataSet):
    """Your own videos in a folder for each class; a third of them is for testing, unless you say which.

    Videos of one source stay together. `videos.txt` says which these are: a line for each source, then lines that begin
    with the name of a video and a colon; or `groups.csv`, lines of a video's name and its group.
    """

    name = "labelled"
    origin = "your own disk"
    TREE = """
ROOT/
  one_class/ …
    some.mp4 …
  videos.txt                optional: (or groups.csv) which videos come from one source, and so stay together
or with the split made
ROOT/
  train/
    one_class/ …
      some.mp4 …
  test/
    one_class/ …
      some.mp4 …
"""

    def find(self, root: Path) -> dict[str, Path]:
        return {"ROOT": root}

    def read_split(self, root: Path) -> Split:
        if not root.is_dir():
            raise (
                self.not_found(root, "it is no folder")
                if root.exists()
                else BadInput(f"no such folder: {root}")
            )
        train, test = nearest(root, *TRAIN), nearest(root, *TEST)
        if train is not None and test is not None:
            split = Split(videos_under(train), videos_under(test))
            known = {video.label for video in split.train}
            if strange := sorted(
                {str(video.label) for video in split.test if video.label not in known}
            ):
                raise BadInput(
                    f"{test} has the class {strange[0]}, which {train} has not; there are {_some(known)}"
                )
        else:
            videos = videos_under(root)
            groups = groups_of(videos, root) if videos else {}
            videos = [replace(video, group=groups[video.name]) for video in videos]
            split = held_out(videos, groups) if videos else Split([], [])
        if not split.train:
            raise BadInput(f"{nothing_in(root)}. Expected\n{self.TREE}")
        if unlabelled := [video for video in (*split.train, *split.test) if video.label is None]:
            raise BadInput(
                f"{unlabelled[0].source} is in no folder of a class. Expected\n{self.TREE}"
            )
        return split

    def missing(self, root: Path) -> tuple[str, ...]:
        """Nothing: whatever can be read is as it should be."""
        del root
        return ()


def groups_of(videos: Sequence[Video], root: Path) -> dict[str, str]:
    """The source that each video was cut from, by the video's name; its own name where nothing is known."""
    told: dict[str, str] = {}
    if (path := nearest(root, "groups.csv")) is not None:
        with path.open(newline="") as file:
            told = {
                Path(row[0].strip()).stem: row[1].strip()
                for row in csv.reader(file)
                if len(row) > 1
            }
    elif (path := nearest(root, "videos.txt")) is not None:
        told = _listed(path.read_text(errors="replace"))
    if told and not any(video.source.stem in told for video in videos):
        raise BadInput(
            f"{path} names none of the videos of {root}, such as {videos[0].source.stem}"
        )
    return {video.name: told.get(video.source.stem) or _of_name(video) for video in videos}


def held_out(videos: Sequence[Video], groups: Mapping[str, str], share: float = SHARE) -> Split:
    """A split by groups, always the same for the same groups: about `share` of each class is for testing.

    Groups are gone through in the order of a hash of their names, and one goes to the test side when no class would
    then have more there than its share.
    """
    inside: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        inside[groups[video.name]].append(video)
    whole = Counter(video.label for video in videos)
    tested: Counter[str | None] = Counter()
    test: set[str] = set()
    for group in sorted(inside, key=lambda name: blake2b(name.encode()).digest()):
        more = Counter(video.label for video in inside[group])
        if all(
            tested[label] + count <= max(1, share * whole[label]) < whole[label]
            for label, count in more.items()
        ):
            tested += more
            test.add(group)
    return Split(
        [video for video in videos if groups[video.name] not in test],
        [video for video in videos if groups[video.name] in test],
    )


def _listed(text: str) -> dict[str, str]:
    """The source of each video: lines `name: times` below the address of a film, or `first - last: source`.

    >>> _listed("https://film.example/1\\na1: 0.02\\nb08 - b09: elsewhere")
    {'a1': 'https://film.example/1', 'b08': 'elsewhere', 'b09': 'elsewhere'}
    """
    told: dict[str, str] = {}
    source = ""
    for line in map(str.strip, text.splitlines()):
        name, colon, rest = (part.strip() for part in line.partition(":"))
        if "://" in line:
            source = line
        elif found := SERIES.match(name):
            begin, first, last = found.groups()
            told |= {f"{begin}{k:0{len(first)}d}": rest for k in range(int(first), int(last) + 1)}
        elif colon and source:
            told[name] = source
    return told


def _of_name(video: Video) -> str:
    found = CUT_OUT.match(video.source.stem)
    return f"{video.label}/{found[1] if found else video.name}"


def _some(names: set[str | None]) -> str:
    return ", ".join(sorted((str(name) for name in names), key=natural)[:6])
