"""The plaza that oddframe films itself."""

import json
from dataclasses import replace
from pathlib import Path

from oddframe.datasets.base import DataSet, Inventory, Split, member_of
from oddframe.errors import BadInput


class Simulated(DataSet):
    """A plaza filmed by `oddframe simulate`: labelled anomalies of several kinds, with pixel masks and tracks.

    The layout of a folder of your own, with `scene.json` that says how it was filmed.
    """

    name = "simulated"
    offered = "no other place than your own machine: oddframe simulate ROOT"
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

    def places(self, root: Path) -> dict[str, Path]:
        return {"ROOT": root} if (root / "scene.json").is_file() else {}

    def read(self, root: Path) -> Split:
        if not self.places(root):
            raise self.nothing(root, "there is no scene.json")
        return member_of("folder").read(root)

    def check(self, root: Path) -> Inventory:
        """As for any data set, and held against what scene.json says was filmed."""
        stock = super().check(root)
        try:
            filmed = json.loads((root / "scene.json").read_text()).get("frames", {})
        except (OSError, ValueError, AttributeError) as error:
            raise BadInput(
                f"{root / 'scene.json'} cannot be read ({error}); film again: oddframe simulate {root}"
            ) from error
        there = {"train": stock.found.train_frames, "test": stock.found.test_frames}
        differing = [
            f"{part} frames: {there[part]:,} here, {filmed[part]:,} filmed"
            for part in there
            if part in filmed and filmed[part] != there[part]
        ]
        return replace(stock, notes=(*stock.notes, *differing))
