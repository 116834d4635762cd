"""Somebody's own clips in folders of classes."""

from pathlib import Path

from oddframe.datasets.classes import ClassData, clips_in_classes
from oddframe.datasets.splits import Clip


class ClassFolders(ClassData):
    """Your own short clips in folders of classes, to learn from and, apart, some classes that count
    as anomalous.

    `oddframe prepare class-folders ROOT OUT --anomalous CLASS` divides them; what it writes is read
    as it stands.
    """

    name = "class-folders"
    origin = "your own disk"
    TREE = """
ROOT/
  train/                    as prepare writes it; val/, test/ and anomaly/ beside it are optional
    walking/
      monday_0.mp4 …
or clips that are not divided yet
ROOT/
  walking/
    monday.avi …
"""

    def find(self, root: Path) -> dict[str, Path]:
        if not root.is_dir():
            return {}
        return {"ROOT": root}

    def clips(self, root: Path) -> list[Clip]:
        found = clips_in_classes(root)
        if not found:
            raise self.not_found(root, "no folder in it holds a film")
        return found

    def missing(self, root: Path) -> tuple[str, ...]:
        """Nothing: classes are called as you like."""
        del root
        return ()
