"""What the script of the report draws, as JSON: videos, events, curves, calibration, and small
pictures.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import cv2
import numpy as np

from oddframe.scoring.calibration import Calibration, Threshold
from oddframe.scoring.events import Box
from oddframe.types import Bytes, Event, Floats
from oddframe.visualization.plots import POINTS, Curve, cost, shown_interval
from oddframe.visualization.timeline import (
    TOP,
    Timeline,
    duration,
    odds,
    place,
    plain,
    rareness,
    thin,
)

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

THUMB = 240  # pixels across: twice what a card shows, for dense screens
LEAST_CUT = 0.3  # of the picture that a card shows, so that one sees where in it a small thing is
CUT_SIDES = 1.8  # sides of the part that is shown, in sides of the box
EXTENDED = 100.0  # times the normal frames seen, up to which an estimate of rarity is worth saying


@dataclass(frozen=True)
class Reason:
    """Why an event is one, in words, and a picture of the nearest normal example."""

    because: str = ""
    example: Path | None = None
    box: Box | None = None  # where in the example, fractions of the picture


def video_data(
    timeline: Timeline, folder: Path, most: int, reasons: Mapping[Event, Reason]
) -> dict[str, Json]:
    """One video for the player and the timeline, with at most `most` points of its curve."""
    seconds, value = thin(timeline.scores.seconds, timeline.rarity, most)
    threshold = None
    if isfinite(timeline.threshold):
        threshold = float(timeline.threshold)
    overlay = None
    if timeline.overlay is not None:
        overlay = relative_url(timeline.overlay)
    events = []
    for event in timeline.events:
        events.append(event_data(event, timeline, folder, reasons.get(event, Reason())))
    return {
        "name": browser_text(timeline.video.name),
        "start": timeline.start,
        "length": timeline.length,
        "lasts": duration(timeline.length),
        "seconds": np.round(seconds.astype(float), 3).tolist(),
        "value": np.round(value, 3).tolist(),
        "threshold": threshold,
        "seen": timeline.seen,
        "highest": timeline.highest,
        "overlay": overlay,
        "events": events,
        "truth": truth_data(timeline),
        "missed": missed_data(timeline),
    }


def event_data(event: Event, timeline: Timeline, folder: Path, reason: Reason) -> dict[str, Json]:
    """One event for its card."""
    peak = float(plain(np.array([event.peak]))[0])
    share = 1.0
    where = None
    if event.box is not None:
        share = share_shown(event.box)  # the example is shown at the same scale
        where = place(event.box)
    clip = None
    if event.clip is not None:
        clip = relative_url(path_beside(event.clip, folder))
    return {
        "start": event.start,
        "end": event.end,
        "at": event.peak_seconds,
        "peak": peak,
        "odds": rareness(event.peak, timeline.seen),
        "estimate": estimate(peak, timeline.seen),
        "place": where,
        "over": event.over,
        "picture": inline_picture(event.picture, folder, event.box, share),
        "clip": clip,
        "because": browser_text(reason.because),
        "example": inline_picture(reason.example, folder, reason.box, share),
    }


def estimate(peak: float, seen: int | None) -> str | None:
    """What the fitted tail says of a rarity beyond the normal frames seen; None where nothing
    honest can be said.

    A tail fitted to a few minutes says nothing of one in a million: beyond a hundred times the
    frames seen no number is given.
    """
    if seen is None or 10**peak <= seen:
        return None
    if 10**peak > EXTENDED * seen or peak > TOP:
        return "too rare to estimate from so little normal video"
    return f"estimated {odds(peak)}"


def truth_data(timeline: Timeline) -> list[Json] | None:
    """The anomalous segments of the ground truth as [start, end] in seconds; None without truth."""
    if timeline.truth is None:
        return None
    return [[round(start, 3), round(end, 3)] for start, end in timeline.odd_seconds()]


def missed_data(timeline: Timeline) -> list[Json]:
    """The anomalous segments that no event overlaps, as [start, end] in seconds."""
    missed: list[Json] = []
    for start, end in timeline.odd_seconds():
        found = any(event.start < end and event.end > start for event in timeline.events)
        if not found:
            missed.append([round(start, 3), round(end, 3)])
    return missed


def curve_data(curve: Curve) -> dict[str, Json]:
    """One ROC or detection curve."""
    x, y = curve.thinned(POINTS // 4)
    area = None
    if curve.area is not None and isfinite(curve.area):
        area = float(curve.area)
    return {
        "name": browser_text(curve.name),
        "x": rounded(x),
        "y": rounded(y),
        "area": area,
        "pooled": curve.pooled,
    }


def calibration_data(learned: Calibration, chosen: Threshold) -> dict[str, Json]:
    """The curve of expected false alarms, and the threshold in use."""
    threshold, per_hour = cost(learned, chosen)
    return {
        "threshold": rounded(threshold),
        "per_hour": rounded(per_hour),
        "chosen": chosen.rarity,
        "expected": chosen.expected,
        "interval": list(shown_interval(chosen)),
        "asked": chosen.asked,
        "supported": chosen.supported,
    }


def inline_picture(path: Path | None, folder: Path, box: Box | None, share: float) -> str | None:
    """The part of a picture around a box as a data URI, no larger than a card needs; None where
    none can be read.
    """
    picture = read_beside(path, folder)
    if picture is None:
        return None
    picture = part_around(picture, box, share)
    scale = THUMB / picture.shape[1]
    if scale < 1:
        size = (THUMB, max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, small = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 84])
    return "data:image/jpeg;base64," + base64.b64encode(small.tobytes()).decode()


def read_beside(path: Path | None, folder: Path) -> Bytes | None:
    """The picture (H, W, 3) at a path as given or below a folder; None where none can be read."""
    if path is None:
        return None
    for candidate in (path, folder / path):
        if not candidate.is_file():
            continue
        data = np.fromfile(candidate, np.uint8)
        if not len(data):
            return None
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if decoded is None:
            return None
        return np.asarray(decoded, np.uint8)
    return None


def share_shown(box: Box) -> float:
    """How much of each side of the picture a card shows."""
    longest = max(box[2] - box[0], box[3] - box[1])
    return float(np.clip(CUT_SIDES * longest, LEAST_CUT, 1.0))


def part_around(picture: Bytes, box: Box | None, share: float) -> Bytes:
    """That share of each side of (H, W, 3), with the box in its middle as far as the picture
    reaches.
    """
    if box is None or share >= 1:
        return picture
    H, W = picture.shape[:2]
    rows = _span(H, box[1], box[3], share)
    columns = _span(W, box[0], box[2], share)
    return picture[rows, columns]


def _span(side: int, low: float, high: float, share: float) -> slice:
    length = max(1, round(side * share))
    middle = (low + high) / 2 * side
    first = max(round(middle - length / 2), 0)
    first = min(first, side - length)
    return slice(first, first + length)


def path_beside(path: Path, folder: Path) -> Path:
    """The path as seen from the report's folder."""
    if path.is_absolute() or path.exists():
        return Path(os.path.relpath(path, folder))
    return path


def relative_url(path: Path) -> str:
    """A relative address: percent signs, question marks and colons in file names are part of the
    name.
    """
    return quote(os.fsencode(path.as_posix()))


def rounded(values: Floats) -> list[Json]:
    """Numbers with five digits that count."""
    return [float(f"{value:.5g}") for value in plain(values)]


def browser_text(words: str) -> str:
    """File names may hold bytes that are no text: a browser is given something that it can show."""
    return words.encode("utf-8", "replace").decode()
