"""What else is seen on the plaza, as shapes: dogs, pushchairs, a bicycle, a suitcase, a car.

Places are given in a thing's own directions: metres forward, to the right and up.
"""

from __future__ import annotations

from math import atan2, cos, hypot, pi, sin, sqrt

from oddframe.synthetic.drawing import Colour, Point, Shape, shade
from oddframe.synthetic.people import (
    LEFT,
    RIGHT,
    Appearance,
    Motion,
    Sketch,
    draw_head,
    person,
    tone_of,
)

PAINTS = [(188, 190, 194), (226, 226, 224), (44, 46, 52), (112, 28, 30), (36, 58, 98), (88, 92, 96)]
TYRE = (34, 34, 36)
SPOKE = (120, 120, 122)
SADDLE = (-0.22, 0.95)  # of a bicycle, forward and up
BARS = (0.42, 1.0)
CRANK = (0.0, 0.30)
REAR_AXLE = (-0.52, 0.34)
FRONT_AXLE = (0.55, 0.34)
GLASS = (58, 66, 76)
HEADLIGHT = (250, 246, 226)
TAIL_LIGHT = (150, 30, 28)


def cyclist(m: Motion, look: Appearance, paint: Colour) -> Shape:
    """Somebody on a bicycle; the phase turns the pedals."""
    sketch = Sketch(m)
    H = look.tall
    draw_pedalling_leg(sketch, look, -m.near)
    draw_bicycle(sketch, paint)
    shoulder = (0.16, 0.95 + 0.3 * H)
    draw_steering_arm(sketch, look, shoulder, -m.near)
    draw_pedalling_leg(sketch, look, m.near)
    hip = (SADDLE[0] + 0.02, 0.0, SADDLE[1] + 0.08)
    sketch.limb(look.top, 0.075 * H * look.wide, hip, at_side(shoulder))
    draw_head(sketch, look, shoulder[0] + 0.09, shoulder[1] + 0.115 * H)
    draw_steering_arm(sketch, look, shoulder, m.near)
    return sketch.shape


def at_side(place: tuple[float, float], right: float = 0.0) -> Point:
    """A place, given forward and up, so far to the right."""
    forward, up = place
    return forward, right, up


def draw_pedalling_leg(sketch: Sketch, look: Appearance, side: int) -> None:
    """A leg whose foot is on a pedal."""
    H = look.tall
    pedal = sketch.m.phase + (0.0 if side > 0 else pi)
    foot = (CRANK[0] + 0.17 * cos(pedal), CRANK[1] - 0.17 * sin(pedal) + 0.05)
    knee = bent_joint(SADDLE, foot, 0.245 * H, 0.25 * H)
    toe = (foot[0] + 0.14, foot[1] - 0.01)
    tone = tone_of(sketch.m, side, far=0.72)
    hip_at = at_side(SADDLE, side * 0.1)
    knee_at = at_side(knee, side * 0.11)
    foot_at = at_side(foot, side * 0.1)
    sketch.limb(shade(look.legs, tone), 0.045 * H, hip_at, knee_at)
    sketch.limb(shade(look.legs, tone * 0.95), 0.034 * H, knee_at, foot_at)
    sketch.limb((34, 32, 32), 0.022 * H, foot_at, at_side(toe, side * 0.1))


def draw_steering_arm(
    sketch: Sketch, look: Appearance, shoulder: tuple[float, float], side: int
) -> None:
    """An arm whose hand is on the handlebars."""
    tone = tone_of(sketch.m, side, far=0.72)
    sketch.limb(
        shade(look.top, tone),
        0.028 * look.tall,
        at_side(shoulder, side * 0.15),
        at_side((0.26, 1.2), side * 0.2),
        at_side(BARS, side * 0.2),
    )


def draw_bicycle(sketch: Sketch, paint: Colour) -> None:
    """A bicycle, whose wheels turn with the phase."""
    for axle in (REAR_AXLE, FRONT_AXLE):
        draw_wheel(sketch, axle)
    rear = at_side(REAR_AXLE)
    crank = at_side(CRANK)
    head, seat_tube = (0.36, 0.0, 0.82), (-0.2, 0.0, 0.82)
    sketch.limb(paint, 0.02, rear, crank, head, seat_tube, crank)
    sketch.limb(paint, 0.018, rear, (-0.2, 0.0, 0.8), at_side(SADDLE))
    sketch.limb(paint, 0.02, at_side(FRONT_AXLE), (0.36, 0.0, 0.84), at_side(BARS))


def draw_wheel(sketch: Sketch, axle: tuple[float, float]) -> None:
    """A tyre with three pairs of spokes."""
    forward, up = axle
    tyre = []
    for k in range(18):
        angle = k * pi / 9
        tyre.append((forward + 0.33 * cos(angle), 0.0, up + 0.33 * sin(angle)))
    sketch.limb(TYRE, 0.022, *tyre, closed=True)
    for k in range(3):
        angle = 1.05 * k + sketch.m.phase
        below = (forward + -0.3 * cos(angle), 0.0, up + -0.3 * sin(angle))
        above = (forward + 0.3 * cos(angle), 0.0, up + 0.3 * sin(angle))
        sketch.limb(SPOKE, 0.006, below, above)


def dog(m: Motion, coat: Colour) -> Shape:
    """A middling dog."""
    sketch = Sketch(m)
    trot = 0.5 * min(1.0, m.speed)
    legs = (
        (0.22, 0.07, 0.0),
        (0.22, -0.07, pi),
        (-0.24, 0.07, pi),
        (-0.24, -0.07, 0.0),
    )
    for forward, right, turn in legs:
        swing = trot * sin(1.7 * m.phase + turn)
        hip = (forward, right, 0.34)
        paw = (forward + 0.3 * sin(swing), right, 0.03)
        sketch.limb(shade(coat, 0.85), 0.035, hip, paw)
    wag = 0.08 * sin(6 * m.seconds)
    sketch.limb(coat, 0.11, (-0.24, 0, 0.4), (0.22, 0, 0.42))
    sketch.limb(coat, 0.06, (0.24, 0, 0.46), (0.36, 0, 0.58))
    sketch.limb(shade(coat, 1.1), 0.07, (0.38, 0, 0.6), (0.48, 0, 0.57))
    sketch.limb(coat, 0.025, (-0.3, 0, 0.46), (-0.48, wag, 0.62))
    return sketch.shape


def with_dog(m: Motion, look: Appearance, coat: Colour) -> Shape:
    """Somebody with a dog on a lead, at the right and ahead."""
    x, y, _ = m.at(1.1 + 0.15 * sin(0.4 * m.seconds), 0.55, 0)
    animal = dog(Motion(m.seconds, x, y, m.heading, m.speed, m.phase), coat)
    lead = Shape()
    lead.limb((60, 50, 44), 0.012, (x, y, 0.5), m.at(0.2, 0.28, 0.85))
    parts = [person(m, look), lead, animal]
    if y >= m.y:
        parts.reverse()
    return drawn_over(parts)


def with_pushchair(m: Motion, look: Appearance, cloth: Colour) -> Shape:
    """Somebody pushing a pushchair."""
    cart = Sketch(m)
    for forward in (0.55, 1.05):
        for right in (0.22, -0.22):
            cart.limb((40, 40, 42), 0.09, (forward, right, 0.1))
    for side in (LEFT, RIGHT):
        draw_pushchair_side(cart, cloth, side)
    cart.limb(shade(cloth, 0.85), 0.2, (0.62, -0.06, 0.78), (0.62, 0.06, 0.78))
    parts = [person(m, look), cart.shape]
    if sin(m.heading) > 0.3:
        parts.reverse()
    return drawn_over(parts)


def draw_pushchair_side(cart: Sketch, cloth: Colour, side: int) -> None:
    """One side of the seat, and the frame up to the handle."""
    right = side * 0.22
    tone = tone_of(cart.m, side, far=0.75)
    cart.face(
        shade(cloth, tone),
        (0.5, right, 0.38),
        (1.1, right, 0.32),
        (1.12, right, 0.52),
        (0.6, right, 0.66),
    )
    wheel, joint, handle = (0.55, right, 0.1), (0.75, right, 0.5), (0.28, right, 1.0)
    cart.limb((70, 70, 74), 0.015, wheel, joint, handle)


def drawn_over(parts: list[Shape]) -> Shape:
    """Several shapes as one, each drawn over those before it."""
    shape = Shape()
    for part in parts:
        shape.extend(part)
    return shape


def case(m: Motion, paint: Colour) -> Shape:
    """A suitcase or a big bag standing on the ground."""
    sketch = Sketch(m)
    draw_box(sketch, paint, long=(-0.26, 0.26), wide=(-0.14, 0.14), tall=(0.05, 0.62))
    sketch.limb(
        shade(paint, 0.6),
        0.02,
        (-0.1, 0, 0.62),
        (-0.1, 0, 0.7),
        (0.1, 0, 0.7),
        (0.1, 0, 0.62),
    )
    return sketch.shape


def car(m: Motion, paint: Colour) -> Shape:
    """A small car."""
    sketch = Sketch(m)
    draw_box(sketch, paint, long=(-2.0, 2.0), wide=(-0.82, 0.82), tall=(0.28, 0.62))
    draw_box(
        sketch,
        paint,
        long=(-1.95, 1.9),
        wide=(-0.8, 0.8),
        tall=(0.62, 0.88),
        inset=(0.05, 0.15, 0.05),
    )
    draw_box(
        sketch,
        GLASS,
        long=(-1.75, 0.95),
        wide=(-0.76, 0.76),
        tall=(0.88, 1.42),
        inset=(0.35, 0.65, 0.16),
        roof=paint,
    )
    near = 0.84
    if cos(m.heading) < 0:
        near = -0.84
    for forward in (-1.25, 1.28):
        wheel = (forward, near, 0.31)
        sketch.limb((26, 26, 28), 0.31, wheel)
        sketch.limb((126, 128, 132), 0.17, wheel)
    for forward in (-0.35, 0.3):
        low = (forward, near * 0.95, 0.88)
        high = (forward - 0.05, near * 0.8, 1.4)
        sketch.limb(shade(paint, 0.75), 0.025, low, high)
    for forward, colour in ((1.98, HEADLIGHT), (-1.98, TAIL_LIGHT)):
        if forward * sin(m.heading) < 0.4:
            sketch.limb(colour, 0.08, (forward, -0.62, 0.64))
            sketch.limb(colour, 0.08, (forward, 0.62, 0.64))
    return sketch.shape


def draw_box(
    sketch: Sketch,
    paint: Colour,
    *,
    long: tuple[float, float],
    wide: tuple[float, float],
    tall: tuple[float, float],
    inset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    roof: Colour | None = None,
) -> None:
    """Faces of a box that can be seen; its top is smaller by `inset` at back, front and sides."""
    m = sketch.m
    back, front, side = inset
    low = corners(long, wide, tall[0])
    shorter = (long[0] + back, long[1] - front)
    narrower = (wide[0] + side, wide[1] - side)
    high = corners(shorter, narrower, tall[1])
    for k, (forward, right) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        x, y, _ = m.at(forward, right, 0)
        away = (x - m.x) * m.x + (y - m.y) * m.y  # the camera stands at the origin
        if away < 0:
            lit = 0.82 - 0.2 * (x - m.x)
            after = (k + 1) % 4
            sketch.face(shade(paint, lit), low[k], low[after], high[after], high[k])
    sketch.face(roof or shade(paint, 1.1), *high)


def corners(long: tuple[float, float], wide: tuple[float, float], up: float) -> list[Point]:
    """The corners of a rectangle at a height, one after the other around it."""
    back, front = long
    left, right = wide
    return [
        (back, left, up),
        (front, left, up),
        (front, right, up),
        (back, right, up),
    ]


def bent_joint(
    a: tuple[float, float], b: tuple[float, float], first: float, second: float
) -> tuple[float, float]:
    """The knee between hip a and foot b, bent forward."""
    dx = b[0] - a[0]
    dy = b[1] - a[1]
    reach = min(hypot(dx, dy), 0.999 * (first + second))
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    out = sqrt(max(0.0, first**2 - along**2))
    angle = atan2(dy, dx)
    forward = a[0] + along * cos(angle) - out * sin(angle)
    up = a[1] + along * sin(angle) + out * cos(angle)
    return forward, up
