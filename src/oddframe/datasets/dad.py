"""Driver Anomaly Detection: two cameras on a driver, each in depth and infrared (Köpüklü et al., WACV 2021).

Read as its authors ship it; nothing is copied or renamed. Each stream of a recording is a video of its own, so that one
detector is fitted for each stream and their rarities are fused (`oddframe fuse`).
"""

import csv
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from oddframe.console import say
from oddframe.datasets.contract import DataSet, Split
from oddframe.datasets.tree import nearest
from oddframe.errors import BadTruth
from oddframe.files import listing, natural
from oddframe.types import Truth, Video
from oddframe.video.reader import pictures_of

FPS = 45.0
STREAMS = ("front_depth", "front_IR", "top_depth", "top_IR")
Rows = dict[str, list[tuple[int, int, bool]]]  # of each recording: first frame, last frame, odd?


class Dad(DataSet):
    """Driver Anomaly Detection: normal driving to learn from, distracted driving to be found. 224×171, 45 fps.

    A video's label is its stream: front_depth, front_ir, top_depth or top_ir.
    """

    name = "dad"
    offered = "https://github.com/okankop/Driver-Anomaly-Detection (on request)"
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
"""

    def places(self, root: Path) -> dict[str, Path]:
        for base in (root, nearest(root, "DAD")):
            if base is not None and any(re.fullmatch(r"(Tester|val)\d+", path.name) for path in _inside(base)):
                return {"DAD": base}
        return {}

    def read(self, root: Path) -> Split:
        base = self.places(root).get("DAD")
        if base is None:
            raise self.nothing(root, "there is neither Tester1/ nor val01/")
        label = nearest(base, "LABEL.csv")
        if label is not None:
            rows = rows_in(label)
            there = {f"{v.name}_{r.name}" for v in _inside(base, "val") for r in _inside(v, "rec")}
            if there and (absent := [name for name in rows if name not in there]):
                say(f"note: {label} tells of {len(absent)} recordings that are not there: {', '.join(absent[:4])}")
        split = Split(
            [video for part in _inside(base, "Tester") for video in _streams(part, "normal_driving_", None)],
            [video for part in _inside(base, "val") for video in _streams(part, "rec", label)],
        )
        if not split.train and not split.test:
            raise self.nothing(root, f"there is no picture in {base}")
        return split


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
            raise BadTruth(f"{path}, row {number}: a label is N (normal) or A (anomalous), got {cells[4]!r}")
        if end < start:
            raise BadTruth(f"{path}, row {number}: it ends at frame {end}, before its start {start}")
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
    numbers = [int(found[-1]) for path in pictures_of(source) if (found := re.findall(r"\d+", path.stem))]
    if len(numbers) != frames:
        raise BadTruth(f"{source} has {len(numbers)} numbered pictures, but {frames} frames were decoded")
    number = np.array(numbers, np.int64)
    odd = np.zeros(frames, bool)
    for start, end, anomalous in rows:
        if anomalous:
            odd |= (number >= start) & (number <= end)
    notes = []
    if gaps := int((np.diff(number) > 1).sum()):
        notes.append(f"its pictures have {gaps} gaps in their numbers; labels go by number")
    last = max((end for _, end, _ in rows), default=0)
    if frames and last > number[-1]:
        notes.append(f"labels go up to frame {last}, its pictures to {number[-1]}")
    return Truth(odd, note="; ".join(notes))


def _streams(part: Path, begins: str, label: Path | None) -> Iterator[Video]:
    for recording in _inside(part, begins):
        name = f"{part.name}_{recording.name}"
        told = label if label is not None and name in rows_in(label) else None
        for stream in STREAMS:
            source = nearest(recording, stream)
            if source is not None and pictures_of(source):
                truth = partial(truth_of, told, name, source) if told else None
                yield Video(f"{name}-{stream.lower()}", source, fps=FPS, label=stream.lower(), truth=truth)


def _inside(folder: Path, begins: str = "") -> list[Path]:
    found = [path for path in (listing(folder) if folder.is_dir() else []) if path.is_dir()]
    return sorted((p for p in found if re.fullmatch(rf"{begins}\w*\d+", p.name)), key=lambda path: natural(path.name))


def _name(what: str, cell: str, digits: int, path: Path, number: int) -> str:
    """`val01`, `1` or `01` as val01."""
    found = re.fullmatch(rf"(?:{what}\D*)?(\d+)", cell.lower())
    if found is None:
        raise BadTruth(f"{path}, row {number}: a cell {what} is written {what}{1:0{digits}d}, got {cell!r}")
    return f"{what}{int(found[1]):0{digits}d}"


def _number(cell: str, path: Path, number: int) -> int:
    try:
        value = float(cell)
    except ValueError:
        value = -1
    if value < 0 or value != int(value):
        raise BadTruth(f"{path}, row {number}: start and end are frame numbers from 0, got {cell!r}")
    return int(value)
