"""Surveillance Camera Fight Dataset (Aktı et al., IPTA 2019)."""

import re
from pathlib import Path

from oddframe.datasets.classes import ClassData, Clip, gather
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput

ENTRY = re.compile(r"((?:no)?fi)(\d+)(?:\s*-\s*(?:no)?fi(\d+))?\s*:\s*(.*)")


class SurvFight(ClassData):
    """Fights and ordinary scenes before surveillance cameras: 300 clips of two seconds; fights are anomalous.

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
        places = self.find(root)
        if not places:
            raise self.not_found(root, "there is no folder noFight")
        folder = places["surv_fight"]
        table = folder / "videos.txt"
        if not table.is_file():
            raise self.not_found(
                root, "videos.txt, which says what the clips were cut from, is missing"
            )
        found = gather(folder, sources_of(table.read_text(errors="replace")))
        unknown = [
            clip.path.name for clip in found if "/" in clip.source and "://" not in clip.source
        ]
        if unknown:
            raise BadInput(
                f"{table} does not say what {unknown[0]} was cut from, nor of {len(unknown) - 1} others"
            )
        return found


def sources_of(text: str) -> dict[str, str]:
    """What each clip was cut from: lines `name: times` below the address of a film, or `name - name: film`."""
    sources, film = {}, ""
    for line in map(str.strip, text.splitlines()):
        if "://" in line:
            film = line
        elif found := ENTRY.fullmatch(line):
            stem, first, last, said = found.groups()
            for number in range(int(first), int(last or first) + 1):
                sources[f"{stem}{number:0{len(first)}d}"] = said if last else film
    return sources
