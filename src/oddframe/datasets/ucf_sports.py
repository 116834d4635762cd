"""UCF Sports (Rodriguez et al., CVPR 2008), as the embedding autoencoder was published on it."""

import re
from pathlib import Path

from oddframe.datasets.classes import ClassData
from oddframe.datasets.splits import Clip
from oddframe.datasets.tree import nearest
from oddframe.files import listing
from oddframe.video.reader import VIDEO_ENDINGS

VIEWS = re.compile(r"^(Golf-Swing|Kicking)-(Back|Front|Side)$", re.IGNORECASE)


class UcfSports(ClassData):
    """Ten sports as broadcast, 150 clips; walking, lifting and skateboarding are anomalous, as
    published.

    The views of Golf-Swing and of Kicking are one class each. A clip's shot is its file's name
    before the last _.
    """

    name = "ucf-sports"
    origin = "https://www.crcv.ucf.edu/data/UCF_Sports_Action.php"
    anomalous = ("Walk-Front", "Lifting", "SkateBoarding-Front")
    TREE = """
ucf action/ or ucf_sports_actions/
  Diving-Side/
    001/ …
      2538-5_70133.avi …
  Golf-Swing-Back/
    001/ …
      3283-8_700721.avi …
  Golf-Swing-Front/
    001/ …
      RF1-13207_70023.avi …
  Golf-Swing-Side/
    001/ …
      RF1-13302_700170.avi …
  Kicking-Front/
    001/ …
      2538-5_70133.avi …
  Kicking-Side/
    001/ …
      3115-1_70134.avi …
  Lifting/
    001/ …
      3206-10_70405.avi …
  Riding-Horse/
    001/ …
      4456-16_700311.avi …
  Run-Side/
    001/ …
      2538-7_70068.avi …
  SkateBoarding-Front/
    001/ …
      2538-11_70011.avi …
  Swing-Bench/
    001/ …
      2538-2_70061.avi …
  Swing-SideAngle/
    001/ …
      vid1_0500.avi …
  Walk-Front/
    001/ …
      2538-8_70111.avi …
"""

    def find(self, root: Path) -> dict[str, Path]:
        for folder in (root, nearest(root, "ucf action"), nearest(root, "ucf_sports_actions")):
            if folder is None:
                continue
            if nearest(folder, "Diving-Side", "Walk-Front") is not None:
                return {"ucf action": folder}
            inner = nearest(folder, "ucf action")
            if inner is not None:
                return {"ucf action": inner}
        return {}

    def clips(self, root: Path) -> list[Clip]:
        found = self.find(root)
        if not found:
            raise self.not_found(root, "there is no folder Diving-Side or Walk-Front")
        clips = []
        for folder in listing(found["ucf action"]):
            if not folder.is_dir():
                continue
            views = VIEWS.match(folder.name)
            label = folder.name
            if views:
                label = views[1]
            for path in films_below(folder):
                shot = path.stem.rpartition("_")[0] or path.stem
                clips.append(Clip(path, label, shot))
        if not clips:
            raise self.not_found(root, "its folders hold no film")
        return clips


def films_below(folder: Path) -> list[Path]:
    """The films at any depth, by path."""
    films = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith("."):
            films.append(path)
    return films
