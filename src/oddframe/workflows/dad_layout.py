"""Recordings in the jigsaw variant's layout, as links: what `oddframe prepare dad ROOT OUT` does. Nothing is copied."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.datasets.dad import PARTS, Dad, Stream, as_shipped, numbers_of, odd_in, rows_in
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside, room
from oddframe.progress import logger, progress
from oddframe.types import Bytes, ClipSpec, Video
from oddframe.video.reader import read

WHOLE = ClipSpec(length=1, size=None)


def lay_out(data: Dad, root: Path, out: Path, *, frames: bool = False) -> dict[str, Any]:
    """Link every stream into OUT/training and OUT/testing and write OUT/testing/frame_masks; what is there is kept.

    A mask is int8, 1 where odd, and as long as its recording: one more than the highest number of a frame. With
    `frames`, films are written as pictures too. Returns what is told; films that cannot be read are in it. Raises
    BadInput where ROOT is laid out so already, where OUT holds something else, and where no links can be made.
    """
    places = data.find(root)
    if "DAD_Jigsaw" in places:
        raise BadInput(f"{root} is laid out so already, and is read as it is: leave OUT away")
    data.read_split(root)  # which says what is wrong with ROOT before anything is made
    base, folder = places["DAD"], room(out)
    streams, label = as_shipped(base), nearest(base, "LABEL.csv")
    new = sum(_link(one.source, _place(folder, one), root) for one in streams)
    films = [one for one in streams if one.source.is_file()]
    pictures, damaged = _write_all(films, folder) if frames else (0, [])
    masks, without = _masks(folder, streams, label, damaged)
    return {
        "out": str(folder),
        "recordings": {
            part: dict(Counter(one.stream for one in streams if one.part == part)) for part in PARTS
        },
        "linked": new,
        "there": len(streams) - new,
        "films": len(films),
        "pictures": pictures,
        "masks": masks,
        "without_truth": without,
        "damaged": list(dict.fromkeys(damaged)),
    }


def _place(folder: Path, one: Stream) -> Path:
    stream = folder / one.part / one.stream
    if one.source.is_file():
        return stream / "videos" / f"{one.short}{one.source.suffix.lower()}"
    return stream / "frames" / one.short


def _write_all(films: Sequence[Stream], folder: Path) -> tuple[int, list[str]]:
    """How many pictures were written, and a line for each film that cannot be read."""
    written, damaged = 0, []
    with progress("writing", len(films), "films") as tick:
        for one in films:
            try:
                written += _write(one.source, folder / one.part / one.stream / "frames" / one.short)
            except BadVideo as error:
                damaged.append(str(error))
            tick()
    return written, damaged


def _write(film: Path, folder: Path) -> int:
    """FOLDER/img_<n>.png, n from 0, without loss; how many are new. The folder appears once it is whole.

    Pictures that were written before an interruption stay.
    """
    if folder.is_dir():
        return 0
    begun, new, lost = folder.with_name(f".{folder.name}.part"), 0, list[str]()
    for frame in read(Video(film.stem, film), WHOLE, lost):
        path = begun / f"img_{frame.index}.png"
        if not path.is_file():
            _write_picture(path, frame.pixels)
            new += 1
    for line in lost:
        logger.warning(f"damaged: {line}")
    for path in begun.glob(".*"):  # of somebody who was killed
        path.unlink()
    os.replace(begun, folder)
    return new


def _write_picture(path: Path, pixels: Bytes) -> None:
    """(H, W, 3) as a PNG: grey where all three are the same, as those of depth and infrared are."""
    import cv2

    grey = (pixels == pixels[:, :, :1]).all()
    _, data = cv2.imencode(".png", pixels[:, :, 0] if grey else pixels[:, :, ::-1])
    with aside(path) as part:
        part.write_bytes(data.tobytes())


def _link(source: Path, link: Path, root: Path) -> bool:
    """Make a link to the source, relative if that can be; whether it is new. Raises BadInput."""
    to = os.path.realpath(source)
    if link.is_symlink() or link.exists():
        if os.path.realpath(link) == to:
            return False
        raise BadInput(f"{link} is there and is no link to {source}; name a new or empty folder")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(_from(link.parent, to), target_is_directory=source.is_dir())
    except OSError as error:
        raise BadInput(
            f"cannot link {link} ({error.strerror or error}); name a folder on a disk that takes symbolic links, or "
            f"leave OUT away: {root} is read as it is"
        ) from error
    return True


def _from(folder: Path, to: str) -> str:
    try:
        return os.path.relpath(to, os.path.realpath(folder))
    except ValueError:  # on another drive of Windows
        return to


def _masks(
    folder: Path, streams: Sequence[Stream], label: Path | None, damaged: list[str]
) -> tuple[int, list[str]]:
    """How many masks were written, and the recordings that LABEL.csv does not name. `damaged` receives lines."""
    tested: dict[tuple[str, str], list[Stream]] = {}
    for one in streams:
        if one.part == "testing":
            tested.setdefault((one.recording, one.short), []).append(one)
    rows, without = rows_in(label) if label is not None else {}, []
    for (recording, short), views in tested.items():
        if recording not in rows:
            without.append(recording)
            continue
        length = 0
        for one in views:
            try:
                length = max(length, 1 + int(numbers_of(one.source).max(initial=-1)))
            except BadVideo as error:
                damaged.append(str(error))
        with aside(folder / "testing" / "frame_masks" / f"{short}.npy") as part:
            np.save(part, odd_in(rows[recording], np.arange(length)).astype(np.int8))
    return len(tested) - len(without), without
