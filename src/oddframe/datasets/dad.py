"""Driver Anomaly Detection: two cameras on a driver, each in depth and infrared (Köpüklü et al., WACV 2021).

Read as its authors ship it, or as the jigsaw variant lays it out again (`oddframe prepare dad ROOT OUT` does so, with
links): a video has the same name in both. Each stream of a recording is a video of its own, so that one detector is
fitted for each stream and their rarities are fused (`oddframe fuse`).
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from oddframe.datasets.annotations import read_flags
from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.tree import nearest
from oddframe.errors import BadTruth
from oddframe.files import listing
from oddframe.types import Bools, Ints, Truth, Video
from oddframe.video.reader import VIDEO_ENDINGS, pictures_of, times_of

FPS = 45.0
LONGEST_MASK = (
    1 << 20
)  # labels of a recording; masks that others write have 10,000, whatever its length
FILMS = sorted(VIDEO_ENDINGS)
STREAMS = ("front_depth", "front_IR", "top_depth", "top_IR")
Part = Literal["training", "testing"]
PARTS: tuple[Part, ...] = ("training", "testing")
Rows = dict[str, list[tuple[int, int, bool]]]  # of each recording: first frame, last frame, odd?


@dataclass(frozen=True)
class Stream:
    """One stream of one recording, in whichever layout it was found."""

    part: Part
    driver: int
    number: int  # of the driver's recording
    stream: str  # one of STREAMS
    source: Path  # a folder of pictures, or a film

    @property
    def recording(self) -> str:
        """As in the authors' tree, such as val01_rec1: one name, whichever layout it is read from."""
        if self.part == "training":
            return f"Tester{self.driver}_normal_driving_{self.number}"
        return f"val{self.driver:02d}_rec{self.number}"

    @property
    def short(self) -> str:
        """As in the jigsaw variant's: 01_001 to learn from, 01_0001 to be judged on."""
        return f"{self.driver:02d}_{self.number:0{3 if self.part == 'training' else 4}d}"


class Dad(DataSet):
    """Driver Anomaly Detection: normal driving to learn from, distracted driving to be found. 224×171, 45 fps.

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
            if base is not None and any(
                re.fullmatch(r"(Tester|val)\d+", path.name) for path in _folders(base)
            ):
                return {"DAD": base}
        for base in (root, nearest(root, "DAD_Jigsaw")):
            if base is not None and any(_streams_in(base, part) for part in PARTS):
                return {"DAD_Jigsaw": base}
        return {}

    def missing(self, root: Path) -> tuple[str, ...]:
        """A stream that no recording has is no lack, nor is a film in place of pictures; what only some have is one."""
        places = self.find(root)
        lines = [
            line for line in super().missing(root) if not any(name in line for name in STREAMS)
        ]
        if not places:
            return tuple(lines)
        streams = (
            as_shipped(places["DAD"]) if "DAD" in places else as_laid_out(places["DAD_Jigsaw"])
        )
        there: dict[str, set[str]] = {}
        for one in streams:
            there.setdefault(one.recording, set()).add(one.stream)
        expected = [name for name in STREAMS if any(name in names for names in there.values())]
        lines += [
            f"{recording}: {name}"
            for recording, names in there.items()
            for name in expected
            if name not in names
        ]
        return tuple(lines)

    def read_split(self, root: Path) -> Split:
        places = self.find(root)
        if not places:
            raise self.not_found(
                root, "there is neither Tester1/ nor val01/, nor training/ or testing/ with streams"
            )
        notes: tuple[str, ...] = ()
        if "DAD" in places:
            base = places["DAD"]
            streams, label = as_shipped(base), nearest(base, "LABEL.csv")
            if label is not None:
                notes = _note_absent(label, {stream.recording for stream in streams})
            videos = [(one, _video(one, label=label)) for one in streams]
        else:
            base = places["DAD_Jigsaw"]
            streams, masks = as_laid_out(base), nearest(base / "testing", "frame_masks")
            videos = [(one, _video(one, masks=masks)) for one in streams]
        if not videos:
            raise self.not_found(root, f"there is no picture and no film in {base}")
        halves = [[video for one, video in videos if one.part == part] for part in PARTS]
        return Split(halves[0], halves[1], notes=notes)


def as_shipped(base: Path) -> list[Stream]:
    """Every stream of every recording in the authors' tree, in its order."""
    halves: tuple[tuple[Part, str, str], ...] = (
        ("training", "Tester", "normal_driving_"),
        ("testing", "val", "rec"),
    )
    return [
        Stream(part, driver, number, name, source)
        for part, whose, which in halves
        for driver, folder in _numbered(base, whose)
        for number, recording in _numbered(folder, which)
        for name in STREAMS
        if (source := _source(recording, name)) is not None
    ]


def as_laid_out(base: Path) -> list[Stream]:
    """The same of the jigsaw variant's tree, in the same order. Of a recording that is there as both, the pictures."""
    found: dict[tuple[int, int, int, int], Stream] = {}
    for p, part in enumerate(PARTS):
        for name, folder in _streams_in(base, part).items():
            for source in [
                *_inside(folder / "videos", _is_film),
                *_inside(folder / "frames", _holds_pictures),
            ]:
                if one := re.match(r"(\d+)_(\d+)(\.\w+)?$", source.name):
                    driver, number = int(one[1]), int(one[2])
                    found[p, driver, number, STREAMS.index(name)] = Stream(
                        part, driver, number, name, source
                    )
    return [found[key] for key in sorted(found)]


def rows_in(path: Path) -> Rows:
    """What LABEL.csv says of each recording, such as val01_rec1; a recording without rows is not in it.

    Blank val and rec cells are those of the row above; a header, empty rows and rows without a label are passed over.
    Raises BadTruth, naming the row, for a recording left blank where the driver changes, for numbers that are none, for
    an end before its start, and for frames said to be both normal and odd.
    """
    stat = path.stat()
    return _rows(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _rows(path: Path, changed: int, size: int) -> Rows:
    del changed, size  # only there to ask anew for a file that is not the same any more
    rows: Rows = {}
    val = rec = ""
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadTruth(f"{path} cannot be read as a table: {error}") from error
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line] + [""] * 5
        if not any(cells) or (number == 1 and cells[0].lower() in ("val", "validation")):
            continue
        if cells[0] and _name("val", cells[0], 2, path, number) != val:
            val, rec = _name("val", cells[0], 2, path, number), ""
        if cells[1]:
            rec = _name("rec", cells[1], 1, path, number)
        if not cells[4] and not (cells[2] and cells[3]):
            continue  # names a recording whose ranges follow
        if not val or not rec:
            raise BadTruth(
                f"{path}, row {number}: no row above says which recording{f' of {val}' if val else ''} it is"
            )
        start, end = (_number(cell, path, number) for cell in cells[2:4])
        kind = cells[4].upper()
        if kind not in ("A", "N", ""):
            raise BadTruth(
                f"{path}, row {number}: a label is N (normal) or A (anomalous), got {cells[4]!r}"
            )
        if end < start:
            raise BadTruth(
                f"{path}, row {number}: it ends at frame {end}, before its start {start}"
            )
        if kind:
            known = rows.setdefault(f"{val}_{rec}", [])
            for first, last, odd in known:
                if start <= last and end >= first and odd != (kind == "A"):
                    raise BadTruth(
                        f"{path}, row {number}: frames {max(start, first)} to {min(end, last)} of {val} {rec} are said "
                        "to be normal and anomalous"
                    )
            known.append((start, end, kind == "A"))
    return rows


def truth_of(label: Path, recording: str, source: Path, frames: int) -> Truth:
    """The frames of a recording that are odd, by the numbers in their names; `end` is included.

    As many as there are frames: not the 10,000 that others write whatever the length.
    """
    rows = rows_in(label).get(recording)
    if rows is None:
        raise BadTruth(f"{label} says nothing of {recording}")
    number = _numbers(source, frames)
    last = max((end for _, end, _ in rows), default=0)
    return Truth(odd_in(rows, number), note=_note(number, last))


def truth_in(mask: Path, source: Path, frames: int) -> Truth:
    """The same from a frame mask, which may go on beyond the recording, as those of 10,000 whatever its length do."""
    number = _numbers(source, frames)
    flags = read_flags(mask, max(LONGEST_MASK, frames))
    if frames and number[-1] >= len(flags):
        raise BadTruth(
            f"{mask} has {len(flags)} labels, but the frames of {source} go up to number {number[-1]}"
        )
    return Truth(flags[number], note=_note(number, len(flags) - 1))


def odd_in(rows: list[tuple[int, int, bool]], number: Ints) -> Bools:
    """Which of the frames with these numbers are odd."""
    odd = np.zeros(len(number), bool)
    for start, end, anomalous in rows:
        if anomalous:
            odd |= (number >= start) & (number <= end)
    return odd


def numbers_of(source: Path) -> Ints:
    """The number of every frame of a stream: the last one in its picture's name; in a film, from 0 on."""
    if source.is_file():
        return np.arange(len(times_of(Video(source.stem, source))))
    return np.array(
        [
            int(found[-1])
            for path in pictures_of(source)
            if (found := re.findall(r"\d+", path.stem))
        ],
        np.int64,
    )


def _numbers(source: Path, frames: int) -> Ints:
    number = numbers_of(source)
    if len(number) != frames:
        what = "frames" if source.is_file() else "numbered pictures"
        raise BadTruth(f"{source} has {len(number)} {what}, but {frames} frames were decoded")
    return number


def _note(number: Ints, last: int) -> str:
    notes = []
    if gaps := int((np.diff(number) > 1).sum()):
        notes.append(f"its pictures have {gaps} gaps in their numbers; labels go by number")
    if len(number) and last > number[-1]:
        notes.append(f"labels go up to frame {last}, its pictures to {number[-1]}")
    return "; ".join(notes)


def _note_absent(label: Path, there: set[str]) -> tuple[str, ...]:
    known = {name for name in there if name.startswith("val")}
    absent = [name for name in rows_in(label) if name not in known]
    if not known or not absent:
        return ()
    some = ", ".join(absent[:4])
    return (f"{label} has labels of {len(absent)} recordings that are not there: {some}",)


def _video(one: Stream, *, label: Path | None = None, masks: Path | None = None) -> Video:
    truth = None
    if one.part == "testing" and label is not None and one.recording in rows_in(label):
        truth = partial(truth_of, label, one.recording, one.source)
    elif (
        one.part == "testing"
        and masks is not None
        and (mask := masks / f"{one.short}.npy").is_file()
    ):
        truth = partial(truth_in, mask, one.source)
    name = one.stream.lower()
    return Video(f"{one.recording}-{name}", one.source, fps=FPS, label=name, truth=truth)


def _streams_in(base: Path, part: str) -> dict[str, Path]:
    """The folders of streams in one half of the jigsaw variant's tree."""
    holder = nearest(base, part)
    found = {name: nearest(holder, name) for name in STREAMS} if holder is not None else {}
    return {name: path for name, path in found.items() if path is not None and path.is_dir()}


def _numbered(folder: Path, begins: str) -> list[tuple[int, Path]]:
    """The folders that begin so, each with the number at its end."""
    named = [(re.fullmatch(rf"{begins}\w*?(\d+)", path.name), path) for path in _folders(folder)]
    return sorted((int(found[1]), path) for found, path in named if found)


def _source(recording: Path, stream: str) -> Path | None:
    """Its pictures, or failing that its film."""
    pictures, film = (
        nearest(recording, stream),
        nearest(recording, *(stream + ending for ending in FILMS)),
    )
    return pictures if pictures is not None and _holds_pictures(pictures) else film


def _inside(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    return [path for path in (listing(folder) if folder.is_dir() else []) if wanted(path)]


def _folders(folder: Path) -> list[Path]:
    return _inside(folder, Path.is_dir)


def _holds_pictures(path: Path) -> bool:
    return path.is_dir() and bool(pictures_of(path))


def _is_film(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_ENDINGS


def _name(what: str, cell: str, digits: int, path: Path, number: int) -> str:
    """`val01`, `1` or `01` as val01."""
    found = re.fullmatch(rf"(?:{what}\D*)?(\d+)", cell.lower())
    if found is None:
        raise BadTruth(
            f"{path}, row {number}: a cell {what} is written {what}{1:0{digits}d}, got {cell!r}"
        )
    return f"{what}{int(found[1]):0{digits}d}"


def _number(cell: str, path: Path, number: int) -> int:
    try:
        value = float(cell)
    except ValueError:
        value = -1
    if value < 0 or value != int(value):
        raise BadTruth(
            f"{path}, row {number}: start and end are frame numbers from 0, got {cell!r}"
        )
    return int(value)
