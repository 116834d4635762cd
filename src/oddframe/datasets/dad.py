"""Driver Anomaly Detection: two cameras on a driver, each in depth and infrared (Köpüklü et al.,
WACV 2021).

Read as its authors ship it, or as the jigsaw variant lays it out again (`oddframe prepare dad ROOT
OUT` does so, with links): a video has the same name in both. Each stream of a recording is a video
of its own, so that one detector is fitted for each stream and their rarities are fused (`oddframe
fuse`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.dad_labels import (
    read_label_table,
    recording_mask_truth,
    recording_truth,
)
from oddframe.datasets.tree import entries_of, nearest
from oddframe.types import Video
from oddframe.video.reader import VIDEO_ENDINGS, pictures_of

STREAMS = ("front_depth", "front_IR", "top_depth", "top_IR")
Half = Literal["training", "testing"]
HALVES: tuple[Half, ...] = ("training", "testing")
# what folders of drivers and of their recordings begin with, in the authors' tree
OFFICIAL_NAMES: dict[Half, tuple[str, str]] = {
    "training": ("Tester", "normal_driving_"),
    "testing": ("val", "rec"),
}
SOME = 4  # recordings named in a note


@dataclass(frozen=True)
class DadStream:
    """One stream of one recording, in whichever layout it was found."""

    half: Half
    driver: int
    number: int  # of the driver's recording
    stream: str  # one of STREAMS
    source: Path  # a folder of pictures, or a film

    @property
    def recording(self) -> str:
        """As in the authors' tree, such as val01_rec1: one name, whichever layout it is read
        from.
        """
        if self.half == "training":
            return f"Tester{self.driver}_normal_driving_{self.number}"
        return f"val{self.driver:02d}_rec{self.number}"

    @property
    def short(self) -> str:
        """As in the jigsaw variant's: 01_001 to learn from, 01_0001 to be judged on."""
        if self.half == "training":
            return f"{self.driver:02d}_{self.number:03d}"
        return f"{self.driver:02d}_{self.number:04d}"

    def video(self, labels: Path | None = None, masks: Path | None = None) -> Video:
        """The stream as a video, with the truth of LABEL.csv or of a folder of masks."""
        truth = None
        if self.half == "testing" and labels is not None:
            if self.recording in read_label_table(labels):
                truth = partial(recording_truth, labels, self.recording, self.source)
        elif self.half == "testing" and masks is not None:
            mask = masks / f"{self.short}.npy"
            if mask.is_file():
                truth = partial(recording_mask_truth, mask, self.source)
        label = self.stream.lower()
        name = f"{self.recording}-{label}"
        return Video(name, self.source, fps=45.0, label=label, truth=truth)


class Dad(DataSet):
    """Driver Anomaly Detection: normal driving to learn from, distracted driving to be found.
    224×171, 45 fps.

    A video's label is its stream: front_depth, front_ir, top_depth or top_ir.
    """

    name = "dad"
    origin = "https://github.com/okankop/Driver-Anomaly-Detection (on request)"
    TREE = """
DAD/
  Tester1/ … Tester25/
    normal_driving_1/ … normal_driving_6/
      front_depth/
        img_0.png …
      front_IR/
        img_0.png …
      top_depth/
        img_0.png …
      top_IR/
        img_0.png …
  val01/ … val06/
    rec1/ … rec6/
      front_depth/
        img_0.png …
      front_IR/
        img_0.png …
      top_depth/
        img_0.png …
      top_IR/
        img_0.png …
  LABEL.csv                         val, rec, start, end, N or A; empty cells are those of the row above
or with films in place of folders of pictures
DAD/
  Tester1/ …
    normal_driving_1/ …
      front_depth.avi
      front_IR.avi
      top_depth.avi
      top_IR.avi
  val01/ …
    rec1/ …
      front_depth.avi
      front_IR.avi
      top_depth.avi
      top_IR.avi
  LABEL.csv
or as the jigsaw variant lays it out again (oddframe prepare dad ROOT OUT)
DAD_Jigsaw/
  training/
    front_depth/                    and so front_IR/, top_depth/ and top_IR/
      frames/
        01_001/ …                   Tester1/normal_driving_1
          img_0.png …
  testing/
    front_depth/
      frames/
        01_0001/ …                  val01/rec1
          img_0.png …
    frame_masks/
      01_0001.npy …                 0 or 1 for every frame
or the same with films
DAD_Jigsaw/
  training/
    front_depth/
      videos/
        01_001.avi …
  testing/
    front_depth/
      videos/
        01_0001.avi …
    frame_masks/
      01_0001.npy …
"""

    def find(self, root: Path) -> dict[str, Path]:
        for base in (root, nearest(root, "DAD")):
            if base is not None and holds_drivers(base):
                return {"DAD": base}
        for base in (root, nearest(root, "DAD_Jigsaw")):
            if base is None:
                continue
            if stream_folders(base, "training") or stream_folders(base, "testing"):
                return {"DAD_Jigsaw": base}
        return {}

    def missing(self, root: Path) -> tuple[str, ...]:
        """What TREE lacks, and streams that only some recordings have.

        A stream that no recording has is no lack, nor is a film in place of pictures.
        """
        lines = []
        for line in super().missing(root):
            if not any(name in line for name in STREAMS):
                lines.append(line)
        by_recording: dict[str, set[str]] = {}
        for stream in find_streams(self.find(root)):
            by_recording.setdefault(stream.recording, set()).add(stream.stream)
        there = set().union(*by_recording.values())
        for recording, names in by_recording.items():
            for name in STREAMS:
                if name in there and name not in names:
                    lines.append(f"{recording}: {name}")
        return tuple(lines)

    def read_split(self, root: Path) -> Split:
        found = self.find(root)
        if not found:
            raise self.not_found(
                root, "there is neither Tester1/ nor val01/, nor training/ or testing/ with streams"
            )
        streams = find_streams(found)
        labels = None
        masks = None
        notes: tuple[str, ...] = ()
        if "DAD" in found:
            labels = nearest(found["DAD"], "LABEL.csv")
        else:
            masks = nearest(found["DAD_Jigsaw"] / "testing", "frame_masks")
        if labels is not None:
            notes = absent_recordings(labels, streams)
        if not streams:
            base = next(iter(found.values()))
            raise self.not_found(root, f"there is no picture and no film in {base}")
        halves: dict[Half, list[Video]] = {"training": [], "testing": []}
        for stream in streams:
            halves[stream.half].append(stream.video(labels, masks))
        return Split(halves["training"], halves["testing"], notes=notes)


def find_streams(found: dict[str, Path]) -> list[DadStream]:
    """Every stream of either layout, by what `Dad.find` gives."""
    if "DAD" in found:
        return official_streams(found["DAD"])
    if "DAD_Jigsaw" in found:
        return jigsaw_streams(found["DAD_Jigsaw"])
    return []


def official_streams(base: Path) -> list[DadStream]:
    """Every stream of every recording in the authors' tree, in its order."""
    streams = []
    for half, (drivers, recordings) in OFFICIAL_NAMES.items():
        for driver, folder in numbered_folders(base, drivers):
            for number, recording in numbered_folders(folder, recordings):
                for name in STREAMS:
                    source = find_source(recording, name)
                    if source is not None:
                        streams.append(DadStream(half, driver, number, name, source))
    return streams


def jigsaw_streams(base: Path) -> list[DadStream]:
    """The same of the jigsaw variant's tree, in the same order. Of a recording that is there as
    both, the pictures.
    """
    found: dict[tuple[int, int, int, int], DadStream] = {}
    for position, half in enumerate(HALVES):
        for name, folder in stream_folders(base, half).items():
            for source in recordings_in(folder):
                named = re.match(r"(\d+)_(\d+)(\.\w+)?$", source.name)
                if named is None:
                    continue
                driver = int(named[1])
                number = int(named[2])
                order = (position, driver, number, STREAMS.index(name))
                found[order] = DadStream(half, driver, number, name, source)
    return [found[order] for order in sorted(found)]


def recordings_in(folder: Path) -> list[Path]:
    """The films of videos/ and then the folders of pictures of frames/."""
    found = []
    for path in entries_of(folder / "videos"):
        if path.is_file() and path.suffix.lower() in VIDEO_ENDINGS:
            found.append(path)
    for path in entries_of(folder / "frames"):
        if holds_pictures(path):
            found.append(path)
    return found


def absent_recordings(labels: Path, streams: Sequence[DadStream]) -> tuple[str, ...]:
    """A note on recordings that LABEL.csv has and the folder has not, where it has any to test."""
    known = set()
    for stream in streams:
        if stream.half == "testing":
            known.add(stream.recording)
    absent = [name for name in read_label_table(labels) if name not in known]
    if not known or not absent:
        return ()
    some = ", ".join(absent[:SOME])
    return (f"{labels} has labels of {len(absent)} recordings that are not there: {some}",)


def stream_folders(base: Path, half: str) -> dict[str, Path]:
    """The folders of streams in one half of the jigsaw variant's tree."""
    holder = nearest(base, half)
    folders = {}
    for name in STREAMS:
        path = nearest(holder, name)
        if path is not None and path.is_dir():
            folders[name] = path
    return folders


def holds_drivers(base: Path) -> bool:
    """Whether a folder holds drivers as the authors call them."""
    folders = [path.name for path in entries_of(base) if path.is_dir()]
    return any(re.fullmatch(r"(Tester|val)\d+", name) for name in folders)


def numbered_folders(folder: Path, begins: str) -> list[tuple[int, Path]]:
    """The folders that begin so, each with the number at its end."""
    found = []
    for path in entries_of(folder):
        number = re.fullmatch(rf"{begins}\w*?(\d+)", path.name)
        if path.is_dir() and number is not None:
            found.append((int(number[1]), path))
    return sorted(found)


def find_source(recording: Path, stream: str) -> Path | None:
    """A stream's pictures, or failing that its film."""
    pictures = nearest(recording, stream)
    if pictures is not None and holds_pictures(pictures):
        return pictures
    films = [stream + ending for ending in sorted(VIDEO_ENDINGS)]
    return nearest(recording, *films)


def holds_pictures(path: Path) -> bool:
    """Whether a path is a folder with pictures."""
    return path.is_dir() and bool(pictures_of(path))
