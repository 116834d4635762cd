"""Scores of one video by several runs of any methods, as one: the weighted mean of their rarities.

R runs; N frames, those that any of the runs has scored. At a frame each run says what it said last,
so that methods of different rates go together; a run that has said nothing yet is not counted.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import (
    HIGHEST,
    MAPS,
    ScoredVideo,
    add_map,
    fingerprint,
    read_stored,
)
from oddframe.types import Floats, Ints, Scores, Video

BOX_CELLS = (30, 40)  # h × w of a map that is drawn of a method's boxes


@dataclass(frozen=True)
class WeighedRun:
    """A run that is fused, what it is called, and how much it counts."""

    label: str
    fitted: FittedDetector
    weight: float  # 0 or more; of all runs some are above 0

    def ranks(self, scores: Floats) -> Floats:
        """Rarities without a ceiling, of scores of any shape."""
        return self.fitted.calibration.rarity(scores, math.inf)


def fuse_scores(
    path: Path, stored: Sequence[ScoredVideo], runs: Sequence[WeighedRun]
) -> ScoredVideo:
    """Write into `path` (.npz) what the runs say together of a video that each has scored, or find
    it there.

    The file is as `score_to` writes it: `rarity` is the mean of the runs' rarities, `score` and
    `raw` that of rarities without a ceiling, smoothed and not; a part of the score for each run is
    its own rarity. Raises BadVideo where no run that counts has scored a frame.
    """
    video = common_video(stored)
    told = []
    for run, one in zip(runs, stored, strict=True):
        told.append([run.label, run.weight, fingerprint(run.fitted), key_of(one.path)])
    key = json.dumps({"fused": told})
    found = read_stored(path, key, video)
    if found is not None:
        return found
    frame, spoken = frames_together(stored)
    weights = weights_by_frame([run.weight for run in runs], spoken)
    counted = weights.sum(axis=0) > 0
    if not counted.any():
        raise BadVideo(f"{video.source}: no run that counts could score any of its frames")
    frame, spoken, weights = frame[counted], spoken[:, counted], weights[:, counted]
    weights /= weights.sum(axis=0)
    columns = fused_columns(stored, runs, spoken, weights)
    damage: dict[str, None] = {}
    notes: dict[str, None] = {}
    for one in stored:
        damage |= dict.fromkeys(one.damage)
        notes |= dict.fromkeys(one.notes)
    words = {
        "key": np.array(key),
        "damage": np.array(list(damage), dtype=np.str_),
        "notes": np.array(list(notes), dtype=np.str_),
    }
    arrays = {"frame": frame, "seconds": seconds_of(stored, frame), **columns}
    with aside(path) as part, TemporaryFile(dir=part.parent) as rough:
        shape: tuple[int, ...] = ()
        for heat in fused_maps(stored, spoken, weights):
            shape = heat.shape
            rough.write(np.minimum(heat, HIGHEST).astype(MAPS).tobytes())
        np.savez_compressed(part, **arrays, **words)  # type: ignore[arg-type]
        if shape:
            rough.seek(0)
            add_map(part, rough, (len(frame), *shape))
    found = read_stored(path, key, video)
    if found is None:
        raise BadInput(
            f"{path} cannot be read back just after it was written; is its disk in order?"
        )
    return found


def common_video(stored: Sequence[ScoredVideo]) -> Video:
    """The video as the first run has read it; its ignored area where all runs ignore the same."""
    video = stored[0].video
    if len({one.video.ignored for one in stored}) > 1:
        return replace(video, ignored=None)
    return video


def key_of(path: Path) -> str:
    """Of what video and run stored scores are."""
    with np.load(path, allow_pickle=False) as held:
        return str(held["key"])


def frames_together(stored: Sequence[ScoredVideo]) -> tuple[Ints, Ints]:
    """(N,) source indices of the frames that any run has scored, and (R, N) which of its scores
    each run has given last by then: −1 where none.
    """
    frame = np.unique(np.concatenate([one.scores.frame for one in stored])).astype(np.int64)
    spoken = [np.searchsorted(one.scores.frame, frame, side="right") - 1 for one in stored]
    return frame, np.stack(spoken)


def weights_by_frame(weights: Sequence[float], spoken: Ints) -> Floats:
    """(R, N) how much each run counts at each frame; 0 as long as it has said nothing."""
    each = np.array(weights, float)[:, None]
    return np.asarray(np.where(spoken >= 0, each, 0.0))


def seconds_of(stored: Sequence[ScoredVideo], frame: Ints) -> Floats:
    """(N,) the times of frames, by the first run that has scored each."""
    frames = np.concatenate([one.scores.frame for one in stored])
    seconds = np.concatenate([one.scores.seconds for one in stored])
    known, first = np.unique(frames, return_index=True)  # the first of equal ones
    return np.asarray(seconds[first][np.searchsorted(known, frame)])


def fused_columns(
    stored: Sequence[ScoredVideo], runs: Sequence[WeighedRun], spoken: Ints, weights: Floats
) -> dict[str, Floats]:
    """(N,) each: the fused rarity, score and raw score, and every run's own rarities."""
    N = spoken.shape[1]
    columns: dict[str, Floats] = {name: np.zeros(N) for name in ("rarity", "score", "raw")}
    parts: dict[str, Floats] = {}
    for k, (run, one) in enumerate(zip(runs, stored, strict=True)):
        if not len(one.scores):
            continue
        at = spoken[k].clip(0)
        rarity = one.scores.value[at]
        raw = run.ranks(one.raw)[at]
        columns["rarity"] += weights[k] * rarity
        columns["score"] += weights[k] * run.ranks(one.score)[at]
        columns["raw"] += weights[k] * raw
        silent = spoken[k] < 0
        parts[f"part.{run.label}"] = np.where(silent, 0.0, rarity)
        parts[f"raw.{run.label}"] = np.where(silent, 0.0, raw)
    return columns | parts


def fused_maps(stored: Sequence[ScoredVideo], spoken: Ints, weights: Floats) -> Iterator[Floats]:
    """(h, w) float32 of each of N frames: the weighted mean of the maps, or of what boxes cover,
    of those runs that say where; nothing where none does.

    They are as fine as the finest of them.
    """
    told = {}
    for k, one in enumerate(stored):
        if weights[k].any() and (one.scores.map is not None or one.scores.boxes is not None):
            told[k] = one.scores
    sizes = [size_of_map(scores) for scores in told.values()]
    if not sizes:
        return
    size = (max(h for h, _ in sizes), max(w for _, w in sizes))
    latest: dict[int, tuple[int, Floats]] = {}  # of each run, so that none is drawn twice
    for n in range(spoken.shape[1]):
        whole = np.zeros(size, np.float32)
        total = 0.0
        for k, scores in told.items():
            at = int(spoken[k, n])
            if at < 0:
                continue
            if k not in latest or latest[k][0] != at:
                latest[k] = (at, heat_of(scores, at, size))
            whole += np.float32(weights[k, n]) * latest[k][1]
            total += weights[k, n]
        yield whole / np.float32(max(total, 1e-9))


def size_of_map(scores: Scores) -> tuple[int, int]:
    """(h, w) of a run's maps, or of those that are drawn of its boxes."""
    if scores.map is None:
        return BOX_CELLS
    h, w = scores.map.shape[1:]
    return int(h), int(w)


def heat_of(scores: Scores, at: int, size: tuple[int, int]) -> Floats:
    """(h, w) of that size: one of a run's maps, or the highest value of the boxes that cover a
    cell.
    """
    height, width = size
    if scores.map is not None:
        heat = np.asarray(scores.map[at], np.float32)
        if heat.shape == size:
            return heat
        return np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR))
    drawn = np.zeros(size, np.float32)
    assert scores.boxes is not None
    for x1, y1, x2, y2, value in scores.boxes[at].tolist():
        rows = slice(math.floor(y1 * height), math.ceil(y2 * height))
        columns = slice(math.floor(x1 * width), math.ceil(x2 * width))
        part = drawn[rows, columns]
        np.maximum(part, np.float32(min(value, HIGHEST)), out=part)
    return drawn


def shares_of(runs: Sequence[WeighedRun]) -> Mapping[str, float]:
    """By label how much of the mean each run is, from 0 to 1."""
    total = sum(run.weight for run in runs)
    return {run.label: run.weight / total for run in runs}
