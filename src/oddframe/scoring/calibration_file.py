"""A calibration on disk: an .npz that is refused where it is damaged, or asks for more memory than
such a file may.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

import numpy as np

from oddframe.errors import BadRun
from oddframe.files import aside
from oddframe.scoring.calibration import GRID, Calibration, RawSegment
from oddframe.types import Bytes, Floats, Ints

SMALL_ARRAY = 1 << 26  # bytes of an array with a number a piece: ten million minutes of video
HEADER = 4096  # bytes, at most, before the numbers of an .npy


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write it as npz, whole or not at all."""
    arrays = {
        "scores": np.concatenate(calibration.scores),
        "frames": np.array([len(scores) for scores in calibration.scores]),
        "seconds": np.array(calibration.seconds),
        "alarms": calibration.alarms,
        "how": np.array(calibration.how),
    }
    if calibration.raw:
        arrays["raw"] = np.concatenate([one.value for one in calibration.raw])
        arrays["raw_seconds"] = np.concatenate([one.seconds for one in calibration.raw])
        arrays["raw_frames"] = np.array([len(one.value) for one in calibration.raw])
    if calibration.view is not None:
        arrays["view"] = calibration.view
    with aside(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_calibration(path: Path) -> Calibration:
    """Read it back. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; fit again")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            small = ("frames.npy", "seconds.npy", "how.npy", "view.npy", "raw_frames.npy")
            refuse_large(stored.zip.infolist(), small, SMALL_ARRAY)
            frames = stored["frames"]
            seconds = stored["seconds"]
            rows = len(frames) * len(GRID)
            refuse_large(stored.zip.infolist(), ("alarms.npy",), rows * 8 + HEADER)
            frames_in_all = int(frames.sum())
            a_frame = ("scores.npy", "raw.npy", "raw_seconds.npy")
            refuse_large(stored.zip.infolist(), a_frame, frames_in_all * 8 + HEADER)
            scores = stored["scores"]
            alarms = stored["alarms"]
            refuse_misfit(scores, frames, seconds, alarms)
            return Calibration(
                scores=tuple(np.split(scores, np.cumsum(frames)[:-1])),
                seconds=tuple(seconds.astype(float).tolist()),
                alarms=alarms,
                how=str(stored["how"]),
                view=view_in(stored),
                raw=raw_in(stored, frames_in_all),
            )
    except Exception as error:  # zipfile, numpy and zlib each have their own words for damage
        raise BadRun(f"{path} is damaged ({error}); fit again or copy it anew") from error


def view_in(stored: Any) -> Bytes | None:
    """The background in a stored calibration. Raises ValueError for what is no picture."""
    if "view" not in stored.files:
        return None
    view = stored["view"]
    if view.ndim != 2 or view.dtype != np.uint8 or not 0 < view.size <= SMALL_ARRAY:
        raise ValueError("its view is no picture")
    return np.asarray(view, np.uint8)


def raw_in(stored: Any, frames_in_all: int) -> tuple[RawSegment, ...]:
    """The unsmoothed scores in a stored calibration, none of an earlier version. Raises ValueError
    for arrays that do not fit.
    """
    if "raw" not in stored.files:
        return ()
    value, seconds, frames = stored["raw"], stored["raw_seconds"], stored["raw_frames"]
    shape = (frames_in_all,)
    if value.shape != shape or seconds.shape != shape or frames.ndim != 1 or not len(frames):
        raise ValueError("its unsmoothed scores do not fit the others")
    if frames.min() < 1 or frames.sum() != frames_in_all:
        raise ValueError("its segments do not fit its unsmoothed scores")
    if not np.isfinite(value).all() or not np.isfinite(seconds).all():
        raise ValueError("some of its unsmoothed scores are not finite")
    edges = np.cumsum(frames)[:-1]
    pairs = zip(np.split(seconds, edges), np.split(value, edges), strict=True)
    return tuple(RawSegment(*pair) for pair in pairs)


def refuse_large(members: Sequence[ZipInfo], names: Sequence[str], most: int) -> None:
    """Raises ValueError where one of these members would unpack to more than so many bytes."""
    for member in members:
        if member.filename in names and member.file_size > most:
            raise ValueError(f"{member.filename} would unpack to {member.file_size} bytes")


def refuse_misfit(scores: Floats, frames: Ints, seconds: Floats, alarms: Floats) -> None:
    """Raises ValueError for arrays that no calibration has: of other shapes, not finite, or below
    zero.
    """
    fit = alarms.shape == (len(frames), len(GRID)) and seconds.shape == frames.shape
    if not fit or scores.shape != (int(frames.sum()),) or not len(scores):
        raise ValueError("its parts do not fit each other")
    for array in (scores, seconds, alarms):
        if not np.isfinite(array).all():
            raise ValueError("some of its numbers are not finite")
    if frames.min() < 0 or seconds.min() <= 0 or alarms.min() < 0:
        raise ValueError("some of its counts or lengths are not above zero")
