"""Anomalies made from normal video, for choosing options without a single test label (`docs:
Evaluation`).

Each kind changes some of the frames of a film in one place and says where. What moves is cut out of
the film itself (unlike its background), so a method must notice what the thing *does*, not that it
was drawn.

Frames are (T, H, W) uint8 luma; T frames, H × W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.types import Bools, Bytes, Floats
from oddframe.video.background import Part, connected_parts, median_picture

USUAL_FPS = 10.0  # the rate that speeds and lengths of time are meant at
TAMPERINGS = ("fast", "faster-box", "reversed-box", "frozen-box", "big", "foreign")


@dataclass(frozen=True)
class Tampered:
    """A film with one anomaly put into it, and where that is."""

    frames: Bytes  # (T, H, W)
    mask: Bools  # (T, H, W)
    kind: str


def tamper(
    frames: Bytes, kind: str, random: np.random.Generator, fps: float = USUAL_FPS
) -> Tampered | None:
    """A copy of the film with one anomaly of that kind, or None where nothing in it moves enough to
    make one. `fps` is the film's rate, frames per second.
    """
    longer = fps / USUAL_FPS
    every = max(1, len(frames) // 50)
    background = median_picture(frames[::every])
    things = things_in(frames, background)
    if not things:
        return None
    if kind.endswith("box"):
        return disturb_time(frames, background, things, kind, random, longer)
    return paste_thing(frames, things, kind, random, longer)


@dataclass(frozen=True)
class Thing:
    """Something unlike the background in one frame."""

    t: int
    part: Part
    alpha: Floats  # (h, w) in [0, 1]


def things_in(frames: Bytes, background: Floats) -> list[Thing]:
    """Whole moving objects, a few a frame, not touching the picture's edge."""
    soft_background = cv2.GaussianBlur(background, (5, 5), 0)
    found = []
    for t in range(0, len(frames), 5):
        unlike = np.abs(cv2.GaussianBlur(frames[t], (5, 5), 0) - soft_background)
        mask = (unlike > 18).astype(np.uint8)
        solid = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        for part in connected_parts(np.asarray(solid, np.uint8)):
            if is_upright_thing(part, solid.shape):
                alpha = cv2.GaussianBlur(part.pixels.astype(np.float32), (3, 3), 0)
                found.append(Thing(t, part, np.asarray(alpha)))
    return found


def is_upright_thing(part: Part, shape: Sequence[int]) -> bool:
    """Whether a part of a picture of H × W pixels is as high, wide and solid as somebody upright."""
    H, W = shape
    large = part.area > 0.0006 * H * W
    upright = 1.2 * part.w < part.h < H / 3
    solid = part.area > 0.35 * part.w * part.h
    return part.is_within(shape, 2) and large and upright and solid


def paste_thing(
    frames: Bytes, things: list[Thing], kind: str, random: np.random.Generator, longer: float
) -> Tampered | None:
    """One of the film's own things crosses the picture: too fast, too big, or where nobody goes and
    too fast. It takes `longer` times the frames that it would at 10 Hz.
    """
    T, H, W = frames.shape
    thing = things[random.integers(len(things))]
    y, h = thing.part.y, thing.part.h
    # all are drawn, whichever kind is made
    big = random.uniform(1.3, 1.8)
    paces = {
        "fast": random.uniform(1.6, 3),
        "foreign": random.uniform(1.5, 2.5),
        "big": random.uniform(1, 1.6),
    }
    cut: Floats = thing.part.cut(frames[thing.t]).astype(np.float32)
    alpha: Floats = thing.alpha
    if kind == "foreign":  # lies across: a shape that does not walk
        cut = np.ascontiguousarray(cut.T)
        alpha = np.ascontiguousarray(alpha.T)
    if kind == "big":
        cut = np.asarray(cv2.resize(cut, None, fx=big, fy=big), np.float32)
        alpha = np.asarray(cv2.resize(alpha, None, fx=big, fy=big), np.float32)
    height, width = cut.shape
    # a walker covers about 4.5 % of its height a frame at 10 Hz
    speed = paces[kind] * 0.045 * h * random.choice([-1, 1]) / longer
    start, end = stretch_of_time(T, random, longer)
    top = y + h - height
    way = abs(speed) * (end - start)  # begins where it can go on for as long as it lasts
    left = random.uniform(-width / 2, max(0.0, W - width / 2 - way))
    if speed <= 0:
        left = W - width - left
    made = frames.copy()
    mask = np.zeros(frames.shape, bool)
    for t in range(start, end):
        first, upper = round(left), max(0, top)
        x0 = max(0, first)
        x1 = min(W, first + width)
        if x1 <= x0:
            break
        columns = slice(x0 - first, x1 - first)
        part = cut[: H - upper, columns]
        share = alpha[: H - upper, columns]
        lower = upper + part.shape[0]
        there = made[t, upper:lower, x0:x1]
        there[:] = blend(share, part, there)
        mask[t, upper:lower, x0:x1] = share > 0.5
        left += speed
    return Tampered(made, mask, kind)


def blend(share: Floats, over: Floats | Bytes, under: Bytes) -> Bytes:
    """(h, w): one picture over another, by its share of each pixel."""
    mixed = share * over + (1 - share) * under
    return mixed.round().astype(np.uint8)


def stretch_of_time(T: int, random: np.random.Generator, longer: float) -> tuple[int, int]:
    """Frames [start, end) of an anomaly: one to four seconds, as real ones may be, somewhere in the
    film, whose rate is `longer` times 10 Hz.
    """
    lasts = round(int(random.integers(12, 41)) * longer)
    earliest = T // 10
    start = int(random.integers(earliest, max(earliest + 1, T - lasts)))
    return start, min(T, start + lasts)


def disturb_time(
    frames: Bytes,
    background: Floats,
    things: list[Thing],
    kind: str,
    random: np.random.Generator,
    longer: float,
) -> Tampered | None:
    """Inside a box around something that moves, time runs too fast, backwards, or not at all."""
    T = len(frames)
    early = [thing for thing in things if thing.t < T // 2] or things
    thing = early[random.integers(len(early))]
    rows, columns = box_around(thing.part, frames.shape[1:])
    times = int(random.integers(2, 5))
    lasts = round(int(random.integers(12, 41)) * longer)
    made = frames.copy()
    mask = np.zeros(frames.shape, bool)
    soft = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    soft[3:-3, 3:-3] = 1
    share = np.asarray(cv2.GaussianBlur(soft, (7, 7), 0), np.float32)
    # the first frame is as it was
    for past in range(1, min(T - thing.t, lasts)):
        t = thing.t + past
        sources = {
            "faster-box": thing.t + past * times,
            "reversed-box": thing.t - past,
            "frozen-box": thing.t,
        }
        source = sources[kind]
        if not 0 <= source < T:
            break
        there = made[t, rows, columns]
        other = frames[source, rows, columns]
        moves = np.abs(other - background[rows, columns]) > 25
        there[:] = blend(share, other, there)
        mask[t, rows, columns] = moves
    return Tampered(made, mask, kind)


def box_around(part: Part, shape: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of a box around a part, twice its height to either side."""
    H, W = shape
    reach = int(2 * part.h)
    room = part.h // 3
    rows = slice(max(0, part.y - room), min(H, part.y + part.h + room))
    columns = slice(max(0, part.x - reach), min(W, part.x + part.w + reach))
    return rows, columns
