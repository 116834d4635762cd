"""People of many looks and gaits, as shapes: how they are built and dressed, walk, run and fall.

Places are given in a person's own directions: metres forward, to the right and up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, pi, sin

import numpy as np

from oddframe.synthetic.drawing import Colour, Point, Shape, shade

SKINS = [(236, 196, 168), (222, 178, 146), (192, 140, 106), (150, 102, 74), (106, 72, 54)]
HAIRS = [(38, 30, 26), (66, 46, 34), (106, 76, 48), (158, 126, 82), (150, 148, 146), (28, 26, 30)]
TOPS = [
    (40, 44, 54),
    (58, 62, 70),
    (122, 126, 128),
    (196, 194, 188),
    (226, 224, 218),
    (32, 50, 88),
    (70, 96, 140),
    (146, 44, 42),
    (178, 92, 54),
    (64, 92, 66),
    (104, 108, 62),
    (196, 170, 88),
    (126, 84, 120),
    (152, 120, 92),
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
SHOES = (36, 32, 30)
UMBRELLA_STICK = (60, 58, 58)
RIGHT, LEFT = 1, -1  # sides of a body


@dataclass(frozen=True)
class Motion:
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

    @cached_property
    def near(self) -> int:
        """Its side that is nearer to the camera: the right one of who goes to the right."""
        if cos(self.heading) > 0:
            return RIGHT
        return LEFT

    def at(self, forward: float, right: float, up: float) -> Point:
        """A point given in the thing's own directions."""
        c, s = self.ahead
        x = self.x + c * forward + s * right
        y = self.y + s * forward - c * right
        return x, y, up


class Sketch:
    """A shape drawn in a thing's own directions: places are metres forward, to the right and up."""

    def __init__(self, m: Motion) -> None:
        self.m = m
        self.shape = Shape()

    def limb(self, colour: Colour, radius: float, *places: Point, closed: bool = False) -> None:
        """A rounded line through places; one place alone is a ball."""
        points = [self.m.at(*place) for place in places]
        self.shape.limb(colour, radius, *points, closed=closed)

    def face(self, colour: Colour, *places: Point) -> None:
        """A filled convex polygon."""
        points = [self.m.at(*place) for place in places]
        self.shape.face(colour, *points)


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
    tall = float(np.clip(random.normal(1.72, 0.09), 1.45, 1.95))
    wide = float(random.uniform(0.9, 1.25))
    skin = faded(SKINS, random)
    hair = faded(HAIRS, random)
    top = faded(TOPS, random)
    trim = faded(TOPS, random)
    legs = faded(LEGS, random)
    wears = random.choice(["plain", "plain", "striped", "open", "block"])
    long = random.choice([0, 0, 0, 0.7, 1.3]) * random.uniform(0.8, 1.1)
    carries = random.choice(["", "", "", "rucksack", "handbag"])
    sway = float(random.uniform(0.8, 1.2))
    cloth = None
    if umbrella:
        cloth = faded(TOPS, random)
    return Appearance(
        tall=tall,
        wide=wide,
        skin=skin,
        hair=hair,
        top=top,
        trim=trim,
        legs=legs,
        wears=str(wears),
        long=float(long),
        carries=str(carries),
        sway=sway,
        umbrella=cloth,
    )


def faded(colours: list[Colour], random: np.random.Generator) -> Colour:
    """One of the colours, nearer to grey and a little darker or brighter."""
    chosen = colours[int(random.integers(len(colours)))]
    grey = sum(chosen) / 3
    share = float(random.uniform(0.05, 0.4))
    r, g, b = (round(part + share * (grey - part)) for part in chosen)
    return shade((r, g, b), float(random.uniform(0.85, 1.15)))


@dataclass(frozen=True)
class Leg:
    """Where the joints of a leg are, forward and up from the hip."""

    knee: tuple[float, float]
    ankle: tuple[float, float]
    slope: float  # radians, of the foot


@dataclass(frozen=True)
class Pose:
    """How somebody holds themselves: metres forward and up from the ground below the hips."""

    run: float  # 0 walking … 1 running
    stride: float  # radians by which a thigh swings
    hip: float  # height
    chest: tuple[float, float]  # forward, up
    legs: dict[int, Leg]  # by side


def person(m: Motion, look: Appearance) -> Shape:
    """Somebody walking, running or standing, by the speed of the moment."""
    pose = pose_of(m, look)
    sketch = Sketch(m)
    rucksack = look.carries == "rucksack"
    hidden = sin(m.heading) < 0  # a rucksack, by whoever comes towards us
    if rucksack and hidden:
        draw_rucksack(sketch, look, pose)
    draw_arm(sketch, look, pose, -m.near)
    draw_leg(sketch, look, pose, -m.near)
    draw_leg(sketch, look, pose, m.near)
    draw_trunk(sketch, look, pose)
    if rucksack and not hidden:
        draw_rucksack(sketch, look, pose)
    forward, up = pose.chest
    neck = look.tall * (0.014 + 0.006 * pose.run)
    draw_head(sketch, look, forward + neck, up + 0.115 * look.tall)
    draw_arm(sketch, look, pose, m.near)
    return sketch.shape


def pose_of(m: Motion, look: Appearance) -> Pose:
    """How somebody holds themselves at the speed and in the phase of a moment."""
    H = look.tall
    run = min(1.0, max(0.0, (m.speed - 1.9) / 1.6))
    moving = min(1.0, m.speed / 0.7)
    pace = min(m.speed / 1.3, 1.3) ** 0.5
    stride = look.sway * moving * (0.36 * pace + 0.2 * run)
    legs = {
        RIGHT: leg_of(H, m.phase, stride, run, moving),
        LEFT: leg_of(H, m.phase + pi, stride, run, moving),
    }
    lowest = min(leg.ankle[1] for leg in legs.values())
    bounce = 0.05 * run * abs(sin(m.phase + 0.6))
    hip = 0.035 * H - lowest + bounce  # the lower foot is on the ground
    idle = (1 - moving) * 0.015 * sin(1.3 * m.seconds + 20 * look.sway)  # nobody stands like a post
    lean = 0.04 + 0.16 * run
    trunk = 0.30 * H
    chest = (trunk * sin(lean) + idle, hip + trunk * cos(lean))
    return Pose(run, stride, hip, chest, legs)


def leg_of(H: float, phase: float, stride: float, run: float, moving: float) -> Leg:
    """A leg of somebody so many metres tall in a phase of its swing."""
    thigh = 0.245 * H
    shin = 0.255 * H
    swing = stride * sin(phase) + 0.1 * run
    lift = max(0.0, cos(phase)) * 0.75 * (moving + run)
    bend = (0.08 + lift) * (0.4 + 0.6 * moving)
    slope = swing - bend
    knee = (thigh * sin(swing), -thigh * cos(swing))
    ankle = (knee[0] + shin * sin(slope), knee[1] - shin * cos(slope))
    return Leg(knee, ankle, slope)


def draw_arm(sketch: Sketch, look: Appearance, pose: Pose, side: int) -> None:
    """An arm, which swings against the leg of its side, and what the right hand holds."""
    H = look.tall
    reach = 0.17 * look.tall
    chest, chest_up = pose.chest
    phase = sketch.m.phase + (0.0 if side > 0 else pi)
    swing = -0.9 * pose.stride * sin(phase) + 0.05 - 0.25 * pose.run
    bend = 0.25 + 1.25 * pose.run
    if look.umbrella and side > 0:
        swing = 0.7
        bend = 1.7
    out = side * 0.125 * H * look.wide
    elbow_forward = chest + reach * sin(swing)
    elbow_up = chest_up - reach * cos(swing)
    hand_forward = elbow_forward + reach * sin(swing + bend)
    hand_up = elbow_up - reach * cos(swing + bend)
    shoulder = (chest, side * 0.105 * H * look.wide, chest_up - 0.01 * H)
    elbow = (elbow_forward, out, elbow_up)
    hand = (hand_forward, out, hand_up)
    tone = tone_of(sketch.m, side)
    sketch.limb(shade(look.top, tone), 0.032 * H, shoulder, elbow)
    sketch.limb(shade(look.top, tone * 0.96), 0.027 * H, elbow, hand)
    sketch.limb(shade(look.skin, tone), 0.026 * H, hand)
    if side < 0:
        return
    if look.carries == "handbag":
        low = hand_up - 0.12 * H
        begin = (hand_forward, out, low)
        end = (hand_forward + 0.06, out, low)
        sketch.limb(look.trim, 0.07 * H, begin, end)
    if look.umbrella:
        draw_umbrella(sketch, hand, look.umbrella)


def draw_leg(sketch: Sketch, look: Appearance, pose: Pose, side: int) -> None:
    """A leg with its shoe."""
    H = look.tall
    out = side * 0.05 * look.tall * look.wide
    tone = tone_of(sketch.m, side)
    leg = pose.legs[side]
    hip = (0.0, out, pose.hip)
    knee = (leg.knee[0], out, pose.hip + leg.knee[1])
    ankle = (leg.ankle[0], out, pose.hip + leg.ankle[1])
    sketch.limb(shade(look.legs, tone), 0.047 * H * look.wide, hip, knee)
    sketch.limb(shade(look.legs, tone * 0.95), 0.036 * H, knee, ankle)
    sole = pose.hip + leg.ankle[1] - 0.015
    toe_forward = leg.ankle[0] + 0.1 * H * cos(leg.slope * 0.5)
    toe_up = max(0.02, sole + 0.08 * H * sin(leg.slope))
    heel = (leg.ankle[0], out, max(0.03, sole))
    toe = (toe_forward, out, toe_up)
    sketch.limb(SHOES, 0.022 * H, heel, toe)


def tone_of(m: Motion, side: int, far: float = 0.74) -> float:
    """How bright a limb is: those on the far side are darker."""
    if side == m.near:
        return 1.0
    return far


def fallen(m: Motion, look: Appearance, down: float, side: float) -> Shape:
    """Somebody on the way to the ground (0 upright … 1 lying), tipping forward and a little to one
    side.
    """
    shape = person(m, look)
    angle = down * 1.45
    direction = m.heading + side
    c = cos(direction)
    s = sin(direction)
    tipped = []
    for x, y, z in shape.points:
        forward = (x - m.x) * c + (y - m.y) * s
        across = -(x - m.x) * s + (y - m.y) * c
        up = z * cos(angle) - forward * sin(angle)
        forward = forward * cos(angle) + z * sin(angle)
        tipped_x = m.x + c * forward - s * across
        tipped_y = m.y + s * forward + c * across
        tipped.append((tipped_x, tipped_y, max(0.05, up) + 0.08 * down))
    return Shape(tipped, shape.strokes)


def draw_trunk(sketch: Sketch, look: Appearance, pose: Pose) -> None:
    """The body from hips to shoulders, and what is worn on it."""
    H = look.tall
    wide = look.wide
    hip = pose.hip
    chest, chest_up = pose.chest
    deep = 0.062 * H * wide
    low = ring(pose, -0.05, 0.075 * H * wide)
    high = ring(pose, 1.0, 0.105 * H * wide)
    if look.long:
        draw_skirt(sketch, look, pose, low)
    sketch.limb(look.top, deep, (0, 0, hip), (chest, 0, chest_up - 0.03 * H))
    sketch.face(look.top, low[0], low[1], high[1], high[0])
    sketch.limb(look.top, 0.035 * H, high[0], high[1])
    if look.wears == "striped":
        for share in (0.25, 0.55, 0.85):
            stripe = ring(pose, share, 0.09 * H * wide)
            sketch.limb(look.trim, 0.014 * H, *stripe)
    elif look.wears == "block":
        waist = (chest * 0.35, 0, hip + 0.1 * H)
        sketch.limb(look.trim, deep * 0.95, (0, 0, hip), waist)
    elif look.wears == "open":
        collar = (chest + deep * 0.8, 0, chest_up - 0.02 * H)
        sketch.limb(look.trim, 0.02 * H, (deep, 0, hip), collar)
    # the side away from the sun
    middle = (chest * 0.5, 0, (hip + chest_up) / 2)
    upper = (chest, 0, chest_up - 0.05 * H)
    shift = 0.055 * H * wide  # metres to the right of the picture
    dark = []
    for place in ((0, 0, hip), middle, upper):
        x, y, z = sketch.m.at(*place)
        dark.append((x + shift, y, z))
    sketch.shape.limb(shade(look.top, 0.78), 0.02 * H, *dark)


def ring(pose: Pose, share: float, half: float) -> tuple[Point, Point]:
    """Both sides of the trunk, so far from its middle, at a share of the way from hip to chest."""
    chest, chest_up = pose.chest
    forward = chest * share
    up = pose.hip + (chest_up - pose.hip) * share
    return (forward, -half, up), (forward, half, up)


def draw_skirt(sketch: Sketch, look: Appearance, pose: Pose, low: tuple[Point, Point]) -> None:
    """A coat or skirt that hangs from the hips, both sides of which are given."""
    H = look.tall
    hip = pose.hip
    hips = 0.075 * H * look.wide
    deep = 0.062 * H * look.wide
    hem_up = hip - 0.245 * H * look.long
    flare = 1.25 + 0.5 * pose.stride
    cloth = look.top
    if look.wears == "block":
        cloth = look.trim
    front = deep * flare
    side = hips * 1.25
    front_left = (front, -side, hem_up)
    front_right = (front, side, hem_up)
    back_right = (-front, side, hem_up)
    back = (-deep, 0, hip)
    sketch.face(shade(cloth, 0.85), low[0], low[1], front_right, back_right)
    sketch.face(shade(cloth, 0.92), low[0], low[1], front_right, front_left)
    sketch.face(shade(cloth, 0.9), back, (deep, 0, hip), front_right, back_right)


def draw_head(sketch: Sketch, look: Appearance, forward: float, up: float) -> None:
    """Neck, head and hair; of who walks away the hair is seen."""
    H = look.tall
    nape = (forward - 0.01 * H, 0, up - 0.09 * H)
    chin = (forward, 0, up - 0.03 * H)
    sketch.limb(shade(look.skin, 0.85), 0.028 * H, nape, chin)
    mouth = (forward, 0, up - 0.01 * H)
    brow = (forward, 0, up + 0.012 * H)
    sketch.limb(look.skin, 0.056 * H, mouth, brow)
    hair = (forward - 0.026 * H, 0, up + 0.022 * H)
    if sin(sketch.m.heading) > 0.5:
        hair = (forward, 0, up + 0.005 * H)
    sketch.limb(look.hair, 0.052 * H, hair)
    sketch.limb(look.hair, 0.045 * H, (forward - 0.01 * H, 0, up + 0.034 * H))


def draw_rucksack(sketch: Sketch, look: Appearance, pose: Pose) -> None:
    """A rucksack on the back."""
    H = look.tall
    chest, chest_up = pose.chest
    low = pose.hip + 0.09 * H
    high = chest_up - 0.03 * H
    begin = (chest * 0.4 - 0.1 * H, 0, low)
    end = (chest - 0.1 * H, 0, high)
    sketch.limb(look.trim, 0.07 * H, begin, end)
    pocket = (chest * 0.5 - 0.14 * H, 0, low + 0.02 * H)
    sketch.limb(shade(look.trim, 0.75), 0.035 * H, pocket)


def draw_umbrella(sketch: Sketch, hand: Point, cloth: Colour) -> None:
    """An open umbrella above a hand."""
    forward, right, up = hand
    top = up + 1.0
    sketch.limb(UMBRELLA_STICK, 0.012, hand, (forward, right, top))
    tip = (forward, right * 0.4, top)
    rim = []
    for k in range(9):
        angle = k * pi / 4
        rim_forward = forward + 0.55 * cos(angle)
        rim_right = right * 0.4 + 0.55 * sin(angle)
        rim.append((rim_forward, rim_right, top - 0.3))
    for k in range(8):
        tone = 0.8 + 0.2 * cos(k * pi / 4 + sketch.m.heading + pi)
        sketch.face(shade(cloth, tone), rim[k], rim[k + 1], tip)
