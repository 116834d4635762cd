"""Anomalies made from normal video, for choosing options without a single test label (`docs:
Evaluation`).

Each kind changes some of the frames of a film in one place and says where. What moves is cut out of
the film itself (unlike its background), so a method must notice what the thing *does*, not that it
was drawn.

Frames are (T, H, W) uint8 luma; T frames, H × W pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.types import Bools, Bytes, Floats

KINDS = ("fast", "faster-box", "reversed-box", "frozen-box", "big", "foreign")


@dataclass(frozen=True)
class Tampered:
    """A film with one anomaly put into it, and where that is."""

    frames: Bytes  # (T, H, W)
    mask: Bools  # (T, H, W)
    kind: str


def tamper(frames: Bytes, kind: str, random: np.random.Generator) -> Tampered | None:
    """A copy of the film with one anomaly of that kind, or None where nothing in it moves enough to
    make one.
    """
    background = np.median(frames[:: max(1, len(frames) // 50)], axis=0)
    things = _things(frames, background)
    if not things:
        return None
    make = {"fast": _pasted, "big": _pasted, "foreign": _pasted}.get(kind, _boxed)
    return make(frames, background, things, kind, random)


@dataclass(frozen=True)
class _Thing:
    """Something unlike the background in one frame."""

    t: int
    box: tuple[int, int, int, int]  # x y w h
    alpha: Floats  # (h, w) in [0, 1]


def _things(frames: Bytes, background: Floats) -> list[_Thing]:
    """Whole moving objects, a few a frame, not touching the picture's edge."""
    T, H, W = frames.shape
    found = []
    for t in range(0, T, 5):
        unlike = np.abs(
            cv2.GaussianBlur(frames[t], (5, 5), 0) - cv2.GaussianBlur(background, (5, 5), 0)
        )
        solid = cv2.morphologyEx(
            (unlike > 18).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
        )
        _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
        for k, (x, y, w, h, area) in enumerate(stats[1:], start=1):
            inside = x > 2 and y > 2 and x + w < W - 2 and y + h < H - 2
            if inside and area > 0.0006 * H * W and 1.2 * w < h < H / 3 and area > 0.35 * w * h:
                alpha = cv2.GaussianBlur(
                    (labels[y : y + h, x : x + w] == k).astype(np.float32), (3, 3), 0
                )
                found.append(_Thing(t, (x, y, w, h), alpha))
    return found


def _pasted(
    frames: Bytes, _background: Floats, things: list[_Thing], kind: str, random: np.random.Generator
) -> Tampered | None:
    """One of the film's own things crosses the picture: too fast, too big, or where nobody goes and
    too fast.
    """
    T, H, W = frames.shape
    thing = things[random.integers(len(things))]
    x, y, w, h = thing.box
    scale = {"fast": 1.0, "foreign": 1.0, "big": random.uniform(1.3, 1.8)}[kind]
    pace = {
        "fast": random.uniform(1.6, 3),
        "foreign": random.uniform(1.5, 2.5),
        "big": random.uniform(1, 1.6),
    }[kind]
    cut: Floats = frames[thing.t, y : y + h, x : x + w].astype(np.float32)
    alpha: Floats = thing.alpha
    if kind == "foreign":  # lies across: a shape that does not walk
        cut, alpha = np.ascontiguousarray(cut.T), np.ascontiguousarray(alpha.T)
    if scale != 1:
        cut, alpha = (
            np.asarray(cv2.resize(part, None, fx=scale, fy=scale), np.float32)
            for part in (cut, alpha)
        )
    hh, ww = cut.shape
    speed = (
        pace * 0.045 * h * random.choice([-1, 1])
    )  # a walker covers about 4.5 % of its height a frame at 10 Hz
    start, end = _stretch(T, random)
    top = y + h - hh
    way = abs(speed) * (end - start)  # begins where it can go on for as long as it lasts
    left = random.uniform(-ww / 2, max(0.0, W - ww / 2 - way))
    left = left if speed > 0 else W - ww - left
    out, mask = frames.copy(), np.zeros(frames.shape, bool)
    for t in range(start, end):
        px, py = round(left), max(0, top)
        x0, x1 = max(0, px), min(W, px + ww)
        if x1 <= x0:
            break
        part, a = cut[: H - py, x0 - px : x1 - px], alpha[: H - py, x0 - px : x1 - px]
        there = out[t, py : py + part.shape[0], x0:x1]
        there[:] = (a * part + (1 - a) * there).round().astype(np.uint8)
        mask[t, py : py + part.shape[0], x0:x1] = a > 0.5
        left += speed
    return Tampered(out, mask, kind)


def _stretch(T: int, random: np.random.Generator) -> tuple[int, int]:
    """Frames [start, end) of an anomaly: one to four seconds at 10 Hz, as real ones may be,
    somewhere in the film.
    """
    lasts = int(random.integers(12, 41))
    start = int(random.integers(T // 10, max(T // 10 + 1, T - lasts)))
    return start, min(T, start + lasts)


def _boxed(
    frames: Bytes, background: Floats, things: list[_Thing], kind: str, random: np.random.Generator
) -> Tampered | None:
    """Inside a box around something that moves, time runs too fast, backwards, or not at all."""
    T, H, W = frames.shape
    early = [thing for thing in things if thing.t < T // 2] or things
    thing = early[random.integers(len(early))]
    x, y, w, h = thing.box
    reach = int(2 * h)
    x0, x1, y0, y1 = (
        max(0, x - reach),
        min(W, x + w + reach),
        max(0, y - h // 3),
        min(H, y + h + h // 3),
    )
    times = int(random.integers(2, 5))
    out, mask = frames.copy(), np.zeros(frames.shape, bool)
    soft = np.zeros((y1 - y0, x1 - x0), np.float32)
    soft[3:-3, 3:-3] = 1
    soft = cv2.GaussianBlur(soft, (7, 7), 0)
    for t in range(
        thing.t + 1, min(T, thing.t + int(random.integers(12, 41)))
    ):  # the first frame is as it was
        past = t - thing.t
        source = {
            "faster-box": thing.t + past * times,
            "reversed-box": thing.t - past,
            "frozen-box": thing.t,
        }[kind]
        if not 0 <= source < T:
            break
        there, other = out[t, y0:y1, x0:x1], frames[source, y0:y1, x0:x1]
        moves = np.abs(other - background[y0:y1, x0:x1]) > 25
        there[:] = (soft * other + (1 - soft) * there).round().astype(np.uint8)
        mask[t, y0:y1, x0:x1] = moves
    return Tampered(out, mask, kind)
