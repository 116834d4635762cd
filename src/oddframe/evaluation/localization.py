"""Where: maps and boxes held against masks and tracks. M maps of a video of T frames; R true
regions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np

from oddframe.errors import BadInput
from oddframe.evaluation import metrics
from oddframe.evaluation.evaluated_video import EvaluatedVideo, have_maps, last_scored
from oddframe.evaluation.region_metrics import (
    DetectedRegions,
    RegionCurve,
    RegionSweep,
    boxes_at,
    parts_at,
    tracks_of_masks,
)
from oddframe.types import Bools, Floats, Ints, Truth

# values of all maps by which thresholds and bins are chosen; all values where there are no more
SAMPLE = 1 << 20
BINS = 1 << 16
OF_MAPS = ("pixel_auc", "peak_in_region")  # what is measured of maps, not of boxes
OF_PLACES = ("rbdc", "tbdc", *OF_MAPS)
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
    told = videos_with_place(judged)
    notes = notes_on_places(judged, told)
    maps = have_maps(judged)
    boxes = all(video.boxes is not None for video in judged)
    regions = [true_regions(video.truth) for video in told]
    if not sum(map(len, regions)):
        why = dict.fromkeys(OF_PLACES, "the truth says when, but not where")
        return Localization(None, None, None, 0, why, notes)
    if not (maps or boxes):
        why = dict.fromkeys(OF_PLACES, "this method says when, but not where")
        return Localization(None, None, None, 0, why, notes)
    curve = region_curve(told, regions, boxes)
    if not maps:
        why = dict.fromkeys(OF_MAPS, "this method gives boxes, but no map")
        return Localization(curve, None, None, 0, why, notes)
    why = {}
    area = pixel_roc_area(told)
    if area is None:
        why["pixel_auc"] = "the truth has tracks, but no masks"
    inside: list[bool] = []
    for video, rows in zip(told, regions, strict=True):
        inside += peaks_inside(video, rows)
    share = None
    if inside:
        share = float(np.mean(inside))
    else:
        why["peak_in_region"] = "no odd frame has a place"
    return Localization(curve, area, share, len(inside), why, notes)


def says_where(truth: Truth) -> bool:
    """Whether a truth has masks or tracks."""
    return truth.mask is not None or truth.tracks is not None


def videos_with_place(judged: Sequence[EvaluatedVideo]) -> list[EvaluatedVideo]:
    """Those whose truth says where the anomaly is, and those without any."""
    found = []
    for video in judged:
        if says_where(video.truth) or not video.truth.frame.any():
            found.append(video)
    return found


def region_curve(
    videos: Sequence[EvaluatedVideo], truth: Sequence[Floats], boxes: bool
) -> RegionCurve:
    """RBDC and TBDC at every level, of boxes or of maps, against (R, 6) true regions a video.

    Strict levels first, some at a time; the loose ones, with specks all over, are mostly never
    needed.
    """
    if boxes:
        values, peaks = box_values(videos)
    else:
        values, peaks = map_values(videos)
    levels = metrics.levels_of(values, peaks)
    whole = RegionSweep(levels[:0])
    for start in range(0, len(levels), AT_ONCE):
        part = levels[start : start + AT_ONCE]
        sweep = RegionSweep(part)
        for video, true in zip(videos, truth, strict=True):
            sweep.add(detected_regions(video, part, boxes), true, len(video.value))
        whole = whole.joined(sweep)
        if whole.full:
            break
    return whole.curve()


def detected_regions(
    video: EvaluatedVideo, levels: Floats, boxes: bool
) -> Iterator[DetectedRegions]:
    """What is detected in a video at each level: its boxes, or the parts of its maps."""
    if boxes:
        assert video.boxes is not None
        return boxes_at(video.boxes, spans_of_maps(video), levels)
    assert video.map is not None
    return parts_at(video.map, spans_of_maps(video), levels)


def pixel_roc_area(videos: Sequence[EvaluatedVideo]) -> float | None:
    """ROC area over the pixels of videos with masks and of those without anomaly; None without
    masks.
    """
    judged = []
    for video in videos:
        if video.truth.mask is not None or not video.truth.frame.any():
            judged.append(video)
    if not any(video.truth.mask is not None for video in judged):
        return None
    values, _ = map_values(judged)
    edges = np.unique(values)
    if len(edges) > BINS:
        edges = np.quantile(edges, np.linspace(0, 1, BINS), method="nearest")
    counts = metrics.PixelCounts(edges)
    for video in judged:
        count_pixels(counts, video)
    return counts.auc()


def count_pixels(counts: metrics.PixelCounts, video: EvaluatedVideo) -> None:
    """Add every frame of a video to the counts; without masks all of it is normal."""
    if video.truth.mask is None:
        for map, (start, end) in maps_with_spans(video):
            counts.add(map, None, int(end - start))
        return
    masks = iter(video.truth.mask)  # in the order of frames, which is that of maps
    for map, (start, end) in maps_with_spans(video):
        for mask in islice(masks, int(end - start)):
            counts.add(map, mask)


def peaks_inside(video: EvaluatedVideo, true: Floats) -> Iterator[bool]:
    """For each odd frame with a place, whether its map is highest inside a region of `true`
    (R, 6).
    """
    with_region = set(true[:, 0].astype(int).tolist())
    placed = with_region & set(np.flatnonzero(video.truth.frame).tolist())
    masks: Iterator[Bools | None] = repeat(None)
    if video.truth.mask is not None:
        masks = iter(video.truth.mask)  # in the order of frames, which is that of maps
    for map, (start, end) in maps_with_spans(video):
        for frame, mask in zip(range(start, end), masks, strict=False):
            if frame not in placed:
                continue
            if mask is not None and mask.any():
                yield metrics.peak_in_mask(map, mask)
            else:
                yield metrics.peak_in_boxes(map, true[true[:, 0] == frame, 2:])


def maps_with_spans(video: EvaluatedVideo) -> Iterator[tuple[Floats, Ints]]:
    """Each map with the frames [start, end) that it stands for."""
    assert video.map is not None
    yield from zip(video.map, spans_of_maps(video), strict=True)


def spans_of_maps(video: EvaluatedVideo) -> Ints:
    """(M, 2) frames [start, end): as for scores, a map stands for its frame and those after it up
    to the next map.
    """
    assert video.map_frame is not None
    speaker = last_scored(video.map_frame, len(video.value))
    each = np.arange(len(video.map_frame))
    start = np.searchsorted(speaker, each)
    end = np.searchsorted(speaker, each, side="right")
    return np.stack([start, end], axis=1)


def map_values(videos: Sequence[EvaluatedVideo]) -> tuple[Floats, Floats]:
    """Values of the maps, evenly from all of them and at most about a million, and every map's
    highest.
    """
    cells = 0
    for video in videos:
        if video.map is not None:
            cells += video.map.size
    share = min(1.0, SAMPLE / max(1, cells))
    random = np.random.default_rng(0)
    values = []
    peaks = []
    for video in videos:
        for map, _ in maps_with_spans(video):
            flat = np.asarray(map, float).ravel()
            if not np.isfinite(flat.sum()):
                raise BadInput(
                    f"{video.video}: some values of its maps are not numbers, "
                    "so they cannot be judged"
                )
            peaks.append(flat.max())
            if share < 1:
                count = max(1, int(share * flat.size))
                flat = flat[random.integers(0, flat.size, count)]
            values.append(flat)
    return np.concatenate(values), np.array(peaks)


def box_values(videos: Sequence[EvaluatedVideo]) -> tuple[Floats, Floats]:
    """The values of all boxes, and the highest of each set of them."""
    values = []
    peaks = []
    for video in videos:
        for boxes in video.boxes or ():
            if len(boxes):
                values.append(boxes[:, 4])
                peaks.append(boxes[:, 4].max())
    if not values:
        return np.zeros(0), np.zeros(0)
    return np.concatenate(values), np.array(peaks)


def true_regions(truth: Truth) -> Floats:
    """(R, 6) rows: the truth's own tracks, or else the parts of its masks linked by overlap."""
    if truth.tracks is not None:
        return truth.tracks
    if truth.mask is None:
        return np.zeros((0, 6))
    return tracks_of_masks(truth.mask)


def notes_on_places(judged: Sequence[EvaluatedVideo], told: Sequence[EvaluatedVideo]) -> list[str]:
    """What a reader of the numbers must know about the places that the truth names."""
    notes = []
    if told and len(told) < len(judged) and any(says_where(video.truth) for video in told):
        notes.append(
            f"places are judged on {len(told)} of {len(judged)} videos: "
            "the truth of the others has none"
        )
    if any(video.truth.mask is not None and video.truth.tracks is None for video in told):
        notes.append(
            "true regions are the connected parts of the masks, tracks are parts linked by overlap"
        )
    return notes
