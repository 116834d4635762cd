"""Labels of Driver Anomaly Detection: LABEL.csv as its authors write it, and frame masks as the
jigsaw variant does.
"""

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from oddframe.datasets.frame_labels import read_flags
from oddframe.datasets.tables import read_text
from oddframe.errors import BadTruth
from oddframe.types import Bools, Ints, Truth, Video
from oddframe.video.reader import pictures_of, times_of

# labels of a recording at most; masks that others write have 10,000, whatever its length
LONGEST_MASK = 1 << 20

FrameRange = tuple[int, int, bool]  # first frame, last frame, anomalous?
LabelTable = dict[str, list[FrameRange]]  # by recording, such as val01_rec1


@dataclass(frozen=True)
class LabelRow:
    """One row of LABEL.csv: cells val, rec, start, end and N or A."""

    where: str  # file and row, for errors
    val: str
    rec: str
    start: str
    end: str
    kind: str


def read_label_table(path: Path) -> LabelTable:
    """What LABEL.csv says of each recording, such as val01_rec1; a recording without rows is not in
    it.

    Blank val and rec cells are those of the row above; a header, empty rows and rows without a
    label are passed over. Raises BadTruth, naming the row, for a recording left blank where the
    driver changes, for numbers that are none, for an end before its start, and for frames said to
    be both normal and odd.
    """
    stat = path.stat()
    return parse_label_table(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def parse_label_table(path: Path, changed: int, size: int) -> LabelTable:
    """The same, kept: every video asks for it. `changed` and `size` tell a file that is another one
    now.
    """
    del changed, size
    table: LabelTable = {}
    val = rec = ""
    for row in read_label_rows(path):
        if row.val:
            name = folder_name("val", row.val, 2, row.where)
            if name != val:
                val = name
                rec = ""
        if row.rec:
            rec = folder_name("rec", row.rec, 1, row.where)
        if not row.kind and not (row.start and row.end):
            continue  # names a recording whose ranges follow
        if not val or not rec:
            which = ""
            if val:
                which = f" of {val}"
            raise BadTruth(f"{row.where}: no row above says which recording{which} it is")
        found = parse_range(row)
        if row.kind:
            ranges = table.setdefault(f"{val}_{rec}", [])
            refuse_contradiction(row.where, f"{val} {rec}", found, ranges)
            ranges.append(found)
    return table


def read_label_rows(path: Path) -> list[LabelRow]:
    """The rows that hold anything, without the header."""
    lines = read_text(path, error=BadTruth).splitlines()
    try:
        rows = list(csv.reader(lines))
    except csv.Error as error:
        raise BadTruth(f"{path} cannot be read as a table: {error}") from error
    found = []
    for number, line in enumerate(rows, 1):
        cells = [cell.strip() for cell in line] + [""] * 5
        header = number == 1 and cells[0].lower() in ("val", "validation")
        if any(cells) and not header:
            found.append(LabelRow(f"{path}, row {number}", *cells[:5]))
    return found


def parse_range(row: LabelRow) -> FrameRange:
    """The frames of a row, both ends included. Raises BadTruth."""
    start = frame_number(row.start, row.where)
    end = frame_number(row.end, row.where)
    kind = row.kind.upper()
    if kind not in ("A", "N", ""):
        raise BadTruth(f"{row.where}: a label is N (normal) or A (anomalous), got {row.kind!r}")
    if end < start:
        raise BadTruth(f"{row.where}: it ends at frame {end}, before its start {start}")
    return start, end, kind == "A"


def refuse_contradiction(
    where: str, recording: str, found: FrameRange, known: list[FrameRange]
) -> None:
    """Raise BadTruth where frames are said to be both normal and anomalous."""
    start, end, anomalous = found
    for first, last, other in known:
        if start <= last and end >= first and other != anomalous:
            raise BadTruth(
                f"{where}: frames {max(start, first)} to {min(end, last)} of {recording} are "
                "said to "
                "be normal and anomalous"
            )


def recording_truth(labels: Path, recording: str, source: Path, frames: int) -> Truth:
    """The frames of a recording that are odd, by the numbers in their names; `end` is included.

    As many as there are frames: not the 10,000 that others write whatever the length.
    """
    ranges = read_label_table(labels).get(recording)
    if ranges is None:
        raise BadTruth(f"{labels} says nothing of {recording}")
    numbers = numbers_of_frames(source, frames)
    last = max((end for _, end, _ in ranges), default=0)
    return Truth(anomalous_frames(ranges, numbers), note=note_on_numbers(numbers, last))


def recording_mask_truth(mask: Path, source: Path, frames: int) -> Truth:
    """The same from a frame mask, which may go on beyond the recording, as those of 10,000 whatever
    its length do.
    """
    numbers = numbers_of_frames(source, frames)
    flags = read_flags(mask, max(LONGEST_MASK, frames))
    if frames and numbers[-1] >= len(flags):
        raise BadTruth(
            f"{mask} has {len(flags)} labels, but the frames of {source} go up to "
            f"number {numbers[-1]}"
        )
    return Truth(flags[numbers], note=note_on_numbers(numbers, len(flags) - 1))


def anomalous_frames(ranges: list[FrameRange], numbers: Ints) -> Bools:
    """Which of the frames with these numbers are anomalous."""
    flags = np.zeros(len(numbers), bool)
    for start, end, anomalous in ranges:
        if anomalous:
            flags |= (numbers >= start) & (numbers <= end)
    return flags


def frame_numbers(source: Path) -> Ints:
    """The number of every frame of a stream: the last one in its picture's name; in a film, from 0
    on.
    """
    if source.is_file():
        return np.arange(len(times_of(Video(source.stem, source))))
    numbers = []
    for path in pictures_of(source):
        digits = re.findall(r"\d+", path.stem)
        if digits:
            numbers.append(int(digits[-1]))
    return np.array(numbers, np.int64)


def numbers_of_frames(source: Path, frames: int) -> Ints:
    """The same, of so many frames. Raises BadTruth where there are more or fewer."""
    numbers = frame_numbers(source)
    if len(numbers) != frames:
        what = "numbered pictures"
        if source.is_file():
            what = "frames"
        raise BadTruth(f"{source} has {len(numbers)} {what}, but {frames} frames were decoded")
    return numbers


def note_on_numbers(numbers: Ints, last: int) -> str:
    """What somebody must know about numbers that do not run from first to last label."""
    notes = []
    gaps = int((np.diff(numbers) > 1).sum())
    if gaps:
        notes.append(f"its pictures have {gaps} gaps in their numbers; labels go by number")
    if len(numbers) and last > numbers[-1]:
        notes.append(f"labels go up to frame {last}, its pictures to {numbers[-1]}")
    return "; ".join(notes)


def folder_name(what: str, cell: str, digits: int, where: str) -> str:
    """`val01`, `1` or `01` as val01."""
    found = re.fullmatch(rf"(?:{what}\D*)?(\d+)", cell.lower())
    if found is None:
        example = what + "1".zfill(digits)
        raise BadTruth(f"{where}: a cell {what} is written {example}, got {cell!r}")
    number = int(found[1])
    return what + str(number).zfill(digits)


def frame_number(cell: str, where: str) -> int:
    """A whole number from 0 on. Raises BadTruth."""
    try:
        value = float(cell)
    except ValueError:
        value = -1
    if value < 0 or value != int(value):
        raise BadTruth(f"{where}: start and end are frame numbers from 0, got {cell!r}")
    return int(value)
