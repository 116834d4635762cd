"""What is seen on the plaza, as shapes: people of many looks and gaits, their dogs and pushchairs,
a bicycle, a car.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import atan2, cos, hypot, pi, sin, sqrt

import numpy as np

from oddframe.synthetic.drawing import Colour, Point, Shape, shade

SKINS = [(236, 196, 168), (222, 178, 146), (192, 140, 106), (150, 102, 74), (106, 72, 54)]
HAIRS = [(38, 30, 26), (66, 46, 34), (106, 76, 48), (158, 126, 82), (150, 148, 146), (28, 26, 30)]
TOPS = [
    *[
        (40, 44, 54),
        (58, 62, 70),
        (122, 126, 128),
        (196, 194, 188),
        (226, 224, 218),
        (32, 50, 88),
        (70, 96, 140),
    ],
    *[
        (146, 44, 42),
        (178, 92, 54),
        (64, 92, 66),
        (104, 108, 62),
        (196, 170, 88),
        (126, 84, 120),
        (152, 120, 92),
    ],
]
LEGS = [
    (34, 36, 42),
    (48, 56, 78),
    (60, 74, 106),
    (84, 80, 74),
    (118, 108, 92),
    (42, 40, 38),
    (150, 142, 126),
]
PAINTS = [(188, 190, 194), (226, 226, 224), (44, 46, 52), (112, 28, 30), (36, 58, 98), (88, 92, 96)]


@dataclass(frozen=True)
class Moment:
    """Where a thing is, which way it faces and how it moves."""

    seconds: float
    x: float
    y: float
    heading: float  # radians; 0 is to the right, π/2 away from the camera
    speed: float  # metres per second
    phase: float  # of the gait, radians; a turn is two steps

    @cached_property
    def ahead(self) -> tuple[float, float]:
        """The unit vector in which it faces."""
        return cos(self.heading), sin(self.heading)

    def at(self, forward: float, right: float, up: float) -> Point:
        """A point given in the thing's own directions."""
        c, s = self.ahead
        return self.x + c * forward + s * right, self.y + s * forward - c * right, up


@dataclass(frozen=True)
class Appearance:
    """How a person is built and dressed."""

    tall: float  # metres
    wide: float  # 1 is usual
    skin: Colour
    hair: Colour
    top: Colour
    trim: Colour
    legs: Colour
    wears: str  # plain, striped, open, block
    long: float  # of the coat or skirt, as a share of the thigh; 0 is none
    carries: str  # "", rucksack, handbag
    sway: float  # how much arms and legs swing; 1 is usual
    umbrella: Colour | None = None


def somebody(random: np.random.Generator, umbrella: bool = False) -> Appearance:
    """A passer-by."""

    def one_of(colours: list[Colour]) -> Colour:
        chosen = colours[int(random.integers(len(colours)))]
        grey, faded = sum(chosen) / 3, float(random.uniform(0.05, 0.4))
        r, g, b = (round(part + faded * (grey - part)) for part in chosen)
        return shade((r, g, b), float(random.uniform(0.85, 1.15)))

    return Appearance(
        tall=float(np.clip(random.normal(1.72, 0.09), 1.45, 1.95)),
        wide=float(random.uniform(0.9, 1.25)),
        skin=one_of(SKINS),
        hair=one_of(HAIRS),
        top=one_of(TOPS),
        trim=one_of(TOPS),
        legs=one_of(LEGS),
        wears=str(random.choice(["plain", "plain", "striped", "open", "block"])),
        long=float(random.choice([0, 0, 0, 0.7, 1.3]) * random.uniform(0.8, 1.1)),
        carries=str(random.choice(["", "", "", "rucksack", "handbag"])),
        sway=float(random.uniform(0.8, 1.2)),
        umbrella=one_of(TOPS) if umbrella else None,
    )


@dataclass(frozen=True)
class _Pose:
    """How somebody holds themselves: lengths in metres, forward and up from the ground below the
    hips.
    """

    run: float  # 0 walking … 1 running
    stride: float  # radians by which a thigh swings
    hip: float  # height
    chest: tuple[float, float]  # forward, up
    legs: tuple[
        tuple[tuple[float, float], tuple[float, float], float], ...
    ]  # knee, ankle, slope of the foot; from hip


def person(m: Moment, look: Appearance) -> Shape:
    """Somebody walking, running or standing, by the speed of the moment."""
    pose = _pose(m, look)
    near, far = (
        (1, -1) if cos(m.heading) > 0 else (-1, 1)
    )  # the right side is the nearer one of who walks to the right
    hidden = sin(m.heading) < 0  # a rucksack, by whoever comes towards us
    shape = Shape()
    if look.carries == "rucksack" and hidden:
        _rucksack(shape, m, look, pose)
    _arm(shape, m, look, pose, far)
    _leg(shape, m, look, pose, far)
    _leg(shape, m, look, pose, near)
    _trunk(shape, m, look, pose)
    if look.carries == "rucksack" and not hidden:
        _rucksack(shape, m, look, pose)
    forward, up = pose.chest
    _head(shape, m, look, forward + look.tall * (0.014 + 0.006 * pose.run), up + 0.115 * look.tall)
    _arm(shape, m, look, pose, near)
    return shape


def _pose(m: Moment, look: Appearance) -> _Pose:
    H, run = look.tall, min(1.0, max(0.0, (m.speed - 1.9) / 1.6))
    moving = min(1.0, m.speed / 0.7)
    stride = look.sway * moving * (0.36 * min(m.speed / 1.3, 1.3) ** 0.5 + 0.2 * run)
    thigh, shin, legs = 0.245 * H, 0.255 * H, []
    for turn in (0.0, pi):
        swing = stride * sin(m.phase + turn) + 0.1 * run
        bend = (0.08 + max(0.0, cos(m.phase + turn)) * 0.75 * (moving + run)) * (0.4 + 0.6 * moving)
        knee = (thigh * sin(swing), -thigh * cos(swing))
        ankle = (knee[0] + shin * sin(swing - bend), knee[1] - shin * cos(swing - bend))
        legs.append((knee, ankle, swing - bend))
    bounce = 0.05 * run * abs(sin(m.phase + 0.6))
    hip = (
        0.035 * H - min(ankle[1] for _, ankle, _ in legs) + bounce
    )  # the lower foot is on the ground
    idle = (1 - moving) * 0.015 * sin(1.3 * m.seconds + 20 * look.sway)  # nobody stands like a post
    lean, trunk = 0.04 + 0.16 * run, 0.30 * H
    return _Pose(run, stride, hip, (trunk * sin(lean) + idle, hip + trunk * cos(lean)), tuple(legs))


def _arm(shape: Shape, m: Moment, look: Appearance, pose: _Pose, side: int) -> None:
    """The right arm (side 1) or the left (−1), which swings against the leg."""
    H, reach, (chest, chest_up) = look.tall, 0.17 * look.tall, pose.chest
    swing = -0.9 * pose.stride * sin(m.phase + (0.0 if side > 0 else pi)) + 0.05 - 0.25 * pose.run
    bend = 0.25 + 1.25 * pose.run
    if look.umbrella and side > 0:
        swing, bend = 0.7, 1.7
    out = side * 0.125 * H * look.wide
    elbow = (chest + reach * sin(swing), chest_up - reach * cos(swing))
    hand = (elbow[0] + reach * sin(swing + bend), elbow[1] - reach * cos(swing + bend))
    shoulder, joint = (
        m.at(chest, side * 0.105 * H * look.wide, chest_up - 0.01 * H),
        m.at(elbow[0], out, elbow[1]),
    )
    tone = _tone(m, side)
    shape.limb(shade(look.top, tone), 0.032 * H, shoulder, joint)
    shape.limb(shade(look.top, tone * 0.96), 0.027 * H, joint, m.at(hand[0], out, hand[1]))
    shape.limb(shade(look.skin, tone), 0.026 * H, m.at(hand[0], out, hand[1]))
    if look.carries == "handbag" and side > 0:
        low = hand[1] - 0.12 * H
        shape.limb(look.trim, 0.07 * H, m.at(hand[0], out, low), m.at(hand[0] + 0.06, out, low))
    if look.umbrella and side > 0:
        shape.extend(_umbrella(m, hand[0], out, hand[1], look.umbrella))


def _leg(shape: Shape, m: Moment, look: Appearance, pose: _Pose, side: int) -> None:
    H, out, tone = look.tall, side * 0.05 * look.tall * look.wide, _tone(m, side)
    knee, ankle, slope = pose.legs[0 if side > 0 else 1]
    places = [m.at(forward, out, pose.hip + up) for forward, up in ((0.0, 0.0), knee, ankle)]
    shape.limb(shade(look.legs, tone), 0.047 * H * look.wide, places[0], places[1])
    shape.limb(shade(look.legs, tone * 0.95), 0.036 * H, places[1], places[2])
    sole = pose.hip + ankle[1] - 0.015
    toe = m.at(ankle[0] + 0.1 * H * cos(slope * 0.5), out, max(0.02, sole + 0.08 * H * sin(slope)))
    shape.limb((36, 32, 30), 0.022 * H, m.at(ankle[0], out, max(0.03, sole)), toe)


def _tone(m: Moment, side: int) -> float:
    """Limbs on the far side are darker."""
    return 1.0 if (side > 0) == (cos(m.heading) > 0) else 0.74


def fallen(m: Moment, look: Appearance, down: float, side: float) -> Shape:
    """Somebody on the way to the ground (0 upright … 1 lying), tipping forward and a little to one
    side.
    """
    shape = person(m, look)
    angle = down * 1.45
    direction = m.heading + side
    c, s = cos(direction), sin(direction)
    tipped = []
    for x, y, z in shape.points:
        forward = (x - m.x) * c + (y - m.y) * s
        across = -(x - m.x) * s + (y - m.y) * c
        up = z * cos(angle) - forward * sin(angle)
        forward = forward * cos(angle) + z * sin(angle)
        tipped.append(
            (
                m.x + c * forward - s * across,
                m.y + s * forward + c * across,
                max(0.05, up) + 0.08 * down,
            )
        )
    return Shape(tipped, shape.strokes)


def cyclist(m: Moment, look: Appearance, paint: Colour) -> Shape:
    """Somebody on a bicycle; the phase turns the pedals."""
    shape, H = Shape(), look.tall
    turned = m.phase
    seat, bars, crank = (-0.22, 0.95), (0.42, 1.0), (0.0, 0.30)
    right_near = cos(m.heading) > 0

    def at(place: tuple[float, float], right: float = 0.0) -> Point:
        return m.at(place[0], right, place[1])

    def leg(side: int) -> None:
        pedal = turned + (0.0 if side > 0 else pi)
        foot = (crank[0] + 0.17 * cos(pedal), crank[1] - 0.17 * sin(pedal) + 0.05)
        knee = _joint(seat, foot, 0.245 * H, 0.25 * H)
        tone = 1.0 if (side > 0) == right_near else 0.72
        shape.limb(shade(look.legs, tone), 0.045 * H, at(seat, side * 0.1), at(knee, side * 0.11))
        shape.limb(
            shade(look.legs, tone * 0.95), 0.034 * H, at(knee, side * 0.11), at(foot, side * 0.1)
        )
        shape.limb(
            (34, 32, 32),
            0.022 * H,
            at(foot, side * 0.1),
            at((foot[0] + 0.14, foot[1] - 0.01), side * 0.1),
        )

    near, far = (1, -1) if right_near else (-1, 1)
    leg(far)
    for centre in (-0.52, 0.55):
        ring = [
            at((centre + 0.33 * cos(k * pi / 9), 0.34 + 0.33 * sin(k * pi / 9))) for k in range(18)
        ]
        shape.limb((34, 34, 36), 0.022, *ring, closed=True)
        for k in range(3):
            spoke = 1.05 * k + turned
            ends = [(centre + r * cos(spoke), 0.34 + r * sin(spoke)) for r in (-0.3, 0.3)]
            shape.limb((120, 120, 122), 0.006, at(ends[0]), at(ends[1]))
    shape.limb(
        paint, 0.02, at((-0.52, 0.34)), at(crank), at((0.36, 0.82)), at((-0.2, 0.82)), at(crank)
    )
    shape.limb(paint, 0.018, at((-0.52, 0.34)), at((-0.2, 0.8)), at(seat))
    shape.limb(paint, 0.02, at((0.55, 0.34)), at((0.36, 0.84)), at(bars))
    shoulder = (0.16, 0.95 + 0.3 * H)
    for side in (far, near):
        if side == near:
            leg(near)
            shape.limb(
                look.top, 0.075 * H * look.wide, at((seat[0] + 0.02, seat[1] + 0.08)), at(shoulder)
            )
            _head(shape, m, look, shoulder[0] + 0.09, shoulder[1] + 0.115 * H)
        elbow = (0.26, 1.2)
        tone = 1.0 if side == near else 0.72
        arm = [at(shoulder, side * 0.15), at(elbow, side * 0.2), at(bars, side * 0.2)]
        shape.limb(shade(look.top, tone), 0.028 * H, *arm)
    return shape


def dog(m: Moment, coat: Colour) -> Shape:
    """A middling dog."""
    shape = Shape()
    trot = 0.5 * min(1.0, m.speed)
    for k, (forward, right) in enumerate(
        ((0.22, 0.07), (0.22, -0.07), (-0.24, 0.07), (-0.24, -0.07))
    ):
        swing = trot * sin(1.7 * m.phase + (pi if k in (1, 2) else 0.0))
        shape.limb(
            shade(coat, 0.85),
            0.035,
            m.at(forward, right, 0.34),
            m.at(forward + 0.3 * sin(swing), right, 0.03),
        )
    shape.limb(coat, 0.11, m.at(-0.24, 0, 0.4), m.at(0.22, 0, 0.42))
    shape.limb(coat, 0.06, m.at(0.24, 0, 0.46), m.at(0.36, 0, 0.58))
    shape.limb(shade(coat, 1.1), 0.07, m.at(0.38, 0, 0.6), m.at(0.48, 0, 0.57))
    shape.limb(coat, 0.025, m.at(-0.3, 0, 0.46), m.at(-0.48, 0.08 * sin(6 * m.seconds), 0.62))
    return shape


def with_dog(m: Moment, look: Appearance, coat: Colour) -> Shape:
    """Somebody with a dog on a lead, at the right and ahead."""
    x, y, _ = m.at(1.1 + 0.15 * sin(0.4 * m.seconds), 0.55, 0)
    animal = dog(Moment(m.seconds, x, y, m.heading, m.speed, m.phase), coat)
    shape, lead = Shape(), Shape()
    lead.limb((60, 50, 44), 0.012, (x, y, 0.5), m.at(0.2, 0.28, 0.85))
    parts = [person(m, look), lead, animal]
    for part in parts if y < m.y else reversed(parts):
        shape.extend(part)
    return shape


def with_pushchair(m: Moment, look: Appearance, cloth: Colour) -> Shape:
    """Somebody pushing a pushchair."""
    shape, cart = Shape(), Shape()
    for forward in (0.55, 1.05):
        for right in (0.22, -0.22):
            cart.limb((40, 40, 42), 0.09, m.at(forward, right, 0.1))
    for right in (-0.22, 0.22):
        tone = shade(cloth, 1.0 if (right > 0) == (cos(m.heading) > 0) else 0.75)
        seat = [
            m.at(*place)
            for place in (
                (0.5, right, 0.38),
                (1.1, right, 0.32),
                (1.12, right, 0.52),
                (0.6, right, 0.66),
            )
        ]
        cart.face(tone, *seat)
        cart.limb(
            (70, 70, 74),
            0.015,
            m.at(0.55, right, 0.1),
            m.at(0.75, right, 0.5),
            m.at(0.28, right, 1.0),
        )
    cart.limb(shade(cloth, 0.85), 0.2, m.at(0.62, -0.06, 0.78), m.at(0.62, 0.06, 0.78))
    parts = [person(m, look), cart] if sin(m.heading) <= 0.3 else [cart, person(m, look)]
    for part in parts:
        shape.extend(part)
    return shape


def case(m: Moment, paint: Colour) -> Shape:
    """A suitcase or a big bag standing on the ground."""
    shape = Shape()
    _box(shape, m, paint, long=(-0.26, 0.26), wide=(-0.14, 0.14), tall=(0.05, 0.62))
    shape.limb(
        shade(paint, 0.6),
        0.02,
        m.at(-0.1, 0, 0.62),
        m.at(-0.1, 0, 0.7),
        m.at(0.1, 0, 0.7),
        m.at(0.1, 0, 0.62),
    )
    return shape


def car(m: Moment, paint: Colour) -> Shape:
    """A small car."""
    shape, glass = Shape(), (58, 66, 76)
    _box(shape, m, paint, long=(-2.0, 2.0), wide=(-0.82, 0.82), tall=(0.28, 0.62))
    _box(
        shape,
        m,
        paint,
        long=(-1.95, 1.9),
        wide=(-0.8, 0.8),
        tall=(0.62, 0.88),
        inset=(0.05, 0.15, 0.05),
    )
    cabin = (0.35, 0.65, 0.16)
    _box(
        shape,
        m,
        glass,
        long=(-1.75, 0.95),
        wide=(-0.76, 0.76),
        tall=(0.88, 1.42),
        inset=cabin,
        roof=paint,
    )
    near = -0.84 if cos(m.heading) < 0 else 0.84
    for forward in (-1.25, 1.28):
        shape.limb((26, 26, 28), 0.31, m.at(forward, near, 0.31))
        shape.limb((126, 128, 132), 0.17, m.at(forward, near, 0.31))
    for forward in (-0.35, 0.3):
        shape.limb(
            shade(paint, 0.75),
            0.025,
            m.at(forward, near * 0.95, 0.88),
            m.at(forward - 0.05, near * 0.8, 1.4),
        )
    for forward, colour in ((1.98, (250, 246, 226)), (-1.98, (150, 30, 28))):
        if forward * sin(m.heading) < 0.4:
            for right in (-0.62, 0.62):
                shape.limb(colour, 0.08, m.at(forward, right, 0.64))
    return shape


def _trunk(shape: Shape, m: Moment, look: Appearance, pose: _Pose) -> None:
    H, wide, hip, chest = look.tall, look.wide, pose.hip, pose.chest
    shoulders, hips, deep = 0.105 * H * wide, 0.075 * H * wide, 0.062 * H * wide

    def ring(share: float, half: float) -> tuple[Point, Point]:
        forward, up = chest[0] * share, hip + (chest[1] - hip) * share
        return m.at(forward, -half, up), m.at(forward, half, up)

    low, high = ring(-0.05, hips), ring(1.0, shoulders)
    if look.long:
        hem_up = hip - 0.245 * H * look.long
        flare = 1.25 + 0.5 * pose.stride
        skirt = look.top if look.wears != "block" else look.trim
        hem = [
            m.at(f * deep * flare, r * hips * 1.25, hem_up)
            for f, r in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        shape.face(shade(skirt, 0.85), low[0], low[1], hem[2], hem[3])
        shape.face(shade(skirt, 0.92), low[0], low[1], hem[2], hem[1])
        shape.face(shade(skirt, 0.9), m.at(-deep, 0, hip), m.at(deep, 0, hip), hem[2], hem[3])
    shape.limb(look.top, deep, m.at(0, 0, hip), m.at(chest[0], 0, chest[1] - 0.03 * H))
    shape.face(look.top, low[0], low[1], high[1], high[0])
    shape.limb(look.top, 0.035 * H, high[0], high[1])
    middle = m.at(chest[0] * 0.5, 0, (hip + chest[1]) / 2)
    if look.wears == "striped":
        for share in (0.25, 0.55, 0.85):
            shape.limb(look.trim, 0.014 * H, *ring(share, 0.09 * H * wide))
    elif look.wears == "block":
        shape.limb(look.trim, deep * 0.95, m.at(0, 0, hip), m.at(chest[0] * 0.35, 0, hip + 0.1 * H))
    elif look.wears == "open":
        shape.limb(
            look.trim,
            0.02 * H,
            m.at(deep, 0, hip),
            m.at(chest[0] + deep * 0.8, 0, chest[1] - 0.02 * H),
        )
    dark = [
        (p[0] + 0.055 * H * wide, p[1], p[2])
        for p in (m.at(0, 0, hip), middle, m.at(chest[0], 0, chest[1] - 0.05 * H))
    ]
    shape.limb(shade(look.top, 0.78), 0.02 * H, *dark)  # the side away from the sun


def _head(shape: Shape, m: Moment, look: Appearance, forward: float, up: float) -> None:
    H = look.tall
    shape.limb(
        shade(look.skin, 0.85),
        0.028 * H,
        m.at(forward - 0.01 * H, 0, up - 0.09 * H),
        m.at(forward, 0, up - 0.03 * H),
    )
    shape.limb(
        look.skin, 0.056 * H, m.at(forward, 0, up - 0.01 * H), m.at(forward, 0, up + 0.012 * H)
    )
    away = sin(m.heading) > 0.5
    back = forward - (0.0 if away else 0.026 * H)
    shape.limb(look.hair, 0.052 * H, m.at(back, 0, up + (0.005 if away else 0.022) * H))
    shape.limb(look.hair, 0.045 * H, m.at(forward - 0.01 * H, 0, up + 0.034 * H))


def _rucksack(shape: Shape, m: Moment, look: Appearance, pose: _Pose) -> None:
    H, (chest, chest_up) = look.tall, pose.chest
    low, high = pose.hip + 0.09 * H, chest_up - 0.03 * H
    shape.limb(
        look.trim, 0.07 * H, m.at(chest * 0.4 - 0.1 * H, 0, low), m.at(chest - 0.1 * H, 0, high)
    )
    shape.limb(shade(look.trim, 0.75), 0.035 * H, m.at(chest * 0.5 - 0.14 * H, 0, low + 0.02 * H))


def _umbrella(m: Moment, forward: float, right: float, up: float, cloth: Colour) -> Shape:
    shape, top = Shape(), up + 1.0
    shape.limb((60, 58, 58), 0.012, m.at(forward, right, up), m.at(forward, right, top))
    rim = [
        (forward + 0.55 * cos(k * pi / 4), right * 0.4 + 0.55 * sin(k * pi / 4)) for k in range(9)
    ]
    for k in range(8):
        tone = 0.8 + 0.2 * cos(k * pi / 4 + m.heading + pi)
        corners = [
            m.at(*rim[k], top - 0.3),
            m.at(*rim[k + 1], top - 0.3),
            m.at(forward, right * 0.4, top),
        ]
        shape.face(shade(cloth, tone), *corners)
    return shape


def _box(
    shape: Shape,
    m: Moment,
    paint: Colour,
    *,
    long: tuple[float, float],
    wide: tuple[float, float],
    tall: tuple[float, float],
    inset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    roof: Colour | None = None,
) -> None:
    """Faces of a box that can be seen; its top is smaller by `inset` at back, front and sides."""
    back, front, side = inset
    low = [
        m.at(f, r, tall[0])
        for f, r in ((long[0], wide[0]), (long[1], wide[0]), (long[1], wide[1]), (long[0], wide[1]))
    ]
    f0, f1, r0, r1 = long[0] + back, long[1] - front, wide[0] + side, wide[1] - side
    high = [m.at(f, r, tall[1]) for f, r in ((f0, r0), (f1, r0), (f1, r1), (f0, r1))]
    for k, (forward, right) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        outward = m.at(forward, right, 0)
        away = (outward[0] - m.x) * m.x + (
            outward[1] - m.y
        ) * m.y  # the camera stands at the origin
        if away < 0:
            lit = 0.82 - 0.2 * (outward[0] - m.x)
            shape.face(shade(paint, lit), low[k], low[(k + 1) % 4], high[(k + 1) % 4], high[k])
    shape.face(roof or shade(paint, 1.1), *high)


def _joint(
    a: tuple[float, float], b: tuple[float, float], first: float, second: float
) -> tuple[float, float]:
    """The knee between hip a and foot b, bent forward."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = min(hypot(dx, dy), 0.999 * (first + second))
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    out = sqrt(max(0.0, first**2 - along**2))
    angle = atan2(dy, dx)
    return a[0] + along * cos(angle) - out * sin(angle), a[1] + along * sin(angle) + out * cos(
        angle
    )
