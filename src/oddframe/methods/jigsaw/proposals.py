"""Boxes of what moves, with no weights learned anywhere, and cubes cut around boxes without writing one to disk.

What differs from the still background, or moved against both the past and the future of a clip, is foreground. A part
of it about as large as things are at that height of the picture is one thing; a larger one is split by place and
optical flow into as many as fit, and kept whole as well where it is solid: a cart is no crowd.

T frames in a clip, H × W pixels; n boxes, rows of x1 y1 x2 y2 in pixels of the clip.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.types import Bools, Bytes, ClipSpec, Floats, Video
from oddframe.video.motion import USUAL_HEIGHT, optical_flow
from oddframe.video.reader import frames_at
from oddframe.video.sampling import frames_of

# LEVEL, NOISES, PAIR, MERGED, TALL, WIDE, SOLID and SINGLE so that boxes agree best with a detector's on Ped2's
# *training* clips; the others change little there
LEVEL = 10.0  # grey levels: the least by which what moves differs from what was there
NOISES = 4.0  # times a pixel's own unrest
PAIR = 1.0  # usual heights: longest side of a part that is kept whole though it may be several
SAMPLED = 160  # frames from which the background and the sizes are learned
CHANGED_SCENE = (
    0.4  # share of the picture unlike the background from which on it is the light or the camera
)
LEAST = 0.2  # of the area of a usual thing: smaller parts are specks
MERGED = 1.3  # usual areas from which on a part is looked at as several things
TALL, WIDE = 1.7, 1.5  # usual heights and widths from which on it may be so
SOLID = 0.5  # share of its box that a part fills when it is kept whole
MOST_SIDES = 6.0  # usual heights: no thing is longer
SMALLEST = 10  # pixels of a box's longer side (main.py of the published code)
FILL = 0.55  # share of its box that a walker fills
SAME = 0.6  # overlap, as a share of both together, from which on two boxes are one
ROWS = 12  # stripes of the picture in which sizes are read
LEAST_ALONE = 5  # parts by which a stripe is judged
SHARE_ALONE = 0.01  # of all parts, at least, as well: a few strays at the edge would bend the line
SINGLE = 40  # percentile of their heights that is the usual one: what sticks together looks larger
EDGE = 2  # pixels from the picture's edge within which a box may have been cut off
FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
POINTS = 500  # foreground pixels by which a crowd is split


@dataclass(frozen=True)
class Scene:
    """What is known of one camera: its still background, and how large things are where."""

    background: Bytes | None  # (H, W) grey; None where the camera moves, or there are several
    unrest: Floats | None  # (H, W) grey levels by which a still pixel differs from the background
    rise: tuple[
        tuple[float, float], ...
    ]  # rows of feet, from the top down, with the height of things there; between
    # them it rises evenly, beyond them it stays
    aspect: float  # its width / its height

    def height(self, feet: float) -> float:
        """How high a thing is whose lower edge is in this row."""
        rows, heights = zip(*self.rise, strict=True)
        return max(float(SMALLEST), float(np.interp(feet, rows, heights)))


def learn_scene(videos: Sequence[Video], spec: ClipSpec) -> Scene:
    """Background by the median of frames from all over the videos, sizes from parts that stand alone.

    Raises BadInput when videos differ in shape.
    """
    pictures: list[Bytes] = []
    medians: list[Bytes] = []
    each = max(8, SAMPLED // max(1, len(videos)))
    for video in videos:
        mine = list(_spots(video, spec, each))
        if mine:
            pictures += mine
            medians.append(np.median(np.stack(mine), axis=0).astype(np.uint8))
    if not pictures:
        raise BadInput(
            "the training videos hold no frame that can be read, so there is nothing to learn from"
        )
    if len({picture.shape for picture in pictures}) > 1:
        sizes = sorted({picture.shape for picture in pictures})
        raise BadInput(
            f"the training videos differ in shape ({sizes}); fit one detector for each camera"
        )
    stack = np.stack(pictures)
    background = np.asarray(np.median(stack, axis=0), np.uint8)
    change = np.abs(stack.astype(np.int16) - background)
    unrest = np.asarray(1.4826 * np.median(change, axis=0), np.float32)
    unlike = [float((cv2.absdiff(one, background) > 2 * LEVEL).mean()) for one in medians]
    if np.median(unlike) > CHANGED_SCENE / 2:  # several cameras, or one that moves
        return Scene(None, None, ((0.0, USUAL_HEIGHT),), 0.5)
    plain = Scene(background, unrest, ((0.0, USUAL_HEIGHT),), 0.5)
    return _with_sizes(plain, pictures)


def motion_proposals(clip: Bytes, scene: Scene) -> Floats:
    """(n, 4): what moves in the middle frame of a grey clip (T, H, W). Deterministic, and of this clip alone."""
    middle = len(clip) // 2
    mask = foreground(clip, scene)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    arrows: Floats | None = None
    boxes: list[tuple[float, float, float, float]] = []
    for k in range(1, count):
        x, y, w, h, area = (int(number) for number in stats[k])
        high = scene.height(y + h)
        usual = FILL * high * high * scene.aspect
        if area < LEAST * usual or max(w, h) < SMALLEST:
            continue
        several = area > MERGED * usual and (h > TALL * high or w > WIDE * scene.aspect * high)
        # two who walk together, or a cart? of what is solid both answers are kept
        if (
            not several
            or max(w, h) <= PAIR * high
            or (area >= SOLID * w * h and max(w, h) <= MOST_SIDES * high)
        ):
            boxes.append((x, y, x + w, y + h))
        if several:
            if arrows is None:
                arrows = optical_flow(
                    clip[max(0, middle - 1)], clip[min(len(clip) - 1, middle + 1)], "ultrafast"
                )
            inside = labels[y : y + h, x : x + w] == k
            boxes += _split(inside, arrows[y : y + h, x : x + w], x, y, scene)
    return np.array(boxes, np.float32).reshape(-1, 4)


def _whole(boxes: Floats, scene: Scene, shape: Sequence[int]) -> Floats:
    """(m, 4): boxes no smaller than a usual thing at that place, inside the picture, no two nearly the same.

    What stands out from the background is often a part, as legs before bright ground; and all things should fill their
    cubes alike, for a part in a cube of its own is odd to whoever has learned whole ones.
    """
    if not len(boxes):
        return boxes
    high = np.array([scene.height(feet) for feet in boxes[:, 3]])
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], np.column_stack([scene.aspect * high, high]))
    sides = np.minimum(sides, [shape[1], shape[0]])
    low = ((boxes[:, :2] + boxes[:, 2:] - sides) / 2).clip(
        0, np.array([shape[1], shape[0]]) - sides
    )
    grown = np.concatenate([low, low + sides], 1)
    area, kept = sides.prod(1), list[int]()
    for k in np.argsort(-area, kind="stable"):
        shared = np.minimum(grown[k, 2:], grown[kept, 2:]) - np.maximum(
            grown[k, :2], grown[kept, :2]
        )
        common = shared.clip(0).prod(1)
        if not (common > SAME * (area[k] + area[kept] - common)).any():
            kept.append(int(k))
    return np.asarray(grown[kept], np.float32)


def foreground(clip: Bytes, scene: Scene) -> Bytes:
    """(H, W) 0 or 1: the middle frame of a clip where it is unlike the background, or unlike both past and future."""
    soft = [_soft(clip[t]) for t in (0, len(clip) // 2, len(clip) - 1)]
    moved = cv2.min(cv2.absdiff(soft[1], soft[0]), cv2.absdiff(soft[1], soft[2]))
    mask = (moved > LEVEL).astype(np.uint8)
    if scene.background is not None and scene.unrest is not None:
        if scene.background.shape != clip.shape[1:]:
            H, W = scene.background.shape
            raise BadVideo(
                f"the pictures are {clip.shape[2]}×{clip.shape[1]} where those learned from were {W}×{H}; "
                "fit a detector on normal video of this camera"
            )
        unlike = cv2.absdiff(soft[1], _soft(scene.background)) > np.maximum(
            LEVEL, NOISES * scene.unrest
        )
        if (
            unlike.mean() < CHANGED_SCENE
        ):  # else it is the light or the camera, and the background says nothing
            mask |= unlike.astype(np.uint8)
    closed = cv2.morphologyEx(
        mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    )
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)


def filter_boxes(boxes: Floats, shape: Sequence[int]) -> Floats:
    """(m, 4) of (n, ≥ 4): inside a picture of H × W, none smaller than 10 pixels, none strictly inside another.

    These are the published system's rules, and boxes that reach beyond the picture are cut at its edge.
    """
    H, W = shape
    inside = np.asarray(boxes, np.float32)[:, :4].copy().reshape(-1, 4)
    inside[:, 0::2] = inside[:, 0::2].clip(0, W)
    inside[:, 1::2] = inside[:, 1::2].clip(0, H)
    sides = inside[:, 2:] - inside[:, :2]
    inside = inside[(sides.max(1) >= SMALLEST) & (sides.min(1) >= 1)]
    if not len(inside):
        return np.asarray(inside)
    low, high = inside[:, None, :2], inside[:, None, 2:]
    within = (low > inside[None, :, :2]).all(-1) & (high < inside[None, :, 2:]).all(
        -1
    )  # (m, m) first inside second
    return np.asarray(inside[~within.any(1)])


def touches_edge(boxes: Floats, shape: Sequence[int]) -> Bools:
    """(n,) whether boxes (n, 4) end at the edge of a picture of H × W, so that part of the thing may be missing."""
    H, W = shape
    return np.asarray(
        (boxes[:, :2] <= EDGE).any(1) | (boxes[:, 2:] >= np.array([W, H]) - EDGE).any(1)
    )


def union(first: Floats, more: Floats, covered: float = 0.5) -> Floats:
    """The first boxes, and of the others those of which less than this share is covered by any one of the first."""
    if not len(first) or not len(more):
        return np.concatenate([first[:, :4], more[:, :4]])
    low = np.maximum(first[None, :, :2], more[:, None, :2])
    high = np.minimum(first[None, :, 2:4], more[:, None, 2:4])
    shared = (high - low).clip(0).prod(-1)  # (more, first)
    area = (more[:, 2:4] - more[:, :2]).prod(-1)
    alone = shared.max(1) < covered * area
    return np.concatenate([first[:, :4], more[alone, :4]])


def expand_boxes(boxes: Floats, share: float) -> Floats:
    """The boxes (n, 4) grown by that share of their sides; whole pictures (n, 0) stay."""
    if not boxes.shape[1]:
        return boxes
    more = (boxes[:, 2:] - boxes[:, :2]) * share / 2
    return np.concatenate([boxes[:, :2] - more, boxes[:, 2:] + more], 1)


def crop_cubes(clip: Bytes, boxes: Floats, side: int) -> Bytes:
    """(n, T, side, side, C): the same box out of every frame of a clip (T, H, W, C), scaled to a square.

    Samples lie as those of an aligned RoIAlign with one sample a pixel; where a box shrinks by more than half again, it
    is first averaged over areas, which RoIAlign does by taking more samples.
    """
    T, _, _, C = clip.shape
    cubes = np.empty((len(boxes), T, side, side, C), np.uint8)
    for cube, (x1, y1, x2, y2) in zip(cubes, boxes, strict=True):
        a, b = max(0, int(x1) - 1), max(0, int(y1) - 1)
        part = clip[:, b : int(np.ceil(y2)) + 1, a : int(np.ceil(x2)) + 1]
        left, top, dx, dy = (
            float(x1) - a,
            float(y1) - b,
            float(x2 - x1) / side,
            float(y2 - y1) / side,
        )
        h, w = part.shape[1:3]
        small = (max(1, round(w * min(1.0, 1.5 / dx))), max(1, round(h * min(1.0, 1.5 / dy))))
        shrinks, fx, fy = small != (w, h), small[0] / w, small[1] / h
        # pixel i of the cube looks at left + (i + 0.5) × step of the picture, whose pixel centres are at + 0.5
        place = np.array(
            [[dx * fx, 0, (left + 0.5 * dx) * fx - 0.5], [0, dy * fy, (top + 0.5 * dy) * fy - 0.5]]
        )
        for t in range(T):
            picture = (
                cv2.resize(part[t], small, interpolation=cv2.INTER_AREA) if shrinks else part[t]
            )
            cv2.warpAffine(picture, place, (side, side), cube[t], FLAGS, cv2.BORDER_REPLICATE)
    return cubes


def grey_of(clip: Bytes) -> Bytes:
    """(T, H, W) of a clip (T, H, W, C) of one or three channels."""
    if clip.shape[-1] == 1:
        return np.asarray(clip[..., 0])
    return np.stack(
        [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in clip]
    )


def _split(
    inside: Floats, arrows: Floats, x: int, y: int, scene: Scene
) -> list[tuple[float, float, float, float]]:
    """Boxes of the things of which a part (h, w) seems to consist: k means over place and motion."""
    rows, columns = np.nonzero(inside)
    high = scene.height(y + float(rows.max()) + 1)
    wide = scene.aspect * high
    count = int(np.clip(round(len(rows) / (FILL * high * wide)), 2, 24))
    every = max(1, len(rows) // POINTS)
    flow = arrows[rows[::every], columns[::every]]
    # a step of one pixel a frame tells two things apart as half a width does
    points = np.column_stack(
        [columns[::every] / wide, rows[::every] / high, flow / 2 * 0.5]
    ).astype(np.float32)
    middles = _means(points, count)
    places = np.column_stack([columns / wide, rows / high, arrows[rows, columns] / 2 * 0.5])
    nearest = ((places[:, None] - middles[None]) ** 2).sum(-1).argmin(1)
    boxes = []
    for k in range(len(middles)):
        r, c = rows[nearest == k], columns[nearest == k]
        if len(r) < LEAST * FILL * high * wide:
            continue
        # the outermost fiftieth are stray pixels of a neighbour
        (top, bottom), (left, right) = np.percentile(r, (2, 98)), np.percentile(c, (2, 98))
        boxes.append((x + float(left), y + float(top), x + float(right) + 1, y + float(bottom) + 1))
    return boxes


def _means(points: Floats, count: int) -> Floats:
    """(k, d) k means, begun from points far apart: no chance, so that a clip has one answer."""
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmax())]
    far = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(far.argmax()))
        far = np.minimum(far, ((points - points[chosen[-1]]) ** 2).sum(1))
    middles = points[chosen].copy()
    for _ in range(8):
        nearest = ((points[:, None] - middles[None]) ** 2).sum(-1).argmin(1)
        for k in range(len(middles)):
            if (mine := nearest == k).any():
                middles[k] = points[mine].mean(0)
    return np.asarray(middles)


def _with_sizes(scene: Scene, pictures: Sequence[Bytes]) -> Scene:
    """The same scene with heights by row, a line through stripes of the picture, from parts that stand alone."""
    H, W = pictures[0].shape
    found = []
    for picture in pictures:
        _, _, stats, _ = cv2.connectedComponentsWithStats(
            foreground(np.stack([picture] * 3), scene)
        )
        for x, y, w, h, area in stats[1:]:
            alone = x > 0 and y > 0 and x + w < W and y + h < H
            # wider ones are crowds that stick together, thin ones edges
            if alone and SMALLEST <= h < H / 2 and 0.2 * h <= w < 1.2 * h and area >= 0.35 * w * h:
                found.append((float(y + h), float(h), float(w)))
    if len(found) < 8:
        return scene
    feet, heights, widths = np.array(found).T
    stripe = np.minimum((feet / H * ROWS).astype(int), ROWS - 1)
    rows = [
        s for s in range(ROWS) if (stripe == s).sum() >= max(LEAST_ALONE, SHARE_ALONE * len(feet))
    ]
    ends, fitted = [0.0], [float(np.percentile(heights, SINGLE))]
    if len(rows) >= 3:
        middles = np.array([np.median(feet[stripe == s]) for s in rows])
        levels = [float(np.percentile(heights[stripe == s], SINGLE)) for s in rows]
        line = np.polyfit(middles, levels, 1, w=[float((stripe == s).sum()) ** 0.5 for s in rows])
        if (
            line[0] > 0
        ):  # things nearer the camera stand lower and look larger; the other way round is chance
            ends = middles[[0, -1]].tolist()
            fitted = np.polyval(line, ends).tolist()
    aspect = float(np.clip(np.percentile(widths / heights, 40), 0.25, 1.5))
    return Scene(scene.background, scene.unrest, tuple(zip(ends, fitted, strict=True)), aspect)


def _spots(video: Video, spec: ClipSpec, count: int) -> Iterator[Bytes]:
    """Grey frames from all over a video."""
    single = ClipSpec(length=1, size=spec.size, colour="grey", fps=spec.fps)
    frames = frames_of(video, single)
    if not len(frames):
        return
    wanted = frames[np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int))]
    try:
        yield from frames_at(video, single, wanted.tolist())[..., 0]
    except BadVideo:  # damaged somewhere; the other spots will do
        for index in wanted:
            with suppress(BadVideo):
                yield frames_at(video, single, [int(index)])[0, ..., 0]


def _soft(frame: Bytes) -> Bytes:
    return np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.uint8)
