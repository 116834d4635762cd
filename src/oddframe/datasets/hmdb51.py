"""HMDB51: 51 human actions in clips from films and the web (Kuehne et al., ICCV 2011). Classes, no
anomalies.
"""

from pathlib import Path

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.tree import nearest, places_found
from oddframe.errors import BadInput
from oddframe.files import listing
from oddframe.types import Video

HMDB_VIDEO_FOLDERS = ("hmdb51", "hmdb51_org", "HMDB51", "videos")
HMDB_LIST_FOLDERS = ("testTrainMulti_7030_splits", "splits")
HMDB_SOME_CLASSES = ("brush_hair", "cartwheel", "wave")  # by which a folder of clips is known
SIDES = {"0": "neither", "1": "train", "2": "test"}


class Hmdb51(DataSet):
    """HMDB51: 51 human actions, three official splits of 70 clips of each to train on and 30 to
    test.
    """

    name = "hmdb51"
    origin = "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/"
    splits = (1, 2, 3)
    TREE = """
hmdb51/
  brush_hair/ …
    April_09_brush_hair_u_nm_np1_ba_goo_0.avi …
testTrainMulti_7030_splits/         beside or in it
  brush_hair_test_split1.txt … brush_hair_test_split3.txt   and so for each class: a file name, and 1 train, 2 test or 0
"""

    def find(self, root: Path) -> dict[str, Path]:
        if not root.is_dir():
            return {}
        lists = nearest(root, *HMDB_LIST_FOLDERS) or nearest(root.parent, *HMDB_LIST_FOLDERS)
        videos = nearest(root, *HMDB_VIDEO_FOLDERS)
        if videos is None and nearest(root, *HMDB_SOME_CLASSES) is not None:
            videos = root
        return places_found({"hmdb51": videos, "testTrainMulti_7030_splits": lists})

    def read_split(self, root: Path) -> Split:
        videos, lists = self.places(root, "hmdb51", "testTrainMulti_7030_splits")
        ending = f"_test_split{self.split_number}.txt"
        sides: dict[str, list[Video]] = {"train": [], "test": []}
        missing = 0
        for path in listing(lists):
            label = path.name.removesuffix(ending)
            if label == path.name:
                continue
            for name, side in read_sides(path):
                film = videos / label / name
                if side == "neither":
                    continue
                if film.is_file():
                    sides[side].append(Video(f"{label}-{film.stem}", film, label=label))
                else:
                    missing += 1
        if not sides["train"] and not sides["test"]:
            raise self.not_found(root, f"{lists} names no clip that is in {videos}")
        notes: tuple[str, ...] = ()
        if missing:
            notes = (f"{missing} clips in the lists of {self.name} are absent",)
        return Split(sides["train"], sides["test"], notes=notes)


def read_sides(path: Path) -> list[tuple[str, str]]:
    """The file names of a list, each with "train", "test" or "neither"."""
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        # file names hold spaces and odd signs: the number is what comes last
        name, _, number = line.strip().rpartition(" ")
        if not name:
            continue
        if number not in SIDES:
            raise BadInput(
                f"{path} has the line {line.strip()!r}; it ends with 0, 1 for train or 2 for test"
            )
        rows.append((name.strip(), SIDES[number]))
    return rows
