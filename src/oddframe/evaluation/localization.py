"""Where: maps and boxes held against masks and tracks. M maps of a video of T frames; R true
regions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np

from oddframe.errors import BadInput
from oddframe.evaluation import metrics
from oddframe.evaluation.evaluated_video import EvaluatedVideo, last_scored
from oddframe.evaluation.region_metrics import (
    Found,
    RegionCurve,
    RegionSweep,
    boxes_at,
    parts_at,
    tracks_of_masks,
)
from oddframe.types import Bools, Floats, Ints, Truth

SAMPLE = (
    1 << 20
)  # values of all maps by which thresholds and bins are chosen; all values where there are no more
BINS = 1 << 16
# levels of a sweep; looser ones are not looked at once there is a false region in every frame
AT_ONCE = 32


@dataclass(frozen=True)
class Localization:
    """What was measured of where. A number that is None has its reason in `why`."""

    curve: RegionCurve | None
    pixel_auc: float | None
    peak_in_region: float | None  # share of odd frames with a place whose map is highest inside it
    peak_frames: int
    why: dict[str, str]
    notes: list[str]


def find_places(judged: Sequence[EvaluatedVideo]) -> Localization:
    """Hold maps (or boxes) against masks and tracks. Goes through the maps a few times, one picture
    in memory.
    """
    why: dict[str, str] = {}
    told = [video for video in judged if not video.truth.frame.any() or _where(video.truth)]
    notes = _notes(judged, told)
    maps = all(video.map is not None for video in judged)
    boxes = all(video.boxes is not None for video in judged)
    rows = [_true_regions(video.truth) for video in told]
    if not any(len(these) for these in rows):
        why |= dict.fromkeys(
            ("rbdc", "tbdc", "pixel_auc", "peak_in_region"), "the truth says when, but not where"
        )
        return Localization(None, None, None, 0, why, notes)
    if not (maps or boxes):
        reason = "this method says when, but not where"
        why |= dict.fromkeys(("rbdc", "tbdc", "pixel_auc", "peak_in_region"), reason)
        return Localization(None, None, None, 0, why, notes)
    if not maps:
        why |= dict.fromkeys(("pixel_auc", "peak_in_region"), "this method gives boxes, but no map")
        return Localization(_sweep(told, rows, boxes), None, None, 0, why, notes)
    inside = np.array(
        [hit for video, true in zip(told, rows, strict=True) for hit in _peaks_inside(video, true)]
    )
    pixel_auc = _pixel_auc(told)
    if pixel_auc is None:
        why["pixel_auc"] = "the truth has tracks, but no masks"
    if not len(inside):
        why["peak_in_region"] = "no odd frame has a place"
    share = float(inside.mean()) if len(inside) else None
    return Localization(_sweep(told, rows, boxes), pixel_auc, share, len(inside), why, notes)


def _sweep(videos: Sequence[EvaluatedVideo], truth: Sequence[Floats], boxes: bool) -> RegionCurve:
    """Strict levels first, some at a time; the loose ones, with specks all over, are mostly never
    needed.
    """
    levels = metrics.levels_of(*(_box_values(videos) if boxes else _map_values(videos)))
    whole = RegionSweep(levels[:0])
    for start in range(0, len(levels), AT_ONCE):
        part = levels[start : start + AT_ONCE]
        sweep = RegionSweep(part)
        for video, true in zip(videos, truth, strict=True):
            sweep.add(_detected(video, part, boxes), true, len(video.value))
        whole = whole.joined(sweep)
        if whole.full:
            break
    return whole.curve()


def _detected(video: EvaluatedVideo, levels: Floats, boxes: bool) -> Iterator[Found]:
    if boxes:
        assert video.boxes is not None
        return boxes_at(video.boxes, _spans_of_maps(video), levels)
    assert video.map is not None
    return parts_at(video.map, _spans_of_maps(video), levels)


def _pixel_auc(videos: Sequence[EvaluatedVideo]) -> float | None:
    videos = [
        video for video in videos if video.truth.mask is not None or not video.truth.frame.any()
    ]
    if not any(video.truth.mask is not None for video in videos):
        return None
    values, _ = _map_values(videos)
    distinct = np.unique(values)
    edges = (
        distinct
        if len(distinct) <= BINS
        else np.quantile(distinct, np.linspace(0, 1, BINS), method="nearest")
    )
    counts = metrics.PixelCounts(edges)
    for video in videos:
        if video.truth.mask is None:
            for map, (start, end) in _maps(video):
                counts.add(map, None, int(end - start))
            continue
        masks = iter(video.truth.mask)  # in the order of frames, which is that of maps
        for map, (start, end) in _maps(video):
            for mask in islice(masks, int(end - start)):
                counts.add(map, mask)
    return counts.auc()


def _peaks_inside(video: EvaluatedVideo, true: Floats) -> Iterator[bool]:
    """One answer for each odd frame with a place."""
    with_region = set(true[:, 0].astype(int).tolist())
    placed = with_region & set(np.flatnonzero(video.truth.frame).tolist())
    masks: Iterator[Bools | None] = repeat(None)
    if video.truth.mask is not None:
        masks = iter(video.truth.mask)  # in the order of frames, which is that of maps
    for map, (start, end) in _maps(video):
        for frame, mask in zip(range(start, end), masks, strict=False):
            if frame not in placed:
                continue
            if mask is not None and mask.any():
                yield metrics.peak_in_mask(map, mask)
            else:
                yield metrics.peak_in_boxes(map, true[true[:, 0] == frame, 2:])


def _maps(video: EvaluatedVideo) -> Iterator[tuple[Floats, Ints]]:
    """Each map with the frames [start, end) that it stands for."""
    assert video.map is not None
    yield from zip(video.map, _spans_of_maps(video), strict=True)


def _spans_of_maps(video: EvaluatedVideo) -> Ints:
    """(M, 2): by the rule of `held`, a map stands for its frame and those after it up to the next
    map.
    """
    assert video.map_frame is not None
    speaker, each = last_scored(video.map_frame, len(video.value)), np.arange(len(video.map_frame))
    return np.stack(
        [np.searchsorted(speaker, each), np.searchsorted(speaker, each, side="right")], axis=1
    )


def _map_values(videos: Sequence[EvaluatedVideo]) -> tuple[Floats, Floats]:
    """Values of the maps, evenly from all of them and at most about a million, and every map's
    highest.
    """
    maps = [map for video in videos if video.map is not None for map in [video.map]]
    share = min(1.0, SAMPLE / max(1, sum(part.size for part in maps)))
    random, values, peaks = np.random.default_rng(0), [], []
    for video in videos:
        for map, _ in _maps(video):
            flat = np.asarray(map, float).ravel()
            if not np.isfinite(flat.sum()):
                raise BadInput(
                    f"{video.video}: some values of its maps are not numbers, "
                    "so they cannot be judged"
                )
            values.append(
                flat
                if share == 1
                else flat[random.integers(0, flat.size, max(1, int(share * flat.size)))]
            )
            peaks.append(flat.max())
    return np.concatenate(values), np.array(peaks)


def _box_values(videos: Sequence[EvaluatedVideo]) -> tuple[Floats, Floats]:
    strengths = [boxes[:, 4] for video in videos for boxes in video.boxes or () if len(boxes)]
    values = np.concatenate(strengths) if strengths else np.zeros(0)
    return values, np.array([these.max() for these in strengths])


def _true_regions(truth: Truth) -> Floats:
    """(R, 6) rows: the truth's own tracks, or else the parts of its masks linked by overlap."""
    if truth.tracks is not None:
        return truth.tracks
    return np.zeros((0, 6)) if truth.mask is None else tracks_of_masks(truth.mask)


def _where(truth: Truth) -> bool:
    return truth.mask is not None or truth.tracks is not None


def _notes(judged: Sequence[EvaluatedVideo], told: Sequence[EvaluatedVideo]) -> list[str]:
    notes = []
    if told and len(told) < len(judged) and any(_where(video.truth) for video in told):
        notes.append(
            f"places are judged on {len(told)} of {len(judged)} videos: "
            "the truth of the others has none"
        )
    if any(video.truth.mask is not None and video.truth.tracks is None for video in told):
        notes.append(
            "true regions are the connected parts of the masks, tracks are parts linked by overlap"
        )
    return notes
