"""What a reconstructing method was given, what it made of it, and where it erred, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from oddframe.types import Bytes, Clips, ClipSpec, Floats
from oddframe.visualization.explain import clips_at
from oddframe.visualization.overlay import HEAT, write
from oddframe.visualization.palette import NIGHT, ODD, PAPER
from oddframe.visualization.thumbnails import save_picture
from oddframe.visualization.timeline import Timeline, clock, file_stem, odds

MOST = 5  # moments of a video that are shown
WIDE = 240  # pixels of each of three pictures
WORST = 64.0  # grey levels of error that are as bright as it gets
HEAD = 20


@runtime_checkable
class Copies(Protocol):
    """A method that makes its clips again."""

    @property
    def spec(self) -> ClipSpec: ...

    def reconstruct(self, clips: Clips) -> tuple[Floats, Floats]: ...


def write_reconstructions(
    detector: object, timelines: Sequence[Timeline], folder: Path
) -> dict[str, Path]:
    """One picture a video: its oddest moments and its most usual one, by title. Empty for other
    methods.
    """
    if not isinstance(detector, Copies):
        return {}
    drawn = {}
    for timeline in timelines:
        rows = []
        shown = moments(timeline)
        seconds = [float(timeline.scores.seconds[at]) for at in shown]
        for at, clips in zip(shown, clips_at(detector.spec, timeline, seconds), strict=True):
            if clips is not None:
                rows.append(_row(detector, clips, timeline, at))
        if rows:
            path = folder / f"{file_stem(timeline.video.name)}.reconstructions.png"
            save_picture(path, np.concatenate([_head(rows[0].shape[1]), *rows]))
            drawn[f"{timeline.video.name}: given, made, error"] = path
    return drawn


def moments(timeline: Timeline) -> list[int]:
    """Positions among the scores: the peaks of the rarest events, the highest score if there is
    none, the lowest.
    """
    if not len(timeline.scores):
        return []
    peaks = sorted(timeline.events, key=lambda event: -event.peak)[: MOST - 1]
    found = {int(timeline.rarity.argmin())}
    for event in peaks:
        found.add(int(np.abs(timeline.scores.seconds - event.peak_seconds).argmin()))
    if not peaks:
        found.add(int(timeline.rarity.argmax()))
    return sorted(found)


def _row(detector: Copies, clips: Clips, timeline: Timeline, at: int) -> Bytes:
    given, made = detector.reconstruct(clips)  # (N, T, H, W, C) each
    given, made = given[-1, -1], made[-1, -1]  # the last frame of the last clip
    error = np.abs(made - given).mean(-1) * 255 / WORST
    heat = HEAT[(255 * np.clip(error, 0, 1)).astype(np.uint8)] * (error > 0.15)[..., None]
    H, W = error.shape
    size = (WIDE, round(WIDE * H / W))
    large = []
    for picture in (as_rgb(given), as_rgb(made), heat.astype(np.uint8)):
        large.append(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST))
    row = np.concatenate(large, axis=1).astype(np.uint8)
    rarity = float(timeline.rarity[at])
    colour = PAPER
    if rarity >= timeline.threshold:
        colour = ODD
    caption = _strip(row.shape[1])
    words = f"{clock(float(timeline.scores.seconds[at]))}  {odds(rarity)}"
    write(caption, words, (6, 2), colour)
    return np.concatenate([caption, row])


def as_rgb(picture: Floats) -> Bytes:
    """A picture (H, W, 1 or 3) in [0, 1] as RGB bytes."""
    levels = (255 * picture).astype(np.uint8)
    times = 3 // picture.shape[-1]
    return np.repeat(levels, times, axis=-1)


def _strip(wide: int) -> Bytes:
    strip = np.empty((HEAD, wide, 3), np.uint8)
    strip[:] = NIGHT
    return strip


def _head(wide: int) -> Bytes:
    head = _strip(wide)
    for n, words in enumerate(("given", "made", f"error, bright at {WORST:.0f} grey levels")):
        write(head, words, (n * WIDE + 6, 2), PAPER)
    return head
