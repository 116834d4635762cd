"""The plaza that oddframe films itself."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddframe.datasets.base import DataSet, Split, data_set
from oddframe.errors import BadInput

if TYPE_CHECKING:
    from oddframe.datasets.inventory import Inventory

SCENE = "scene.json"


class Simulated(DataSet):
    """A plaza filmed by `oddframe simulate`: labelled anomalies of several kinds, with pixel masks
    and tracks.

    The layout of a folder of your own, with `scene.json` that says how it was filmed.
    """

    name = "simulated"
    origin = "no other place than your own machine: oddframe simulate ROOT"
    TREE = """
ROOT/
  train/
    train01.mp4 …
  test/
    test01.mp4 …
  truth/
    test01.csv …                    which frames are odd, and of what kind
    test01.masks.npz …              pixel masks
    test01.tracks.csv …             boxes
  scene.json                        seed, size, length, kinds
"""

    def find(self, root: Path) -> dict[str, Path]:
        if not (root / SCENE).is_file():
            return {}
        return {"ROOT": root}

    def read_split(self, root: Path) -> Split:
        if not self.find(root):
            raise self.not_found(root, "there is no scene.json")
        return data_set("folder").read_split(root)

    def differences(self, root: Path, inventory: "Inventory") -> tuple[str, ...]:
        """Frames that are here and frames that scene.json lists, where they differ."""
        scene = read_scene(root / SCENE)
        pairs = {
            "train frames": (inventory.found.train_frames, scene["frames"].get("train")),
            "test frames": (inventory.found.test_frames, scene["frames"].get("test")),
        }
        for kind in scene["odd_frames"] | dict(inventory.kinds):
            if scene["odd_frames"]:
                filmed = scene["odd_frames"].get(kind, 0)
                pairs[f"frames with {kind}"] = (inventory.kinds.get(kind, 0), filmed)
        lines = []
        for what, (here, filmed) in pairs.items():
            if filmed is not None and here != filmed:
                lines.append(f"{what}: {here:,} here, {filmed:,} filmed")
        return tuple(lines)


def read_scene(path: Path) -> dict[str, dict[str, Any]]:
    """The tables `frames` and `odd_frames` of a scene, empty where it has none. Raises BadInput
    where it is damaged.
    """
    again = f"film again: oddframe simulate {path.parent}"
    try:
        scene = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); {again}") from error
    tables = {}
    for name in ("frames", "odd_frames"):
        table = None
        if isinstance(scene, dict):
            table = scene.get(name, {})
        if not isinstance(table, dict) or not all(isinstance(n, int) for n in table.values()):
            raise BadInput(f"{path} cannot be read ({name} is no table of counts); {again}")
        tables[name] = table
    return tables
