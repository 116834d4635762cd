"""How things move, cell by cell: dense optical flow averaged over windows about as large as the
things themselves.

H × W pixels; a grid of h × w cells lies over them, A of the cells are active; six numbers describe
an active cell.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal

import cv2
import numpy as np

from oddframe.types import Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.reader import read_frames, times_of

Flow = Literal["medium", "fast", "ultrafast"]
PRESETS = {
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
}
ACTIVE = 0.15  # share of the small window that must be moving
NOISE_FLOOR = 15.0  # grey levels: smaller changes are never taken for motion
USUAL_HEIGHT = 24.0  # pixels, for scenes in which nothing was seen to move
# pixels that a typical thing should at least move between the frames compared: 1–3 suit the flow
LEAST_SHIFT = 1.0
APART = (
    0.1,
    0.5,
)  # seconds between two frames in which something is seen to move: the longer where all are slow
SMALLEST = 12  # pixels of the longer side, below which OpenCV finds no flow
LOOKED_AT = (8, 5)  # videos, and spots in each, from which size and speed are read
_mine = threading.local()


@dataclass(frozen=True)
class MotionGrid:
    """How the picture is cut into cells, and which frames are compared."""

    frame_step: int  # frames between the two
    windows: tuple[int, int]  # sides in pixels: 1 and 1.5 times the height of a typical thing
    stride: int  # pixels from one cell to the next

    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """(h, w): the cells of a picture of H × W pixels."""
        return max(1, shape[0] // self.stride), max(1, shape[1] // self.stride)


def choose_grid(
    videos: Sequence[Video],
    *,
    size: int | tuple[int, int],
    fps: float,
    windows: tuple[int, int] | None = None,
    frame_step: int | None = None,
) -> MotionGrid:
    """Window sizes from the height of what moves in a sample of frames, the frame step from its
    speed.

    Either may be given. Typical is meant over things, not over pixels, so that one bus does not
    count as fifty walkers; and towards the small side (the first quartile of heights), for things
    that stick together in a crowd look larger. That the windows are 1 and 1.5 times this height was
    chosen on simulated anomalies (`benchmarks/choosing.py`).
    """
    sample = videos[:: -(-len(videos) // LOOKED_AT[0])]
    spec = ClipSpec(length=1, size=size, colour="grey")
    with ThreadPoolExecutor(2) as pool:  # for each is decoded by one thread
        found = list(pool.map(partial(_things, spec=spec), sample))
    things: list[tuple[float, float]] = []
    for apart in APART:
        things = list(chain.from_iterable(one[apart] for one in found))
        if seen := len(things) >= 5:
            break
    height = float(np.percentile([height for height, _ in things], 25)) if seen else USUAL_HEIGHT
    shift = float(np.median([speed for _, speed in things])) / fps if seen else LEAST_SHIFT
    small, large = windows or (_even(height), _even(1.5 * height))
    return MotionGrid(
        frame_step=frame_step or int(np.clip(np.ceil(0.9 * LEAST_SHIFT / max(shift, 0.1)), 1, 5)),
        windows=(small, large),
        stride=int(np.clip(round(small / 4), 4, 16)),
    )


def motion_cells(
    before: Bytes, now: Bytes, seconds: float, look: MotionGrid, flow: Flow
) -> tuple[Ints, Floats]:
    """The active cells (A,) of a pair of (H, W) frames that lie `seconds` apart, and their numbers
    (A, 6).

    For each of the two windows: momentum (speed × moving share), log energy of the change, speed of
    what moves. Speeds are pixels in a tenth of a second, whatever the frame step and rate.
    """
    change = np.asarray(cv2.absdiff(_soft(before), _soft(now)), np.uint8)
    moving = moving_pixels(change)
    shares = [_at_cells(moving, window, look) for window in look.windows]
    cell = np.flatnonzero(shares[0] > ACTIVE)
    if not len(
        cell
    ):  # nothing moves on most pictures of most cameras, and flow is what takes the time
        return cell, np.zeros((0, 6), np.float32)
    speed = cv2.magnitude(
        *cv2.split(_estimator(flow).calc(before, now, None))
    )  # pixels between the two
    numbers = []
    for window, share in zip(look.windows, shares, strict=True):
        momentum = _at_cells(speed * moving, window, look) * float(0.1 / seconds)
        numbers += [
            momentum,
            np.log1p(_at_cells(change, window, look)),
            momentum / np.maximum(share, 1e-3),
        ]
    return cell, np.stack([part.ravel()[cell] for part in numbers], axis=-1)


def optical_flow(before: Bytes, now: Bytes, flow: Flow) -> Floats:
    """(H, W, 2): how far right and down each pixel of `before` has moved in `now`. Small pictures
    do not move.
    """
    if max(before.shape) < SMALLEST:
        return np.zeros((*before.shape, 2), np.float32)
    return np.asarray(
        _estimator(flow).calc(np.ascontiguousarray(before), np.ascontiguousarray(now), None)
    )


def moving_pixels(change: Bytes) -> Bytes:
    """(H, W) 0 or 1 from the absolute difference of two blurred frames, with small holes closed.

    The level follows the picture's own noise (most pixels do not move), so that a dark, noisy night
    does not fire.
    """
    level = max(NOISE_FLOOR, 4 * 1.4826 * _median(change))
    moving = cv2.threshold(change, level, 1, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)))


def _at_cells(part: Any, window: int, look: MotionGrid) -> Floats:
    """Mean over a window around the middle of each cell, (h, w)."""
    mean = cv2.boxFilter(part, cv2.CV_32F, (window, window), borderType=cv2.BORDER_REFLECT)
    h, w = look.grid(part.shape)
    first = min(look.stride // 2, *(side - 1 for side in part.shape))
    return np.asarray(mean[first :: look.stride, first :: look.stride][:h, :w])


def _things(video: Video, spec: ClipSpec) -> dict[float, list[tuple[float, float]]]:
    """Height in pixels and speed in pixels per second of whole things that move, in a few spots of
    a video.

    Once for each of APART, the seconds between the frames compared; the video is opened once.
    """
    times = times_of(video)
    offset = 0
    if video.span:
        offset, end = np.searchsorted(times, video.span).tolist()
        times = times[offset:end]
    if len(times) < 4:
        return {apart: [] for apart in APART}
    spots: dict[float, list[tuple[int, int]]] = {apart: [] for apart in APART}
    for start in np.unique(np.linspace(0, len(times) - 2, LOOKED_AT[1]).astype(int)).tolist():
        for apart, pairs in spots.items():
            after = int(np.searchsorted(times, times[start] + apart - 1e-3))
            pairs.append((start, min(len(times) - 1, max(start + 1, after))))
    wanted = {offset + k for pairs in spots.values() for pair in pairs for k in pair}
    frames = read_frames(video, spec, sorted(wanted))
    found: dict[float, list[tuple[float, float]]] = {}
    for apart, pairs in spots.items():
        read = []
        for start, end in pairs:
            before, now = frames.get(offset + start), frames.get(offset + end)
            if before is not None and now is not None:  # or damaged just there: others will do
                read.append((np.stack([before, now])[..., 0], float(times[end] - times[start])))
        found[apart] = _things_between(read)
    return found


def _things_between(pairs: Sequence[tuple[Bytes, float]]) -> list[tuple[float, float]]:
    """The same, between the two frames (2, H, W) of each pair, which lie so many seconds apart."""
    found: list[tuple[float, float]] = []
    if len(pairs) < 3:
        return found
    background = np.median([pair[0] for pair, _ in pairs], axis=0).astype(np.uint8)
    H, W = background.shape
    for (before, now), seconds in pairs:
        whole = moving_pixels(np.asarray(cv2.absdiff(_soft(now), _soft(background)), np.uint8))
        moving = moving_pixels(np.asarray(cv2.absdiff(_soft(now), _soft(before)), np.uint8))
        arrows = _estimator("medium").calc(before, now, None)
        speed = cv2.magnitude(arrows[..., 0], arrows[..., 1]) / seconds
        _, labels, stats, _ = cv2.connectedComponentsWithStats(whole)
        for k, (x, y, w, h, area) in enumerate(stats[1:], start=1):
            inside = x > 0 and y > 0 and x + w < W and y + h < H
            # wider ones are crowds that stick together, thin ones edges; what stands tells no speed
            if inside and 6 <= h < H / 2 and w < 1.5 * h and area >= 0.25 * w * h:
                there = labels == k
                if moving[there].mean() > ACTIVE:
                    found.append((float(h), float(np.percentile(speed[there], 75))))
    return found


def _soft(frame: Bytes) -> Bytes:
    return np.asarray(cv2.GaussianBlur(frame, (5, 5), 0), np.uint8)


def _median(change: Bytes) -> float:
    """Median grey level by histogram: thirty times faster than sorting."""
    counts = np.cumsum(cv2.calcHist([change], [0], None, [256], [0, 256]))
    return float(np.searchsorted(counts, counts[-1] / 2))


def _estimator(flow: Flow) -> Any:
    """This thread's own estimator: it holds buffers that threads must not share, and that are dear
    to make.
    """
    if not hasattr(_mine, flow):
        setattr(_mine, flow, cv2.DISOpticalFlow.create(PRESETS[flow]))
    return getattr(_mine, flow)


def _even(pixels: float) -> int:
    return max(8, 2 * round(pixels / 2))
