"""Parts of a camera's pictures that nothing is looked at in: which pixels they are, and how they
are covered.

Pictures are H × W pixels, C channels; maps h × w cells.
"""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from oddframe.types import Bitmap, Bools, Bytes, Floats, IgnoredArea, Polygon, Video

GREY = 128  # level that stands for whatever is ignored
FINE = 512  # pixels of the longer side of a raster that points are looked up in
FRACTION_BITS = 8  # of coordinates that OpenCV is given
DIMMED = 0.45  # brightness of what is hatched
STRIPE = 12  # pixels from one stripe of a hatching to the next, and of its width a quarter
FILLED_FROM = 3.0  # pixels around an ignored one from which it is filled in


def joined(one: IgnoredArea | None, other: IgnoredArea | None) -> IgnoredArea | None:
    """The area that ignores what either does; None where neither ignores anything."""
    if one is None or other is None:
        return one or other
    return IgnoredArea(
        tuple(dict.fromkeys(one.polygons + other.polygons)),
        tuple(dict.fromkeys(one.regions + other.regions)),
        tuple(dict.fromkeys(one.bitmaps + other.bitmaps)),
    )


def with_ignored(video: Video, area: IgnoredArea | None) -> Video:
    """The video, with what an area ignores left out of its pictures too."""
    if area is None:
        return video
    return replace(video, ignored=joined(video.ignored, area))


def for_people(video: Video) -> Video:
    """The same video, its ignored area hatched and not blotted out."""
    if video.ignored is None:
        return video
    return replace(video, ignored=replace(video.ignored, hatched=True))


@lru_cache(maxsize=64)
def touched_pixels(area: IgnoredArea, size: tuple[int, int]) -> Bools:
    """(H, W) True where a pixel lies in the area, touches it, or has a neighbour that does.

    Making pictures smaller mixes neighbours, so the one beside the edge is not free of what is
    ignored. Do not write to it.
    """
    marked = drawn(area, size).astype(np.uint8)
    grown = cv2.dilate(marked, np.ones((3, 3), np.uint8))
    return np.asarray(grown > 0)


@lru_cache(maxsize=64)
def cells_inside(area: IgnoredArea, size: tuple[int, int]) -> Bools:
    """(h, w) True where the middle of a cell of a map lies in the area. Do not write to it."""
    h, w = size
    times = max(3, FINE // max(h, w)) | 1  # odd: one fine pixel is the middle
    fine = drawn(area, (h * times, w * times))
    middle = times // 2
    return fine[middle::times, middle::times]


def boxes_inside(area: IgnoredArea, boxes: Floats) -> Bools:
    """(n,) True where the centre of a box lies in the area; boxes (n, ≥ 4) are x1 y1 x2 y2 in
    fractions of the picture.
    """
    fine = cells_inside(area, (FINE, FINE))
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = (boxes[:, 1] + boxes[:, 3]) / 2
    column = np.clip(x * FINE, 0, FINE - 1).astype(int)
    row = np.clip(y * FINE, 0, FINE - 1).astype(int)
    return np.asarray(fine[row, column])


def share_of(area: IgnoredArea | None) -> float:
    """The share of the picture, from 0 to 1, that is ignored."""
    if area is None:
        return 0.0
    return float(cells_inside(area, (FINE, FINE)).mean())


def drawn(area: IgnoredArea, size: tuple[int, int]) -> Bools:
    """(H, W) True where a pixel lies in the area or on its edge."""
    marked = filled(area.polygons, size)
    for polygons in area.regions:
        marked |= ~filled(polygons, size)
    for bitmap in area.bitmaps:
        marked |= stretched(bitmap, size)
    return marked


def filled(polygons: tuple[Polygon, ...], size: tuple[int, int]) -> Bools:
    """(H, W) True where a pixel lies in any of the polygons or on its edge."""
    height, width = size
    canvas = np.zeros(size, np.uint8)
    for polygon in polygons:
        # OpenCV counts from the middle of the first pixel
        corners = np.array(polygon) * (width, height) - 0.5
        fixed = np.rint(corners * 2**FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], (1,), shift=FRACTION_BITS)
    return canvas > 0


def stretched(bitmap: Bitmap, size: tuple[int, int]) -> Bools:
    """(H, W) True where a pixel covers one that is marked in the bitmap."""
    height, width = size
    marked = pixels_of(bitmap).astype(np.float32)
    how = cv2.INTER_NEAREST
    if height < bitmap.height or width < bitmap.width:
        how = cv2.INTER_AREA
    return np.asarray(cv2.resize(marked, (width, height), interpolation=how) > 0)


def pixels_of(bitmap: Bitmap) -> Bools:
    """(height, width) of a bitmap, True where it is marked."""
    packed = np.frombuffer(bitmap.bits, np.uint8)
    count = bitmap.height * bitmap.width
    return np.unpackbits(packed, count=count).reshape(bitmap.height, bitmap.width) > 0


def bitmap_of(marked: Bools) -> Bitmap:
    """The bitmap of an array (height, width)."""
    height, width = marked.shape
    return Bitmap(height, width, np.packbits(marked).tobytes())


def cover(pixels: Bytes, marked: Bools) -> Bytes:
    """A copy of a picture (H, W, C) in which what is marked, (H, W), is one grey."""
    covered = pixels.copy()
    covered[marked] = GREY
    return covered


def hatch(pixels: Bytes, marked: Bools) -> Bytes:
    """A copy of a picture (H, W, C) in which what is marked, (H, W), is dark under pale stripes."""
    height, width = marked.shape
    diagonal = np.arange(height)[:, None] + np.arange(width)
    stripes = diagonal % STRIPE < STRIPE // 4
    shown = pixels.copy()
    dark = DIMMED * pixels[marked]
    shown[marked] = dark.astype(np.uint8)
    striped = marked & stripes
    pale = 0.5 * shown[striped] + 0.5 * GREY
    shown[striped] = pale.astype(np.uint8)
    return shown


def filled_in(picture: Bytes, area: IgnoredArea) -> Bytes:
    """A grey picture (H, W) in which the ignored area is smooth, made of what surrounds it."""
    height, width = picture.shape
    marked = touched_pixels(area, (height, width)).astype(np.uint8)
    if marked.all():
        return picture
    plain = np.ascontiguousarray(picture)
    return np.asarray(cv2.inpaint(plain, marked, FILLED_FROM, cv2.INPAINT_TELEA), np.uint8)
