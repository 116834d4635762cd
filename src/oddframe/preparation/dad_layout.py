"""Recordings in the jigsaw variant's layout, as links: what `oddframe prepare dad ROOT OUT` does.
Nothing is copied.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oddframe.datasets.dad import HALVES, Dad, DadStream, official_streams
from oddframe.datasets.dad_labels import anomalous_frames, frame_numbers, read_label_table
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput, BadVideo, OddframeError
from oddframe.files import aside, room
from oddframe.preparation.split_clips import WHOLE_FRAMES
from oddframe.progress import logger, progress
from oddframe.results import Result
from oddframe.types import Bytes, Video
from oddframe.video.reader import read


@dataclass(frozen=True)
class DadLayout(Result):
    """What was laid out."""

    out: Path
    recordings: Mapping[str, Mapping[str, int]]  # part → stream → how many
    linked: int  # new links
    there: int  # links that were there before
    films: int
    pictures: int  # new ones, of films
    masks: int
    without_truth: tuple[str, ...]  # recordings that LABEL.csv does not name
    damaged: tuple[str, ...]  # films that cannot be read

    def problem(self) -> OddframeError | None:
        """Films that cannot be read."""
        if not self.damaged:
            return None
        count = len(self.damaged)
        return BadVideo(f"{count} films cannot be read; the first: {self.damaged[0]}")


def lay_out(data: Dad, root: Path, out: Path, *, frames: bool = False) -> DadLayout:
    """Link every stream into OUT/training and OUT/testing and write OUT/testing/frame_masks.

    What is there is kept. A mask is int8, 1 where anomalous, and as long as its recording: one more
    than the highest number of a frame. With `frames`, films are written as pictures too. Raises
    BadInput where ROOT is laid out so already, where OUT holds something else, and where no links
    can be made.
    """
    places = data.find(root)
    if "DAD_Jigsaw" in places:
        raise BadInput(f"{root} is laid out so already, and is read as it is: leave OUT away")
    data.read_split(root)  # which says what is wrong with ROOT before anything is made
    base = places["DAD"]
    folder = room(out)
    streams = official_streams(base)
    label = nearest(base, "LABEL.csv")
    new = 0
    for one in streams:
        new += link_to(one.source, place_of(folder, one), root)
    films = [one for one in streams if one.source.is_file()]
    damaged: list[str] = []
    pictures = 0
    if frames:
        pictures = write_films(films, folder, damaged)
    masks, without = write_masks(folder, streams, label, damaged)
    recordings: dict[str, Counter[str]] = {half: Counter() for half in HALVES}
    for one in streams:
        recordings[one.half][one.stream] += 1
    return DadLayout(
        out=folder,
        recordings=recordings,
        linked=new,
        there=len(streams) - new,
        films=len(films),
        pictures=pictures,
        masks=masks,
        without_truth=tuple(without),
        damaged=tuple(dict.fromkeys(damaged)),
    )


def place_of(folder: Path, one: DadStream) -> Path:
    """Where a stream lies in the layout."""
    stream = folder / one.half / one.stream
    if one.source.is_file():
        return stream / "videos" / f"{one.short}{one.source.suffix.lower()}"
    return stream / "frames" / one.short


def write_films(films: Sequence[DadStream], folder: Path, damaged: list[str]) -> int:
    """Write films as pictures; returns how many. `damaged` receives a line for each that cannot be
    read.
    """
    written = 0
    with progress("writing", len(films), "films") as tick:
        for one in films:
            pictures = folder / one.half / one.stream / "frames" / one.short
            try:
                written += write_film_as_pictures(one.source, pictures)
            except BadVideo as error:
                damaged.append(str(error))
            tick()
    return written


def write_film_as_pictures(film: Path, folder: Path) -> int:
    """FOLDER/img_<n>.png, n from 0, without loss; how many are new. The folder appears once it is
    whole.

    Pictures that were written before an interruption stay.
    """
    if folder.is_dir():
        return 0
    begun = folder.with_name(f".{folder.name}.part")
    new = 0
    lost: list[str] = []
    for frame in read(Video(film.stem, film), WHOLE_FRAMES, lost):
        path = begun / f"img_{frame.index}.png"
        if not path.is_file():
            write_picture(path, frame.pixels)
            new += 1
    for line in lost:
        logger.warning(f"damaged: {line}")
    for path in begun.glob(".*"):  # of somebody who was killed
        path.unlink()
    os.replace(begun, folder)
    return new


def write_picture(path: Path, pixels: Bytes) -> None:
    """(H, W, 3) as a PNG: grey where all three are the same, as those of depth and infrared are."""
    import cv2

    stored = pixels[:, :, ::-1]
    if (pixels == pixels[:, :, :1]).all():
        stored = pixels[:, :, 0]
    _, data = cv2.imencode(".png", stored)
    with aside(path) as part:
        part.write_bytes(data.tobytes())


def link_to(source: Path, link: Path, root: Path) -> bool:
    """Make a link to the source, relative if that can be; whether it is new. Raises BadInput."""
    to = os.path.realpath(source)
    if link.is_symlink() or link.exists():
        if os.path.realpath(link) == to:
            return False
        raise BadInput(f"{link} is there and is no link to {source}; name a new or empty folder")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(relative_if_possible(link.parent, to), target_is_directory=source.is_dir())
    except OSError as error:
        raise BadInput(
            f"cannot link {link} ({error.strerror or error}); "
            "name a folder on a disk that takes symbolic links, or leave OUT away: "
            f"{root} is read as it is"
        ) from error
    return True


def relative_if_possible(folder: Path, to: str) -> str:
    """A path as seen from a folder."""
    try:
        return os.path.relpath(to, os.path.realpath(folder))
    except ValueError:  # on another drive of Windows
        return to


def write_masks(
    folder: Path, streams: Sequence[DadStream], label: Path | None, damaged: list[str]
) -> tuple[int, list[str]]:
    """How many masks were written, and the recordings that LABEL.csv does not name. `damaged`
    receives lines.
    """
    tested: dict[tuple[str, str], list[DadStream]] = {}
    for one in streams:
        if one.half == "testing":
            tested.setdefault((one.recording, one.short), []).append(one)
    rows = {}
    if label is not None:
        rows = read_label_table(label)
    without = []
    for (recording, short), views in tested.items():
        if recording not in rows:
            without.append(recording)
            continue
        length = 0
        for one in views:
            try:
                highest = int(frame_numbers(one.source).max(initial=-1))
                length = max(length, highest + 1)
            except BadVideo as error:
                damaged.append(str(error))
        with aside(folder / "testing" / "frame_masks" / f"{short}.npy") as part:
            flags = anomalous_frames(rows[recording], np.arange(length))
            np.save(part, flags.astype(np.int8))
    return len(tested) - len(without), without
