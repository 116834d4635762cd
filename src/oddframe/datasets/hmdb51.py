"""HMDB51: 51 human actions in clips from films and the web (Kuehne et al., ICCV 2011). Classes, no anomalies."""

from pathlib import Path
from typing import ClassVar

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.files import listing
from oddframe.progress import logger
from oddframe.types import Video

VIDEOS, LISTS = (
    ("hmdb51", "hmdb51_org", "HMDB51", "videos"),
    ("testTrainMulti_7030_splits", "splits"),
)
SIDES = {"0": None, "1": "train", "2": "test"}


class Hmdb51(DataSet):
    """HMDB51, official split 1: 51 human actions, 70 clips of each to train on and 30 to test. 240 pixels high."""

    name = "hmdb51"
    offered = "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/"
    classes = True
    split: ClassVar[int] = 1
    TREE = """
hmdb51/
  brush_hair/ …
    April_09_brush_hair_u_nm_np1_ba_goo_0.avi …
testTrainMulti_7030_splits/         beside or in it
  brush_hair_test_split1.txt … brush_hair_test_split3.txt   and so for each class: a file name, and 1 train, 2 test or 0
"""

    def places(self, root: Path) -> dict[str, Path]:
        if not root.is_dir():
            return {}
        lists = nearest(root, *LISTS) or nearest(root.parent, *LISTS)
        videos = nearest(root, *VIDEOS)
        if videos is None and any(
            nearest(root, name) for name in ("brush_hair", "cartwheel", "wave")
        ):
            videos = root
        found = {"hmdb51": videos, "testTrainMulti_7030_splits": lists}
        return {name: place for name, place in found.items() if place is not None}

    def read(self, root: Path) -> Split:
        places = self.places(root)
        if len(places) < 2:
            lacking = [
                name for name in ("hmdb51", "testTrainMulti_7030_splits") if name not in places
            ]
            raise self.nothing(root, f"there is no {' and no '.join(lacking)}")
        videos, lists = places["hmdb51"], places["testTrainMulti_7030_splits"]
        ending, sides, absent = f"_test_split{self.split}.txt", Split([], []), 0
        for path in listing(lists):
            if not path.name.endswith(ending):
                continue
            label = path.name.removesuffix(ending)
            for line in path.read_text(errors="replace").splitlines():
                # file names hold spaces and odd signs: the number is what comes last
                name, _, number = line.strip().rpartition(" ")
                if not name:
                    continue
                if number not in SIDES:
                    raise BadInput(
                        f"{path} has the line {line.strip()!r}; it ends with 0, 1 for train or 2 for test"
                    )
                film, side = videos / label / name.strip(), SIDES[number]
                if side and film.is_file():
                    (sides.train if side == "train" else sides.test).append(
                        Video(f"{label}-{film.stem}", film, label=label)
                    )
                absent += bool(side) and not film.is_file()
        if not sides.train and not sides.test:
            raise self.nothing(root, f"{lists} names no clip that is in {videos}")
        if absent:
            logger.warning(f"note: {absent} clips in the lists of {self.name} are absent")
        return sides


class Hmdb51Split2(Hmdb51):
    """HMDB51, official split 2: 70 clips of each action to train on and 30 to test."""

    name = "hmdb51-2"
    split = 2


class Hmdb51Split3(Hmdb51):
    """HMDB51, official split 3: 70 clips of each action to train on and 30 to test."""

    name = "hmdb51-3"
    split = 3
