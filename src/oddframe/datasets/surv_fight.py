"""Surveillance Camera Fight Dataset (Aktı et al., IPTA 2019)."""

from pathlib import Path

from oddframe.datasets.classes import ClassData, clips_in_classes
from oddframe.datasets.splits import Clip, read_sources
from oddframe.datasets.tables import read_text
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput


class SurvFight(ClassData):
    """Fights and ordinary scenes before surveillance cameras: 300 clips of two seconds; fights are
    anomalous.

    videos.txt says which film each clip was cut from: clips of one film are never on both sides.
    """

    name = "surv-fight"
    origin = "https://github.com/seymanurakti/fight-detection-surv-dataset"
    anomalous = ("fight",)
    TREE = """
surv_fight/
  fight/
    fi001.mp4 … fi150.mp4
  noFight/
    nofi001.mp4 … nofi150.mp4
  videos.txt
"""

    def find(self, root: Path) -> dict[str, Path]:
        for folder in (root, nearest(root, "surv_fight", "fight-detection-surv-dataset")):
            if folder is not None and nearest(folder, "noFight") is not None:
                return {"surv_fight": folder}
        return {}

    def clips(self, root: Path) -> list[Clip]:
        found = self.find(root)
        if not found:
            raise self.not_found(root, "there is no folder noFight")
        folder = found["surv_fight"]
        table = folder / "videos.txt"
        if not table.is_file():
            raise self.not_found(
                root, "videos.txt, which says what the clips were cut from, is missing"
            )
        sources = read_sources(read_text(table))
        clips = clips_in_classes(folder, sources)
        unknown = []
        for clip in clips:
            if clip.path.stem not in sources:
                unknown.append(clip.path.name)
        if unknown:
            raise BadInput(
                f"{table} does not say what {unknown[0]} was cut from, "
                f"nor of {len(unknown) - 1} others"
            )
        return clips
