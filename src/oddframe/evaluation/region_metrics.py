"""Region-based detection rates (RBDC, TBDC): how many true regions and tracks a detector finds.

Ramachandra & Jones, Street Scene (WACV 2020). h × w cells of a map; boxes are x1 y1 x2 y2 as
fractions of the picture. K levels of a sweep, falling; R true regions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oddframe.scoring.components import as_fractions, components_of, label_components
from oddframe.types import Bools, Floats, Ints, Masks
from oddframe.video.boxes import overlap

OVERLAP = 0.1  # β of the Street Scene paper: intersection over union at which a region is found
TRACK_SHARE = 0.1  # α: share of its regions at which a track is found

# frames [start, end), the (n, 4) boxes detected in each, at which levels (n, K)
DetectedRegions = tuple[int, int, Floats, Bools]


def tracks_of_masks(masks: Masks) -> Floats:
    """Connected parts linked from frame to frame, (R, 6) rows: frame track x1 y1 x2 y2.

    A part goes on as the track of the frame before that it shares most pixels with; where two parts
    claim one track the larger share has it and the other begins a new one. A frame without parts
    ends all tracks.
    """
    rows: list[Floats] = []
    nothing: Ints = np.zeros((0, 0), np.int32)
    before = nothing
    names = np.zeros(0, int)
    tracks = 0
    for frame, mask in enumerate(masks):
        if not mask.any():
            before = nothing
            names = np.zeros(0, int)
            continue
        labels, boxes = components_of(np.asarray(mask) > 0)
        now = np.full(len(boxes), -1)
        for part, old in linked_parts(before, labels, len(names), len(boxes)):
            now[part] = names[old]
        fresh = now < 0
        now[fresh] = tracks + np.arange(fresh.sum())
        tracks += int(fresh.sum())
        rows.append(np.column_stack([np.full(len(boxes), frame), now, boxes]))
        before = labels
        names = now
    if not rows:
        return np.zeros((0, 6))
    return np.concatenate(rows)


@dataclass(frozen=True)
class RegionCurve:
    """Detection rates against false regions per frame, from the strictest level on. Starts at (0,
    0), stops at 1.
    """

    false: Floats  # (P,) false regions per frame, never falling
    regions: Floats  # (P,) share of true regions found
    tracks: Floats  # (P,) share of true tracks found


class RegionSweep:
    """Counts, at each of K falling levels, the true regions and tracks found and the false regions:
    RBDC and TBDC.

    Videos are added one at a time and nothing of them is kept but counts. A true region is found at
    a level when a detected one overlaps it by 0.1 (intersection over union); a track when a tenth
    of its regions are; a detected region is false when it overlaps no true one so (Ramachandra &
    Jones, Street Scene, WACV 2020).
    """

    def __init__(self, levels: Floats) -> None:
        self.levels = np.asarray(levels, float)
        self.frames = self.regions = self.tracks = 0
        self.false, self.regions_found, self.tracks_found = np.zeros((3, len(self.levels)), int)

    def add(self, found: Iterable[DetectedRegions], truth: Floats, frames: int) -> None:
        """One video of so many frames: what was detected (`parts_at`, `boxes_at`), and (R, 6) rows
        of true tracks.
        """
        truth = truth[np.argsort(truth[:, 0], kind="stable")]
        first = np.searchsorted(truth[:, 0], np.arange(frames + 1))
        names, track = np.unique(truth[:, 1], return_inverse=True)
        hits = np.zeros((len(names), len(self.levels)), int)
        for start, end, boxes, at in found:
            # the regions of all frames that these boxes stand for
            here = slice(first[start], first[end])
            matched = overlap(boxes, truth[here, 2:]) >= OVERLAP  # (n, r)
            seen = (matched.T.astype(np.float32) @ at.astype(np.float32)) > 0  # (r, K)
            np.add.at(hits, track[here], seen)
            within = first[start : end + 1] - first[start]  # where each frame's regions begin
            for begin, stop in pairwise(within):
                found_some = matched[:, begin:stop].any(1)
                self.false += at[~found_some].sum(0)
        sizes = np.bincount(track, minlength=len(hits))
        self.frames += frames
        self.regions += len(truth)
        self.tracks += len(hits)
        self.regions_found += hits.sum(0)
        self.tracks_found += (hits / sizes[:, None].clip(1) >= TRACK_SHARE).sum(0)

    @property
    def full(self) -> bool:
        """Whether the loosest level gives more than one false region per frame: looser ones cannot
        matter.
        """
        return bool((self.false > self.frames).any())

    def joined(self, looser: "RegionSweep") -> "RegionSweep":
        """This sweep and another of the same videos at looser levels, as one."""
        both = RegionSweep(np.concatenate([self.levels, looser.levels]))
        both.frames, both.regions, both.tracks = looser.frames, looser.regions, looser.tracks
        both.false = np.concatenate([self.false, looser.false])
        both.regions_found = np.concatenate([self.regions_found, looser.regions_found])
        both.tracks_found = np.concatenate([self.tracks_found, looser.tracks_found])
        return both

    def curve(self) -> RegionCurve:
        """Loosen the threshold until the first level with more than one false region per frame.

        Where regions of a map flow together a looser level can have fewer false regions, and lose
        true ones. What was paid stays paid and what was found stays found: both run to their
        highest so far.
        """
        false = np.maximum.accumulate(self.false / max(self.frames, 1))
        stop = int(np.searchsorted(false, 1, side="right"))
        regions = rising_rate(self.regions_found[:stop], self.regions)
        tracks = rising_rate(self.tracks_found[:stop], self.tracks)
        return RegionCurve(np.concatenate([[0.0], false[:stop], [1.0]]), regions, tracks)


def rising_rate(found: Ints, total: int) -> Floats:
    """(P + 2,) the highest share found so far, from 0 on; the last stays to the curve's end."""
    rate = np.maximum.accumulate(found / max(total, 1))
    begun = np.concatenate([[0.0], rate])
    return np.append(begun, begun[-1])


def area(x: Floats, y: Floats) -> float:
    """The area under straight lines between points."""
    return float(np.trapezoid(y, x))


def parts_at(maps: Floats, spans: Ints, levels: Floats) -> Iterator[DetectedRegions]:
    """What a method with maps detects: the connected parts at each level. `spans` (M, 2) are the
    frames of each map.
    """
    for map, (start, end) in zip(maps, spans, strict=True):
        if end <= start:
            continue
        h, w = map.shape
        # one picture in which the map stands at every level, one under another, blank rows between
        stack = np.zeros((len(levels), h + 1, w), bool)
        stack[:, :h] = map[None] >= levels[:, None, None]
        _, sides = label_components(stack.reshape(-1, w))
        level, sides[:, 1] = np.divmod(sides[:, 1], h + 1)
        at_level = level[:, None] == np.arange(len(levels))
        yield int(start), int(end), as_fractions(sides, map.shape), at_level


def boxes_at(boxes: Iterable[Floats], spans: Ints, levels: Floats) -> Iterator[DetectedRegions]:
    """What a method with boxes (n, 5) detects: at each level the boxes whose value reaches it."""
    for these, (start, end) in zip(boxes, spans, strict=True):
        if end > start:
            at_level = these[:, 4:] >= levels[None]
            yield int(start), int(end), these[:, :4], at_level


def linked_parts(before: Ints, labels: Ints, olds: int, parts: int) -> Iterator[tuple[int, int]]:
    """(part, old part) from 0, each at most once, those that share most pixels first."""
    if not olds:
        return
    pairs = (labels * (olds + 1) + before).ravel()
    counts = np.bincount(pairs, minlength=(parts + 1) * (olds + 1))
    shared = counts.reshape(parts + 1, olds + 1)[1:, 1:].copy()
    while shared.size and shared.max() > 0:
        part, old = np.unravel_index(shared.argmax(), shared.shape)
        yield int(part), int(old)
        shared[part] = 0
        shared[:, old] = 0
