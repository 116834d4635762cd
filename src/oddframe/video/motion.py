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
from math import ceil
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from oddframe.errors import BadVideo
from oddframe.types import Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.background import (
    NORMAL_SPREAD,
    Part,
    connected_parts,
    median_picture,
    softened,
)
from oddframe.video.reader import facts_of, read_frames, times_of

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
# seconds between two frames in which something is seen to move: the longer where all are slow
APART = (0.1, 0.5)
SMALLEST_SIDE = 12  # pixels of the longer side, below which OpenCV finds no flow
# videos, and spots in each, from which size and speed are read
SAMPLED_VIDEOS = 8
SPOTS = 5
FEWEST_THINGS = 5  # that tell a size
of_thread = threading.local()  # what a thread keeps for itself


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
    sample = videos[:: ceil(len(videos) / SAMPLED_VIDEOS)]
    spec = ClipSpec(length=1, size=size, colour="grey")
    with ThreadPoolExecutor(2) as pool:  # for each is decoded by one thread
        found = list(pool.map(partial(moving_things, spec=spec), sample))
    height = USUAL_HEIGHT
    shift = LEAST_SHIFT
    for apart in APART:
        things = list(chain.from_iterable(of_video[apart] for of_video in found))
        if len(things) >= FEWEST_THINGS:
            heights, speeds = np.array(things).T
            height = float(np.percentile(heights, 25))
            shift = float(np.median(speeds)) / fps
            break
    small, large = windows or (even_side(height), even_side(1.5 * height))
    if frame_step is None:
        wanted = np.ceil(0.9 * LEAST_SHIFT / max(shift, 0.1))
        frame_step = int(np.clip(wanted, 1, 5))
    stride = int(np.clip(round(small / 4), 4, 16))
    return MotionGrid(frame_step, (small, large), stride)


def refuse_tiny(videos: Sequence[Video]) -> None:
    """Raise BadVideo for pictures in which no motion can be seen."""
    for video in videos:
        facts = facts_of(video)
        if max(facts.height, facts.width) < SMALLEST_SIDE:
            raise BadVideo(
                f"{video.source} has pictures of {facts.width}×{facts.height} pixels, "
                f"too small to see motion in; the longer side has at least {SMALLEST_SIDE}"
            )


def motion_cells(
    before: Bytes, now: Bytes, seconds: float, look: MotionGrid, flow: Flow
) -> tuple[Ints, Floats]:
    """The active cells (A,) of a pair of (H, W) frames that lie `seconds` apart, and their numbers
    (A, 6).

    For each of the two windows: momentum (speed × moving share), log energy of the change, speed of
    what moves. Speeds are pixels in a tenth of a second, whatever the frame step and rate.
    """
    change = change_between(before, now)
    moving = moving_pixels(change)
    shares = [mean_at_cells(moving, window, look) for window in look.windows]
    cell = np.flatnonzero(shares[0] > ACTIVE)
    if not len(cell):
        # nothing moves on most pictures of most cameras, and flow is what takes the time
        return cell, np.zeros((0, 6), np.float32)
    speed = flow_speed(before, now, flow)  # pixels between the two
    tenth = float(0.1 / seconds)
    numbers = []
    for window, share in zip(look.windows, shares, strict=True):
        momentum = mean_at_cells(speed * moving, window, look) * tenth
        energy = np.log1p(mean_at_cells(change, window, look))
        speed_of_moving = momentum / np.maximum(share, 1e-3)
        numbers += [momentum, energy, speed_of_moving]
    of_active = [part.ravel()[cell] for part in numbers]
    return cell, np.stack(of_active, axis=-1)


def optical_flow(before: Bytes, now: Bytes, flow: Flow) -> Floats:
    """(H, W, 2): how far right and down each pixel of `before` has moved in `now`. Small pictures
    do not move.
    """
    if max(before.shape) < SMALLEST_SIDE:
        return np.zeros((*before.shape, 2), np.float32)
    first = np.ascontiguousarray(before)
    second = np.ascontiguousarray(now)
    return np.asarray(flow_estimator(flow).calc(first, second, None))


def flow_speed(before: Bytes, now: Bytes, flow: Flow) -> Floats:
    """(H, W) how many pixels each pixel of `before` has moved in `now`."""
    arrows = flow_estimator(flow).calc(before, now, None)
    return np.asarray(cv2.magnitude(arrows[..., 0], arrows[..., 1]))


def change_between(one: Bytes, other: Bytes) -> Bytes:
    """(H, W) absolute difference of two frames without their finest noise."""
    change = cv2.absdiff(softened(one, 5), softened(other, 5))
    return np.asarray(change, np.uint8)


def moving_pixels(change: Bytes) -> Bytes:
    """(H, W) 0 or 1 from the absolute difference of two blurred frames, with small holes closed.

    The level follows the picture's own noise (most pixels do not move), so that a dark, noisy night
    does not fire.
    """
    level = max(NOISE_FLOOR, 4 * NORMAL_SPREAD * median_level(change))
    _, moving = cv2.threshold(change, level, 1, cv2.THRESH_BINARY)
    closed = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return np.asarray(closed)


def median_level(change: Bytes) -> float:
    """Median grey level by histogram: thirty times faster than sorting."""
    histogram = cv2.calcHist([change], [0], None, [256], [0, 256])
    counts = np.cumsum(histogram)
    half = counts[-1] / 2
    return float(np.searchsorted(counts, half))


def mean_at_cells(part: Any, window: int, look: MotionGrid) -> Floats:
    """Mean over a window around the middle of each cell, (h, w)."""
    sides = (window, window)
    mean = cv2.boxFilter(part, cv2.CV_32F, sides, borderType=cv2.BORDER_REFLECT)
    h, w = look.grid(part.shape)
    step = look.stride
    last = min(part.shape) - 1
    first = min(step // 2, last)
    cells = mean[first::step, first::step]
    return np.asarray(cells[:h, :w])


def moving_things(video: Video, spec: ClipSpec) -> dict[float, list[tuple[float, float]]]:
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
    spots = {apart: spots_in(times, apart) for apart in APART}
    wanted: set[int] = set()
    for pairs in spots.values():
        for start, end in pairs:
            wanted.update((offset + start, offset + end))
    frames = read_frames(video, spec, sorted(wanted))
    found: dict[float, list[tuple[float, float]]] = {}
    for apart, pairs in spots.items():
        read: list[PairOfFrames] = []
        for start, end in pairs:
            before = frames.get(offset + start)
            now = frames.get(offset + end)
            if before is not None and now is not None:  # or damaged just there: others will do
                seconds = float(times[end] - times[start])
                read.append(PairOfFrames(before[..., 0], now[..., 0], seconds))
        found[apart] = things_between(read)
    return found


def spots_in(times: Floats, apart: float) -> list[tuple[int, int]]:
    """Positions of pairs of frames, evenly over a video, that lie so many seconds apart."""
    last = len(times) - 1
    starts = np.linspace(0, last - 1, SPOTS).astype(int)
    pairs: list[tuple[int, int]] = []
    for start in np.unique(starts).tolist():
        after = int(np.searchsorted(times, times[start] + apart - 1e-3))
        pairs.append((start, min(last, max(start + 1, after))))
    return pairs


class PairOfFrames(NamedTuple):
    """Two frames (H, W) that are compared."""

    before: Bytes
    now: Bytes
    seconds: float  # between the two


def things_between(pairs: Sequence[PairOfFrames]) -> list[tuple[float, float]]:
    """Height and speed, as in `moving_things`, of the things that move between the frames of each
    pair.
    """
    found: list[tuple[float, float]] = []
    if len(pairs) < 3:
        return found
    background = median_picture([pair.before for pair in pairs]).astype(np.uint8)
    for before, now, seconds in pairs:
        whole = moving_pixels(change_between(now, background))
        moving = moving_pixels(change_between(now, before))
        speed = flow_speed(before, now, "medium") / seconds
        for part in connected_parts(whole):
            if not may_be_thing(part, whole.shape):
                continue
            if part.cut(moving)[part.pixels].mean() > ACTIVE:  # what stands tells no speed
                own_speed = np.percentile(part.cut(speed)[part.pixels], 75)
                found.append((float(part.h), float(own_speed)))
    return found


def may_be_thing(part: Part, shape: Sequence[int]) -> bool:
    """Whether a part of a picture of H × W pixels may be one whole thing.

    Wider ones are crowds that stick together, thin ones edges.
    """
    usual_height = 6 <= part.h < shape[0] / 2
    usual_shape = part.w < 1.5 * part.h
    solid = part.area >= 0.25 * part.w * part.h
    return part.is_within(shape, 0) and usual_height and usual_shape and solid


def flow_estimator(flow: Flow) -> Any:
    """This thread's own estimator: it holds buffers that threads must not share, and that are dear
    to make.

    OpenCV lowers the finest scale for a small picture and leaves it so: what a thread had seen
    before would change the flow. It is set anew each time.
    """
    if not hasattr(of_thread, flow):
        fresh = cv2.DISOpticalFlow.create(PRESETS[flow])
        setattr(of_thread, flow, (fresh, fresh.getFinestScale()))
    estimator, finest_scale = getattr(of_thread, flow)
    estimator.setFinestScale(finest_scale)
    return estimator


def even_side(pixels: float) -> int:
    """The side of a window of about so many pixels: an even number, 8 or more."""
    return max(8, 2 * round(pixels / 2))
