"""Boxes of what moves, with no weights learned anywhere, and cubes cut around boxes.

A foreground part about as large as things are at that height of the picture is one thing. A larger
one is split by place and optical flow into as many as fit, and kept whole as well where it fills
its box: it may be one large thing, such as a cart, rather than a crowd.

T frames in a clip, H × W pixels; n boxes, rows of x1 y1 x2 y2 in pixels of the clip.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from oddframe.methods.jigsaw.scene import SMALLEST_BOX, Scene, foreground
from oddframe.types import Bools, Bytes, Floats, Ints
from oddframe.video.background import connected_parts
from oddframe.video.motion import optical_flow

# all but the last three so that boxes agree best with a detector's on Ped2's *training* clips; some
# change little there
PAIR = 1.0  # usual heights: longest side of a part that is kept whole though it may be several
SPECK = 0.2  # of the area of a usual thing: smaller parts are specks
MERGED = 1.3  # usual areas from which on a part may be several things,
TALL, WIDE = 1.7, 1.5  # where it is higher, or wider, than so many usual heights or widths
MIN_FILL = 0.5  # share of its box that a part fills when it is kept whole
MAX_SIDES = 6.0  # usual heights: no thing is longer
FILL = 0.55  # share of its box that a walker fills
EDGE = 2  # pixels from the picture's edge within which a box may have been cut off
SPLIT_POINTS = 500  # foreground pixels by which a crowd is split
MOST_THINGS = 24  # into which one part is split


def motion_proposals(clip: Bytes, scene: Scene) -> Floats:
    """(n, 4): what moves in the middle frame of a grey clip (T, H, W).

    Deterministic, and of this clip alone.
    """
    mask = foreground(clip, scene)
    flow: Floats | None = None
    boxes: list[tuple[float, float, float, float]] = []
    for part in connected_parts(mask):
        x, y, w, h, area = part.x, part.y, part.w, part.h, part.area
        height = scene.height(y + h)
        width = scene.aspect * height
        usual = FILL * height * width
        if area < SPECK * usual or max(w, h) < SMALLEST_BOX:
            continue
        several = area > MERGED * usual and (h > TALL * height or w > WIDE * width)
        # two people side by side, or a cart? of what fills its box both answers are kept
        small = max(w, h) <= PAIR * height
        solid = area >= MIN_FILL * w * h and max(w, h) <= MAX_SIDES * height
        if not several or small or solid:
            boxes.append((x, y, x + w, y + h))
        if several:
            if flow is None:
                flow = middle_flow(clip)
            boxes += split_part(part.pixels, part.cut(flow), x, y, scene)
    return np.array(boxes, np.float32).reshape(-1, 4)


def middle_flow(clip: Bytes) -> Floats:
    """(H, W, 2) optical flow from the frame before the middle of a clip (T, H, W) to that after."""
    middle = len(clip) // 2
    before = clip[max(0, middle - 1)]
    after = clip[min(len(clip) - 1, middle + 1)]
    return optical_flow(before, after, "ultrafast")


def split_part(
    inside: Bools, flow: Floats, x: int, y: int, scene: Scene
) -> list[tuple[float, float, float, float]]:
    """Boxes of the things of which a part (h, w) at (x, y) seems to consist.

    By k means over place and motion.
    """
    rows, columns = np.nonzero(inside)
    height = scene.height(y + float(rows.max()) + 1)
    width = scene.aspect * height
    usual = FILL * height * width
    count = int(np.clip(round(len(rows) / usual), 2, MOST_THINGS))
    # over two frames; a step of one pixel a frame tells two things apart as half a width does
    motion = flow[rows, columns] / 2 * 0.5
    features = np.column_stack([columns / width, rows / height, motion])
    every = max(1, len(rows) // SPLIT_POINTS)
    sample = features[::every].astype(np.float32)
    means = k_means(sample, count)
    nearest = nearest_mean(features, means)
    boxes: list[tuple[float, float, float, float]] = []
    for k in range(len(means)):
        own = nearest == k
        own_rows = rows[own]
        own_columns = columns[own]
        if len(own_rows) < SPECK * FILL * height * width:
            continue
        # the outermost fiftieth are stray pixels of a neighbour
        top, bottom = np.percentile(own_rows, (2, 98)).tolist()
        left, right = np.percentile(own_columns, (2, 98)).tolist()
        boxes.append((x + left, y + top, x + right + 1, y + bottom + 1))
    return boxes


def k_means(points: Floats, count: int) -> Floats:
    """(k, d) means of points (n, d), begun far apart: no chance, so that a clip has one answer."""
    first = squared_distance(points, points.mean(0)).argmax()
    chosen = [int(first)]
    distance = squared_distance(points, points[first])
    while len(chosen) < min(count, len(points)):
        farthest = int(distance.argmax())
        chosen.append(farthest)
        distance = np.minimum(distance, squared_distance(points, points[farthest]))
    means = points[chosen].copy()
    for _ in range(8):
        nearest = nearest_mean(points, means)
        for k in range(len(means)):
            own = nearest == k
            if own.any():
                means[k] = points[own].mean(0)
    return np.asarray(means)


def squared_distance(points: Floats, to: Floats) -> Floats:
    """(n,) of points (n, d) to a point (d,)."""
    difference = points - to
    return np.asarray((difference**2).sum(-1))


def nearest_mean(points: Floats, means: Floats) -> Ints:
    """(n,) which of the means (k, d) is nearest to each point (n, d)."""
    difference = points[:, None] - means[None]
    return np.asarray((difference**2).sum(-1).argmin(1))


def filter_boxes(boxes: Floats, shape: Sequence[int]) -> Floats:
    """(m, 4) of (n, ≥ 4): inside a picture of H × W, none under 10 pixels, none inside another.

    These are the published system's rules (strictly inside, on all four sides), and boxes that
    reach beyond the picture are cut at its edge.
    """
    H, W = shape
    corners = np.asarray(boxes, np.float32)[:, :4]
    kept = corners.reshape(-1, 4).clip(0, [W, H, W, H]).astype(np.float32)
    sides = kept[:, 2:] - kept[:, :2]
    large = sides.max(1) >= SMALLEST_BOX
    not_flat = sides.min(1) >= 1
    kept = kept[large & not_flat]
    if not len(kept):
        return np.asarray(kept)
    low, high = kept[:, :2], kept[:, 2:]
    begins_inside = (low[:, None] > low[None]).all(-1)
    ends_inside = (high[:, None] < high[None]).all(-1)
    within = begins_inside & ends_inside  # (m, m) first inside second
    is_inside = within.any(1)
    return np.asarray(kept[~is_inside])


def touches_edge(boxes: Floats, shape: Sequence[int]) -> Bools:
    """(n,) whether boxes (n, 4) end at the edge of a picture of H × W, where part may be cut off.

    Whole frames (n, 0) do not.
    """
    if not boxes.shape[1]:
        return np.zeros(len(boxes), bool)
    H, W = shape
    last = np.array([W, H]) - EDGE
    at_start = (boxes[:, :2] <= EDGE).any(1)
    at_end = (boxes[:, 2:] >= last).any(1)
    return np.asarray(at_start | at_end)


def union_boxes(first: Floats, more: Floats, covered: float = 0.5) -> Floats:
    """The first boxes, and those of the others of which no first one covers this share."""
    first, more = first[:, :4], more[:, :4]
    if not len(first) or not len(more):
        return np.concatenate([first, more])
    begin, end = more[:, :2], more[:, 2:]
    low = np.maximum(first[None, :, :2], begin[:, None])
    high = np.minimum(first[None, :, 2:], end[:, None])
    shared = (high - low).clip(0).prod(-1)  # (more, first)
    area = (end - begin).prod(-1)
    alone = shared.max(1) < covered * area
    return np.concatenate([first, more[alone]])


def expand_boxes(boxes: Floats, share: float) -> Floats:
    """The boxes (n, 4) grown by that share of their sides; whole frames (n, 0) stay."""
    if not boxes.shape[1]:
        return boxes
    low, high = boxes[:, :2], boxes[:, 2:]
    more = (high - low) * share / 2
    return np.concatenate([low - more, high + more], 1)


def crop_cubes(clip: Bytes, boxes: Floats, side: int) -> Bytes:
    """(n, T, side, side, C): the same box out of every frame of a clip (T, H, W, C), as a square.

    Samples lie as those of an aligned RoIAlign with one sample a pixel; where a box shrinks by more
    than half again, it is first averaged over areas, which RoIAlign does by taking more samples.
    """
    T, _, _, C = clip.shape
    cubes = np.empty((len(boxes), T, side, side, C), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for cube, (x1, y1, x2, y2) in zip(cubes, boxes, strict=True):
        left = max(0, int(x1) - 1)
        top = max(0, int(y1) - 1)
        right = int(np.ceil(x2)) + 1
        bottom = int(np.ceil(y2)) + 1
        part = clip[:, top:bottom, left:right]
        h, w = part.shape[1:3]
        # pixels of the picture that one of the cube spans
        dx = float(x2 - x1) / side
        dy = float(y2 - y1) / side
        small_w = shrunk_size(w, dx)
        small_h = shrunk_size(h, dy)
        small = (small_w, small_h)
        fx = small_w / w
        fy = small_h / h
        # pixel i of the cube is sampled at x + (i + 0.5) · dx, where pixel centres are at + 0.5
        x = float(x1) - left + 0.5 * dx
        y = float(y1) - top + 0.5 * dy
        affine = np.array([[dx * fx, 0, x * fx - 0.5], [0, dy * fy, y * fy - 0.5]])
        for t in range(T):
            picture = part[t]
            if small != (w, h):
                picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            cv2.warpAffine(picture, affine, (side, side), cube[t], flags, cv2.BORDER_REPLICATE)
    return cubes


def shrunk_size(pixels: int, step: float) -> int:
    """The size to which a side is averaged first, when its samples are `step` pixels apart."""
    factor = min(1.0, 1.5 / step)
    return max(1, round(pixels * factor))


def to_grey(clip: Bytes) -> Bytes:
    """(T, H, W) of a clip (T, H, W, C) of one or three channels."""
    if clip.shape[-1] == 1:
        return np.asarray(clip[..., 0])
    frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    return np.asarray(np.stack(frames), np.uint8)
