"""Solid things in metres to pixels: a pinhole camera, shapes made of limbs and faces, sprites
pasted with soft edges.

World axes in metres: x to the right, y away from the camera along the ground, z up. Pictures are
(H, W, 3) RGB uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, cos, floor, sin
from typing import NamedTuple

import cv2
import numpy as np

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
        along, up = points[:, 1], points[:, 2] - self.above
        away = np.maximum(along * cos(self.tilt) - up * sin(self.tilt), 0.5)
        scale = self.zoom * self.height / away
        places = np.empty((len(points), 2))
        places[:, 0] = self.width / 2 + points[:, 0] * scale
        places[:, 1] = self.height / 2 - (along * sin(self.tilt) + up * cos(self.tilt)) * scale
        return places, scale

    def rays(self, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Directions (to the right, away, up) of the rays through pixels."""
        right = (x - self.width / 2) / (self.zoom * self.height)
        down = (y - self.height / 2) / (self.zoom * self.height)
        return (
            right,
            cos(self.tilt) - down * sin(self.tilt),
            -sin(self.tilt) - down * cos(self.tilt),
        )

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
        self._add(points, colour, radius, closed)

    def face(self, colour: Colour, *points: Point) -> None:
        """A filled convex polygon."""
        self._add(points, colour, None, True)

    def extend(self, other: Shape) -> None:
        """Draw another shape over this one."""
        start = len(self.points)
        self.points += other.points
        for first, last, colour, radius, closed in other.strokes:
            self.strokes.append(Stroke(first + start, last + start, colour, radius, closed))

    def _add(
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
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + h, height), min(self.left + w, width)
        if top >= bottom or left >= right:
            return None
        own = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        return slice(top, bottom), slice(left, right), *own


def render(shape: Shape, camera: Camera) -> Sprite | None:
    """A shape as a sprite; None where the camera cannot see it."""
    return _rasterise(shape, np.asarray(shape.points, float), camera, 4, finest=4)


def shadow(shape: Shape, camera: Camera) -> Sprite | None:
    """The shadow that a shape casts on the ground; None where the camera cannot see it."""
    points = np.asarray(shape.points, float)
    height = points[:, 2].copy()
    points[:, 0] += SUN[0] * height
    points[:, 1] += SUN[1] * height
    points[:, 2] = 0.0
    return _rasterise(shape, points, camera, 1, finest=2)


def paste(picture: Bytes, sprite: Sprite) -> None:
    """Draw a sprite into a picture, in place."""
    if lies := sprite.overlap(*picture.shape[:2]):
        rows, columns, own_rows, own_columns = lies
        patch, below = sprite.pixels[own_rows, own_columns], picture[rows, columns]
        through = 255 - patch[:, :, 3:].astype(np.uint16)
        below[:] = (below * through + 127) // 255 + patch[:, :, :3]


def shade(colour: Colour, share: float) -> Colour:
    """A colour made darker (share < 1) or brighter."""
    r, g, b = colour
    return (
        min(255, int(r * share + 0.5)),
        min(255, int(g * share + 0.5)),
        min(255, int(b * share + 0.5)),
    )


def _rasterise(
    shape: Shape, points: Floats, camera: Camera, channels: int, finest: int
) -> Sprite | None:
    places, scale = camera.project(points)
    margin = max([stroke[3] or 0.0 for stroke in shape.strokes]) * float(scale.max()) + 2
    (x1, y1), (x2, y2) = (places.min(0) - margin).tolist(), (places.max(0) + margin).tolist()
    x1, y1, x2, y2 = floor(x1), floor(y1), ceil(x2), ceil(y2)
    if x2 <= 0 or y2 <= 0 or x1 >= camera.width or y1 >= camera.height:
        return None
    fine = min(
        finest, max(1, round(100 / float(scale[0])))
    )  # drawn so many times larger, then averaged
    line = cv2.LINE_AA if fine == 1 else cv2.LINE_8
    canvas = np.zeros(((y2 - y1) * fine, (x2 - x1) * fine, channels), np.uint8)
    unit = 1 << FIXED_POINT
    fixed = np.rint((places - (x1, y1)) * (fine * unit) - 0.5 * unit).astype(np.int32)
    scales = (scale * fine).tolist()
    for first, last, colour, radius, closed in shape.strokes:
        paint = (*colour, 255)[-channels:]
        corners = fixed[first:last]
        if radius is None:
            cv2.fillConvexPoly(canvas, corners, paint, line, FIXED_POINT)
        elif last - first == 1:
            centre = (int(corners[0, 0]), int(corners[0, 1]))
            cv2.circle(
                canvas,
                centre,
                max(1, round(radius * scales[first] * unit)),
                paint,
                -1,
                line,
                FIXED_POINT,
            )
        else:
            thick = max(1, round(2 * radius * scales[first]))
            cv2.polylines(canvas, [corners], closed, paint, thick, line, FIXED_POINT)
    if fine > 1:
        canvas = np.asarray(
            cv2.resize(canvas, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA), np.uint8
        )
    return Sprite(
        x1,
        y1,
        canvas.reshape(y2 - y1, x2 - x1, channels)
        if channels > 1
        else canvas.reshape(y2 - y1, x2 - x1),
    )
