"""Ground truth in files: what people write down about a video, read into a Truth of as many frames as were decoded.

Beside a video called NAME, in one folder (docs/how-to/ground-truth.md shows each with an example):

    NAME.npy         (frames,) 0 or 1
    NAME.txt         0 or 1 for every frame, separated by white space
    NAME.csv         anomalous stretches: start,end[,kind] in frames from 0, end not included;
                     or start_seconds,end_seconds[,kind]
    NAME.masks.npz   key `masks`: (frames, h, w), above 0 where anomalous
    NAME/  NAME_gt/  pictures of masks, one a frame in natural order, above 0 where anomalous
    NAME.tracks.csv  frame,track,x1,y1,x2,y2[,kind]: boxes as fractions of width and height

At most one of the first three and one of the masks. Without the first three a frame is anomalous where its mask or a
track says so.
"""

import csv
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.errors import BadTruth
from oddframe.files import aside
from oddframe.types import Bools, Floats, Truth
from oddframe.video.reader import pictures_of

LABELS = (".npy", ".txt", ".csv")
MASKS = (".masks.npz", "", "_gt")
TRACKS = ".tracks.csv"
SEGMENTS_HEADER = (
    "start,end[,kind] (frames from 0, end not included) or start_seconds,end_seconds[,kind]"
)
TRACKS_HEADER = "frame,track,x1,y1,x2,y2[,kind]"
# seconds by which a stretch may outlast its video: people round up, and containers lie about the last frame
SLACK = 1.0

# what numpy and zipfile raise for a damaged file, whose header may also ask for any memory
DAMAGED = (
    *(OSError, ValueError, EOFError, IndexError, MemoryError, NotImplementedError, RuntimeError),
    *(
        zipfile.BadZipFile,
        zlib.error,
        tokenize.TokenError,
        SyntaxError,
    ),  # numpy reads headers as Python literals
)

Kinds = NDArray[np.str_]


def write_truth(folder: Path, name: str, truth: Truth) -> None:
    """Write what the truth holds as NAME.csv (stretches with their kinds), NAME.masks.npz and NAME.tracks.csv.

    Boxes are cut at the picture's edge; those wholly outside are left out.
    """
    with aside(folder / f"{name}.csv") as part:
        _write_table(
            part, ["start", "end", *(["kind"] if truth.kind is not None else [])], _stretches(truth)
        )
    if truth.mask is not None:
        with aside(folder / f"{name}.masks.npz") as part:
            np.savez_compressed(part, masks=(truth.mask > 0).astype(np.uint8))
    if truth.tracks is not None:
        with aside(folder / f"{name}{TRACKS}") as part:
            _write_table(part, ["frame", "track", "x1", "y1", "x2", "y2"], _boxes(truth.tracks))


def read_truth(
    folder: Path, name: str, frames: int, seconds: Callable[[], Floats] | None = None
) -> Truth | None:
    """What the folder says of the video `name`, of which `frames` frames were decoded; None when it says nothing.

    `seconds` gives the time of every frame and is asked only where stretches are in seconds. Raises BadTruth, naming
    file and counts, for whatever does not fit.
    """
    labels = _only_one([folder / f"{name}{ending}" for ending in LABELS], name)
    pictured = _only_one([folder / f"{name}{ending}" for ending in MASKS], name)
    boxed = folder / f"{name}{TRACKS}"
    frame: Bools | None = None
    mask: Bools | None = None
    tracks: Floats | None = None
    kind: Kinds | None = None
    if labels is not None and labels.suffix == ".csv":
        frame, kind = _read_stretches(labels, frames, seconds)
    elif labels is not None:
        frame = read_labels(labels)
        fits(labels, "labels", len(frame), frames)
        if frame.ndim == 3:  # a pixel mask where frame labels were expected says the same and more
            mask, frame = frame, None
    if pictured is not None:
        mask = read_masks(pictured)
        fits(pictured, "masks", len(mask), frames)
    if boxed.exists():
        tracks, kind_of_tracks = _read_tracks(boxed, frames)
        kind = kind if kind is not None else kind_of_tracks
    if frame is None and (mask is not None or tracks is not None):
        frame = np.zeros(frames, bool)
        if mask is not None:
            frame |= odd_frames(mask)
        if tracks is not None:
            frame[tracks[:, 0].astype(int)] = True
    return None if frame is None else Truth(frame, mask, tracks, kind)


def truth_files(folder: Path, name: str) -> list[Path]:
    """The files and folders from which `read_truth` would read."""
    paths = [folder / f"{name}{ending}" for ending in (*LABELS, *MASKS, TRACKS)]
    return [path for path in paths if _is_truth(path)]


def truth_names(folder: Path) -> dict[str, Path]:
    """The names that a folder of truth speaks of, each with a file that does; `sub/name` for sub-folders."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith((".", "__MACOSX")) for part in relative.parts) or not _is_truth(
            path
        ):
            continue
        name = relative.as_posix()
        for ending in (TRACKS, ".masks.npz", "_gt", *LABELS):
            if name.endswith(ending):
                name = name[: -len(ending)]
                break
        found.setdefault(name, path)
    return found


def read_labels(path: Path) -> Bools:
    """Frame labels from 0 and 1 in a .npy (frames,) or .txt. A .npy of (frames, h, w) stays that, True above 0."""
    values = array_in(path) if path.suffix == ".npy" else _numbers(path)
    values = values.reshape(-1) if values.ndim == 2 and 1 in values.shape else values
    if values.ndim == 3:
        return values > 0
    if values.ndim != 1:
        raise BadTruth(
            f"{path}: labels are one number for every frame, got an array of shape {values.shape}"
        )
    if len(odd := np.setdiff1d(values, [0, 1])):
        raise BadTruth(f"{path}: labels are 0 (normal) or 1 (anomalous), got {odd[0]}")
    return values > 0


def read_masks(path: Path) -> Bools:
    """(frames, h, w) True where anomalous, from an .npz with key `masks`, a .npy, or a folder of pictures."""
    if path.is_dir():
        return pictured_masks(pictures_of(path))
    values = array_in(path, "masks") if path.suffix == ".npz" else array_in(path)
    if values.ndim != 3:
        raise BadTruth(
            f"{path}: masks are (frames, height, width), got an array of shape {values.shape}"
        )
    return values > 0


def pictured_masks(paths: list[Path]) -> Bools:
    """(len(paths), h, w) True where a picture is above 0, in the order given. Raises BadTruth if one is damaged."""
    masks: Bools | None = None
    for index, path in enumerate(paths):
        marked = (np.atleast_3d(_picture(path))[:, :, :3] > 0).any(
            axis=2
        )  # without the alpha channel
        if masks is None:
            masks = np.zeros((len(paths), *marked.shape), bool)
        if marked.shape != masks.shape[1:]:
            (h, w), (height, width) = marked.shape, masks.shape[1:]
            raise BadTruth(f"{path} is {w}×{h} pixels, the masks before it {width}×{height}")
        masks[index] = marked
    return masks if masks is not None else np.zeros((0, 1, 1), bool)


def array_in(path: Path, key: str | None = None) -> Floats:
    """The array of a .npy, or the one called `key` of an .npz. Raises BadTruth when there is none."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            values: Floats = loaded if key is None else loaded[key]
    except KeyError as error:
        raise BadTruth(
            f"{path} has no key {key!r}; there are {', '.join(names_in(path)) or 'none'}"
        ) from error
    except DAMAGED as error:
        raise BadTruth(
            f"{path} is not an array that numpy can read ({' '.join(str(error).split())})"
        ) from error
    return values


def names_in(path: Path) -> list[str]:
    """The keys of an .npz. Raises BadTruth when it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except DAMAGED as error:
        raise BadTruth(
            f"{path} is not an archive of arrays ({' '.join(str(error).split())})"
        ) from error


def odd_frames(masks: Bools) -> Bools:
    """(frames,) True where any pixel is."""
    return np.asarray(masks.any(axis=(1, 2)), bool)


def fits(where: Path, what: str, given: int, frames: int) -> None:
    """Raise BadTruth, naming both counts, unless they are the same."""
    if given != frames:
        raise BadTruth(
            f"{where} has {given} {what}, but {frames} frames were decoded from its video"
        )


def _picture(path: Path) -> NDArray[np.generic]:
    data = np.fromfile(path, np.uint8)
    level = cv2.utils.logging.setLogLevel(0)  # OpenCV's complaints would stand before ours
    try:
        # unchanged: the 1 of a mask of 16 bits would become 0 in 8
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error:  # a header may ask for any size
        picture = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None:
        raise BadTruth(f"{path} is not a picture that can be read")
    return np.asarray(picture)


def _is_truth(path: Path) -> bool:
    if path.is_dir():
        return bool(pictures_of(path))
    return path.is_file() and path.name.endswith((*LABELS, ".masks.npz"))


def _only_one(paths: Iterable[Path], name: str) -> Path | None:
    found = [path for path in paths if _is_truth(path)]
    if len(found) > 1:
        raise BadTruth(
            f"{name} has its truth twice, in {found[0]} and in {found[1].name}: keep one"
        )
    return found[0] if found else None


def _stretches(truth: Truth) -> Iterator[list[str | int]]:
    """Rows start, end[, kind] of frames that follow each other, are anomalous and of one kind."""
    frames = len(truth.frame)
    kind = truth.kind if truth.kind is not None else np.full(frames, "")
    changes = (truth.frame[1:] != truth.frame[:-1]) | (kind[1:] != kind[:-1])
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), frames] if frames else []
    for start, end in pairwise(bounds):
        if truth.frame[start]:
            yield [start, end] if truth.kind is None else [start, end, str(kind[start])]


def _boxes(tracks: Floats) -> Iterator[list[str | int]]:
    for frame, track, *corners in tracks:
        x1, y1, x2, y2 = (round(float(np.clip(corner, 0, 1)), 6) for corner in corners)
        if x1 < x2 and y1 < y2:
            yield [int(frame), int(track), *(f"{corner:g}" for corner in (x1, y1, x2, y2))]


def _read_stretches(
    path: Path, frames: int, seconds: Callable[[], Floats] | None
) -> tuple[Bools, Kinds | None]:
    header, rows = _read_table(path)
    frame = np.zeros(frames, bool)
    kinds: list[list[str]] = [[] for _ in range(frames)]
    if {"start", "end"} <= set(header):
        stretches = [_frames_of(path, line, row, frames) for line, row in rows]
    elif {"start_seconds", "end_seconds"} <= set(header):
        times = None if seconds is None else seconds()
        if times is None or len(times) < frames:
            raise BadTruth(
                f"{path} is in seconds, but the times of the video's {frames} frames are not known; use frames"
            )
        stretches = [_frames_between(path, line, row, times[:frames]) for line, row in rows]
    else:
        raise BadTruth(f"{path} begins with {','.join(header)!r}, not with {SEGMENTS_HEADER}")
    for (start, end), (_, row) in zip(stretches, rows, strict=True):
        frame[start:end] = True
        for k in range(start, end):
            if row.get("kind") and row["kind"] not in kinds[k]:
                kinds[k].append(row["kind"])
    return frame, _joined(kinds) if "kind" in header else None


def _frames_of(path: Path, line: int, row: dict[str, str], frames: int) -> tuple[int, int]:
    start, end = _number(path, line, row, "start"), _number(path, line, row, "end")
    if start != int(start) or end != int(end):
        raise BadTruth(
            f"{path}, line {line}: frames are whole numbers, got {start} to {end}; seconds go in start_seconds"
        )
    if not 0 <= start < end:
        raise BadTruth(
            f"{path}, line {line}: a stretch starts at 0 or later and before its end, got {start:g} to {end:g}"
        )
    if end > frames:
        raise BadTruth(
            f"{path}, line {line}: ends at frame {end:g}, but {frames} frames were decoded from its video"
        )
    return int(start), int(end)


def _frames_between(path: Path, line: int, row: dict[str, str], times: Floats) -> tuple[int, int]:
    start, end = _number(path, line, row, "start_seconds"), _number(path, line, row, "end_seconds")
    last = float(times[-1]) if len(times) else 0.0
    if not 0 <= start < end:
        raise BadTruth(
            f"{path}, line {line}: a stretch starts at 0 or later and before its end, got {start:g} to {end:g}"
        )
    if start > last or end > last + SLACK:
        raise BadTruth(
            f"{path}, line {line}: {start:g} to {end:g} s, but the video's last frame is at {last:.2f} s"
        )
    return int(np.searchsorted(times, start - 1e-6)), int(np.searchsorted(times, end - 1e-6))


def _read_tracks(path: Path, frames: int) -> tuple[Floats, Kinds | None]:
    header, rows = _read_table(path)
    columns = ["frame", "track", "x1", "y1", "x2", "y2"]
    if not set(columns) <= set(header):
        raise BadTruth(f"{path} begins with {','.join(header)!r}, not with {TRACKS_HEADER}")
    tracks = np.zeros((len(rows), 6))
    kinds: list[list[str]] = [[] for _ in range(frames)]
    for index, (line, row) in enumerate(rows):
        tracks[index] = frame, _, x1, y1, x2, y2 = [
            _number(path, line, row, column) for column in columns
        ]
        if not 0 <= frame < frames:
            raise BadTruth(
                f"{path}, line {line}: frame {frame:g}, but {frames} frames were decoded from its video"
            )
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            box = f"{x1:g},{y1:g},{x2:g},{y2:g}"
            raise BadTruth(
                f"{path}, line {line}: boxes are x1,y1,x2,y2 as fractions of width and height, got {box}"
            )
        if row.get("kind") and row["kind"] not in kinds[int(frame)]:
            kinds[int(frame)].append(row["kind"])
    return tracks, _joined(kinds) if "kind" in header else None


def _joined(kinds: list[list[str]]) -> Kinds:
    """One word a frame; two things at once are `runner+cyclist`."""
    return np.array(["+".join(kind) for kind in kinds], dtype=np.str_)


def _write_table(path: Path, header: list[str], rows: Iterator[list[str | int]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header, and each row with its line number. Spreadsheets' byte order mark and semicolons are fine."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTruth(f"{path} cannot be read as text ({error})") from error
    between = ";" if lines and ";" in lines[0] and "," not in lines[0] else ","
    table = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(lines, delimiter=between), 1)
    ]
    table = [(number, row) for number, row in table if any(row)]
    if not table:
        raise BadTruth(f"{path} is empty; a video without anomalies still has the header line")
    header = [cell.lower() for cell in table[0][1]]
    return header, [(number, dict(zip(header, row, strict=False))) for number, row in table[1:]]


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    text = row.get(column, "")
    try:
        value = float(text)
    except ValueError:
        raise BadTruth(f"{path}, line {line}: {column} is not a number, got {text!r}") from None
    if not np.isfinite(value):
        raise BadTruth(f"{path}, line {line}: {column} is not a number, got {text!r}")
    return value


def _numbers(path: Path) -> Floats:
    try:
        return np.array([float(word) for word in path.read_text(encoding="utf-8-sig").split()])
    except (OSError, ValueError) as error:
        raise BadTruth(
            f"{path}: labels are 0 or 1 for every frame, separated by white space ({error})"
        ) from error
