"""Solid things in metres to pixels: a pinhole camera, shapes made of limbs and faces, sprites
pasted with soft edges.

World axes in metres: x to the right, y away from the camera along the ground, z up. Pictures are
(H, W, 3) RGB uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, sin
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.types import Bytes, Floats

Point = tuple[float, float, float]
Colour = tuple[int, int, int]

FIXED_POINT = 4  # binary places of OpenCV's sub-pixel coordinates
SUN = (0.62, -0.38)  # metres along x and y that a shadow falls for each metre of height


@dataclass(frozen=True)
class Camera:
    """A fixed camera 8 m above the ground, tilted down, whose picture is `height` × `width` pixels."""

    height: int
    width: int
    above: float = 8.0
    tilt: float = 0.33  # radians below the horizon
    zoom: float = 2.2  # focal length as a share of the picture's height

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """(P, 3) world points to (P, 2) pixels (x, y) and (P,) pixels per metre there."""
        cosine = cos(self.tilt)
        sine = sin(self.tilt)
        along = points[:, 1]
        up = points[:, 2] - self.above
        away = np.maximum(along * cosine - up * sine, 0.5)
        above_axis = along * sine + up * cosine
        scale = self.zoom * self.height / away
        places = np.empty((len(points), 2))
        places[:, 0] = self.width / 2 + points[:, 0] * scale
        places[:, 1] = self.height / 2 - above_axis * scale
        return places, scale

    def rays(self, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Directions (to the right, away, up) of the rays through pixels."""
        cosine = cos(self.tilt)
        sine = sin(self.tilt)
        focal_length = self.zoom * self.height
        right = (x - self.width / 2) / focal_length
        down = (y - self.height / 2) / focal_length
        away = cosine - down * sine
        up = -sine - down * cosine
        return right, away, up

    def may_see(self, x: float, y: float) -> bool:
        """False where nothing of something there, up to the size of a car and its shadow, could be
        seen.
        """
        return abs(x) < self.half_width(y) + 4.0

    def half_width(self, y: float) -> float:
        """Metres from the middle to the edge of what is seen of the ground at distance y."""
        away = y * cos(self.tilt) + self.above * sin(self.tilt)
        return self.width / 2 * away / (self.zoom * self.height)


class Stroke(NamedTuple):
    """A line or a filled face through some of a shape's points."""

    first: int  # of the shape's points that it goes through,
    last: int  # not included
    colour: Colour
    radius: float | None  # metres; None is a filled convex face
    closed: bool


@dataclass
class Shape:
    """A thing made of strokes, drawn in the order in which they were added."""

    points: list[Point] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)

    def limb(self, colour: Colour, radius: float, *points: Point, closed: bool = False) -> None:
        """A rounded line through points; one point alone is a ball."""
        self.add_stroke(points, colour, radius, closed)

    def face(self, colour: Colour, *points: Point) -> None:
        """A filled convex polygon."""
        self.add_stroke(points, colour, None, True)

    def extend(self, other: Shape) -> None:
        """Draw another shape over this one."""
        start = len(self.points)
        self.points += other.points
        for first, last, colour, radius, closed in other.strokes:
            self.strokes.append(Stroke(first + start, last + start, colour, radius, closed))

    def add_stroke(
        self, points: Sequence[Point], colour: Colour, radius: float | None, closed: bool
    ) -> None:
        first = len(self.points)
        self.points += points
        self.strokes.append(Stroke(first, len(self.points), colour, radius, closed))


@dataclass(frozen=True)
class Sprite:
    """A picture with soft edges and its place: colours are premultiplied by the last channel, the
    coverage.
    """

    left: int
    top: int
    pixels: Bytes  # (h, w, 4); a shadow has one channel (h, w), its darkness

    def overlap(self, height: int, width: int) -> tuple[slice, slice, slice, slice] | None:
        """Where it lies in a picture (rows, columns) and which of its own rows and columns those
        are.
        """
        h, w = self.pixels.shape[:2]
        top = max(self.top, 0)
        left = max(self.left, 0)
        bottom = min(self.top + h, height)
        right = min(self.left + w, width)
        if top >= bottom or left >= right:
            return None
        own_rows = slice(top - self.top, bottom - self.top)
        own_columns = slice(left - self.left, right - self.left)
        return slice(top, bottom), slice(left, right), own_rows, own_columns


def render(shape: Shape, camera: Camera) -> Sprite | None:
    """A shape as a sprite; None where the camera cannot see it."""
    points = np.asarray(shape.points, float)
    return rasterise(shape, points, camera, 4, finest=4)


def shadow(shape: Shape, camera: Camera) -> Sprite | None:
    """The shadow that a shape casts on the ground; None where the camera cannot see it."""
    points = np.asarray(shape.points, float)
    height = points[:, 2].copy()
    points[:, 0] += SUN[0] * height
    points[:, 1] += SUN[1] * height
    points[:, 2] = 0.0
    return rasterise(shape, points, camera, 1, finest=2)


def paste(picture: Bytes, sprite: Sprite) -> None:
    """Draw a sprite into a picture, in place."""
    height, width = picture.shape[:2]
    overlap = sprite.overlap(height, width)
    if overlap is None:
        return
    rows, columns, own_rows, own_columns = overlap
    patch = sprite.pixels[own_rows, own_columns]
    below = picture[rows, columns]
    through = 255 - patch[:, :, 3:].astype(np.uint16)
    behind = (below * through + 127) // 255
    below[:] = behind + patch[:, :, :3]


def shade(colour: Colour, share: float) -> Colour:
    """A colour made darker (share < 1) or brighter."""
    r, g, b = colour
    return (
        min(255, int(r * share + 0.5)),
        min(255, int(g * share + 0.5)),
        min(255, int(b * share + 0.5)),
    )


def rasterise(
    shape: Shape, points: Floats, camera: Camera, channels: int, finest: int
) -> Sprite | None:
    """A shape with its points (P, 3) elsewhere as a sprite of 4 channels, or of 1; None where the
    camera cannot see it. What is small is drawn up to `finest` times larger, then averaged.
    """
    places, scale = camera.project(points)
    thickest = max(stroke.radius or 0.0 for stroke in shape.strokes)
    margin = thickest * float(scale.max()) + 2
    x1, y1 = np.floor(places.min(0) - margin).astype(int).tolist()
    x2, y2 = np.ceil(places.max(0) + margin).astype(int).tolist()
    if x2 <= 0 or y2 <= 0 or x1 >= camera.width or y1 >= camera.height:
        return None
    width = x2 - x1
    height = y2 - y1
    fine = min(finest, max(1, round(100 / float(scale[0]))))
    canvas = np.zeros((height * fine, width * fine, channels), np.uint8)
    unit = 1 << FIXED_POINT
    on_canvas = (places - (x1, y1)) * (fine * unit)
    fixed = np.rint(on_canvas - 0.5 * unit).astype(np.int32)
    scales = (scale * fine).tolist()
    line = cv2.LINE_8
    if fine == 1:
        line = cv2.LINE_AA
    for stroke in shape.strokes:
        draw_stroke(canvas, stroke, fixed[stroke.first : stroke.last], scales[stroke.first], line)
    if fine > 1:
        averaged = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        canvas = np.asarray(averaged, np.uint8)
    pixels = canvas.reshape(height, width, channels)
    if channels == 1:
        pixels = pixels[:, :, 0]
    return Sprite(x1, y1, pixels)


def draw_stroke(
    canvas: Bytes, stroke: Stroke, corners: NDArray[np.int32], scale: float, line: int
) -> None:
    """Draw a stroke through corners (n, 2) in fixed-point pixels, of which `scale` are a metre."""
    channels = canvas.shape[2]
    paint = (*stroke.colour, 255)[-channels:]
    if stroke.radius is None:
        cv2.fillConvexPoly(canvas, corners, paint, line, FIXED_POINT)
    elif len(corners) == 1:
        x, y = corners[0].tolist()
        radius = max(1, round(stroke.radius * scale * (1 << FIXED_POINT)))
        cv2.circle(canvas, (x, y), radius, paint, -1, line, FIXED_POINT)
    else:
        thick = max(1, round(2 * stroke.radius * scale))
        cv2.polylines(canvas, [corners], stroke.closed, paint, thick, line, FIXED_POINT)
