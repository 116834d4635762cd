"""Where it happens: the ground and its lanes, a building, lamps, benches and trees, in sun and
under cloud.

y = 44  front of a building
y = 36  far lanes: ← and, nearer to the camera, →            everybody keeps to the right
y = 31  grass with trees            x = 0: an avenue, ↓ ↑
y = 27  running track →
y = 24  strip with benches and lamps, where people stop to talk
y = 19  near lanes: ← and, nearer to the camera, →
y = 13  lower edge of the picture
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, hypot, sin

import cv2
import numpy as np

from oddframe.synthetic.drawing import (
    Camera,
    Colour,
    Point,
    Shape,
    Sprite,
    paste,
    render,
    shade,
    shadow,
)
from oddframe.types import Bools, Bytes, Floats

SHADOW = 0.45  # how dark a shadow is in full sun
WALL = 44.0
# pixels of the ground painted at a time, so that a 4K picture does not need gigabytes
STRIP = 1 << 16


@dataclass(frozen=True)
class Lane:
    """A band in which people walk one way, `low` to `high` metres in the direction across it."""

    low: float
    high: float
    way: int  # 1: towards larger x (or y for the avenue); −1: the other way

    @property
    def middle(self) -> float:
        """Where it is halfway across."""
        return (self.low + self.high) / 2


NEAR_RIGHT, NEAR_LEFT = Lane(16.4, 18.6, 1), Lane(19.4, 21.4, -1)
FAR_RIGHT, FAR_LEFT = Lane(34.2, 35.6, 1), Lane(36.4, 37.8, -1)
TRACK = Lane(26.4, 27.8, 1)
AVENUE_UP, AVENUE_DOWN = Lane(0.3, 1.6, 1), Lane(-1.6, -0.3, -1)
TALKING = 24.0  # y of the strip where people stop
TREES = (  # x and y
    (-11.0, 30.4),
    (-4.6, 31.4),
    (4.9, 29.9),
    (11.8, 31.2),
    (-8.0, 40.6),
    (8.4, 40.4),
    (16.5, 30.3),
    (-17, 31),
)


@dataclass(frozen=True)
class Standing:
    """A thing that never leaves its place; drawn again only where somebody passes behind it."""

    y: float
    sprite: Sprite
    sways: float = 0.0  # pixels by which the top of a tree moves in a usual wind


@dataclass(frozen=True)
class Place:
    """Where it all happens, and everything in it that stays as it is."""

    camera: Camera
    sunny: Bytes  # (H, W, 3), with everything that stands still but the trees
    cloudy: Bytes  # (H, W, 3), without shadows
    things: tuple[Standing, ...]
    pattern: Floats  # (H, W) the sensor's own fixed pattern, in grey levels


@lru_cache(maxsize=1)  # all films of one simulation are shot in the same place
def build(size: tuple[int, int], seed: int) -> Place:
    """The place for a picture of (height, width). The same size and seed give the same place."""
    random = np.random.default_rng([seed, 7])
    camera = Camera(*size)
    ground = paint_ground(camera, random)
    shapes = furniture(random)
    shade_on_ground = np.zeros(size, np.uint8)
    things = []
    for y, shape, sways in shapes:
        cast = shadow(shape, camera)
        if cast:
            darken(shade_on_ground, cast)
        sprite = render(shape, camera)
        if sprite:
            _, scale = camera.project(np.array([[0.0, y, 0.0]]))
            things.append(Standing(y, sprite, sways * float(scale[0])))
    softness = max(0.6, size[0] / 300)
    soft = np.asarray(cv2.GaussianBlur(shade_on_ground, (0, 0), softness), np.uint8)
    sunny = in_shade(ground, soft, SHADOW)
    for picture in (sunny, ground):
        for thing in sorted(things, key=lambda thing: -thing.y):
            if not thing.sways:
                paste(picture, thing.sprite)
    pattern = random.normal(0, 0.9, size) + random.normal(0, 0.5, (1, size[1]))
    return Place(camera, sunny, ground, tuple(things), pattern)


def darken(shade_on_ground: Bytes, cast: Sprite) -> None:
    """Add a shadow to a picture of shadows (H, W), in place; where two fall together it is no
    darker.
    """
    height, width = shade_on_ground.shape
    overlap = cast.overlap(height, width)
    if overlap is None:
        return
    rows, columns, own_rows, own_columns = overlap
    below = shade_on_ground[rows, columns]
    np.maximum(below, cast.pixels[own_rows, own_columns], out=below)


def in_shade(picture: Bytes, shade_on_ground: Bytes, strength: float) -> Bytes:
    """The picture (H, W, 3) with shadows (H, W); strength 1 would be black."""
    light = cv2.convertScaleAbs(shade_on_ground, alpha=-strength, beta=255)  # saturates at 0 … 255
    of_channels = cv2.merge([light, light, light])
    return np.asarray(cv2.multiply(picture, of_channels, scale=1 / 255), np.uint8)


def paint_ground(camera: Camera, random: np.random.Generator) -> Bytes:
    """(H, W, 3) the ground and the building behind it, without shadows."""
    clouds = make_texture(random, (2, 4, 8, 16, 32))
    grain = make_texture(random, (32, 64, 128, 256))
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    rows = max(1, STRIP // camera.width)
    for top in range(0, camera.height, rows):
        bottom = min(top + rows, camera.height)
        picture[top:bottom] = paint_strip(camera, top, bottom, grain, clouds)
    return picture


def paint_strip(camera: Camera, top: int, bottom: int, grain: Floats, clouds: Floats) -> Bytes:
    """(bottom − top, W, 3) some rows of the ground and the building."""
    fine = 1
    if camera.height * camera.width < 1 << 18:  # a large picture is fine enough as it is
        fine = 2
    ys = (np.arange((bottom - top) * fine) + 0.5) / fine + top
    xs = (np.arange(camera.width * fine) + 0.5) / fine
    right, away, up = camera.rays(*np.meshgrid(xs, ys))
    to_ground = camera.above / np.maximum(-up, 1e-6)
    reach = np.where(up < 0, to_ground, np.inf)
    far = reach * away > WALL
    reach = np.where(far, WALL / away, reach)
    x = right * reach
    y = away * reach
    z = camera.above + up * reach
    wall = paint_wall(x, z, grain, clouds)
    floor = paint_floor(x, y, grain, clouds)
    painted = np.where(far[..., None], wall, floor)
    strip = np.clip(painted, 0, 255).astype(np.uint8)
    if fine == 1:
        return strip
    size = (camera.width, bottom - top)
    return np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA), np.uint8)


def make_texture(random: np.random.Generator, cells: tuple[int, ...]) -> Floats:
    """(512, 512) noise of several sizes, about −1 … 1, that tiles."""
    total: Floats = np.zeros((512, 512), np.float32)
    for n in cells:
        drawn = random.normal(0, 1, (n, n)).astype(np.float32)
        coarse = np.pad(drawn, ((1, 2), (1, 2)), mode="wrap")
        step = 512 // n
        resized = cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        smooth = np.asarray(resized, np.float32)
        total += smooth[step : step + 512, step : step + 512]
    total /= max(1e-6, 2 * float(total.std()))
    return total


def sample_texture(texture: Floats, x: Floats, y: Floats, metres: float) -> Floats:
    """(…, 1) the texture at places of the ground; it repeats after so many metres."""
    cells = 512 / metres  # of the texture, in a metre
    across = (x * cells % 512).astype(np.float32)
    along = (y * cells % 512).astype(np.float32)
    found = cv2.remap(texture, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found, np.float32)[..., None]


def mix(below: Floats, colour: Colour | Floats, where: Bools, share: float = 1.0) -> Floats:
    """(…, 3) a colour over others, where it is said, by its share."""
    part = (share * where[..., None]).astype(np.float32)
    over = np.asarray(colour, np.float32) * part
    return np.asarray(below * (1 - part) + over)


def paving_joints(x: Floats, y: Floats, wide: float, deep: float, gap: float = 0.03) -> Bools:
    """True on the lines between paving stones laid in a running bond."""
    row = np.floor(y / deep)
    shift = 0.5 * wide * np.mod(row, 2)
    across = np.mod(x + shift, wide)
    along = np.mod(y, deep)
    return np.asarray((across < gap) | (along < gap))


def stone_tones(x: Floats, y: Floats, wide: float, deep: float) -> Floats:
    """(…, 1) a tone, −1 … 1, for each stone."""
    row = np.floor(y / deep)
    shift = 0.5 * wide * np.mod(row, 2)
    column = np.floor((x + shift) / wide)
    mess = np.sin(row * 12.9898 + column * 78.233) * 43758.5453
    fraction = mess - np.floor(mess)
    return np.asarray(2 * fraction - 1)[..., None]


def between(v: Floats, low: float, high: float) -> Bools:
    """Where values are from `low` to `high`."""
    return (v >= low) & (v < high)


def colour_of(r: int, g: int, b: int) -> Floats:
    """A colour that can be added to."""
    return np.asarray((r, g, b), np.float32)


def paint_floor(x: Floats, y: Floats, grain: Floats, clouds: Floats) -> Floats:
    """(…, 3) colours of the ground at these places."""
    fine = sample_texture(grain, x, y, 7.0)
    wide = sample_texture(clouds, x, y, 9.0)
    large = sample_texture(clouds, y, x, 37.0)
    stains = 9 * large + 4 * fine
    ground = paint_plaza(x, y, stains)
    brick = paint_brick(x, y, stains)
    near = between(y, 16.0, 21.8)
    far = between(y, 33.8, 38.2)
    avenue = between(x, -1.9, 1.9) & (y < 38)
    ground = mix(ground, brick, near | far | avenue)
    for edge in (16.0, 21.8, 33.8, 38.2):
        kerb = between(y, edge - 0.12, edge + 0.12)
        ground = mix(ground, (172, 168, 160), kerb, 0.8)
    ragged = y + 0.12 * wide[..., 0]
    strips = between(ragged, 28.7, 33.2) | between(ragged, 38.7, 42.6)
    beside_avenue = np.abs(x) + 0.1 * fine[..., 0] > 2.1
    lawn = strips & beside_avenue
    blades = 13 * fine * (0.8, 1.0, 0.6)
    patches = 8 * large * (1.2, 0.9, 0.4)
    grass = colour_of(92, 112, 62) + 12 * wide + blades + patches
    ground = mix(ground, grass, lawn)
    from_middle = np.abs(x - 7) + 0.6 * np.abs(y - 31) + 1.5 * wide[..., 0]
    worn = lawn & (from_middle < 2.4)
    ground = mix(ground, colour_of(128, 114, 86) + 9 * fine, worn, 0.6)
    cinder = colour_of(142, 92, 72) + 8 * fine + 7 * wide
    track = between(y, 26.2, 28.0) & (np.abs(x) > 1.9)
    ground = mix(ground, cinder, track)
    for edge in (26.25, 27.95):
        line = between(y, edge - 0.05, edge + 0.05)
        ground = mix(ground, (206, 204, 198), line, 0.8)
    asphalt = colour_of(92, 92, 94) + 5 * fine + 5 * large
    return mix(ground, asphalt, y > 42.6)


def paint_plaza(x: Floats, y: Floats, stains: Floats) -> Floats:
    """(…, 3) large paving stones with joints."""
    stones = colour_of(150, 144, 134) + 7 * stone_tones(x, y, 0.9, 0.6) + stains
    return mix(stones, (112, 107, 100), paving_joints(x, y, 0.9, 0.6), 0.7)


def paint_brick(x: Floats, y: Floats, stains: Floats) -> Floats:
    """(…, 3) the small stones of the lanes, with joints."""
    stones = colour_of(146, 118, 100) + 10 * stone_tones(x, y, 0.5, 0.25) + stains
    return mix(stones, (110, 92, 82), paving_joints(x, y, 0.5, 0.25, 0.025), 0.45)


def paint_wall(x: Floats, z: Floats, grain: Floats, clouds: Floats) -> Floats:
    """(…, 3) colours of the building's front at these places."""
    fine = sample_texture(grain, x, z, 5.0)
    large = sample_texture(clouds, x, z, 19.0)
    tones = 7 * stone_tones(x, z, 0.55, 0.2)
    wall: Floats = colour_of(158, 138, 116) + tones + 5 * fine + 7 * large
    wall = mix(wall, (126, 112, 98), paving_joints(x, z, 0.55, 0.2, 0.02), 0.4)
    bay = np.mod(x + 1.1, 3.4)
    window = between(bay, 0.55, 2.25) & between(z, 0.95, 2.9)
    frame = between(bay, 0.43, 2.37) & between(z, 0.83, 3.0)
    wall = mix(wall, (196, 190, 178), frame)
    reflections = 14 * stone_tones(x + 1.1, z * 0 + 1, 3.4, 9.0)
    panes = colour_of(62, 74, 84) + 10 * large + reflections
    wall = mix(wall, panes, window)
    bars = between(bay, 1.36, 1.44) | between(z, 2.1, 2.18)
    wall = mix(wall, (188, 182, 172), window & bars)
    door = between(np.mod(x + 1.1, 13.6), 6.9 + 0.55, 6.9 + 2.15) & (z < 2.5)
    wall = mix(wall, colour_of(74, 58, 48) + 4 * fine, door)
    base = (z < 0.5) & ~door
    return mix(wall, colour_of(116, 110, 104) + 6 * fine, base)


def furniture(random: np.random.Generator) -> list[tuple[float, Shape, float]]:
    """(distance, shape, how far it sways in metres) of everything that stands on the plaza."""
    shapes = []
    for x in (-10.6, -6.2, 4.0, 8.8):
        shifted = x + random.uniform(-0.3, 0.3)
        shapes.append((24.9, bench(shifted, 24.9), 0.0))
    for x in (-8.4, -2.8, 2.8, 11.5):
        shapes.append((23.0, lamp(x, 23.0), 0.0))
    for x in (-4.4, 6.6):
        shifted = x + random.uniform(-0.3, 0.3)
        shapes.append((25.2, planter(shifted, 25.2, random), 0.0))
    shapes.append((22.6, litter_bin(2.3, 22.6), 0.0))
    for x in (-5.2, -3.6, 3.6, 5.2, 6.8):
        shapes.append((15.2, bollard(x, 15.2), 0.0))
    for x, y in TREES:
        tree_x = x + random.uniform(-0.7, 0.7)
        tree_y = y + random.uniform(-0.3, 0.3)
        shape = tree(tree_x, tree_y, random)
        shapes.append((tree_y, shape, random.uniform(0.05, 0.09)))
    return shapes


def bench(x: float, y: float) -> Shape:
    """A bench of wood on iron legs."""
    shape = Shape()
    wood = (122, 88, 58)
    iron = (58, 58, 60)
    left = x - 0.9
    right = x + 0.9
    back = y + 0.2
    front = y - 0.2
    for side in (x + -0.75, x + 0.75):
        shape.limb(iron, 0.03, (side, back, 0.0), (side, back, 0.8))
        shape.limb(iron, 0.03, (side, front, 0.0), (side, front, 0.42))
    leaning = y + 0.24
    for up in (0.55, 0.66, 0.78):
        shape.limb(shade(wood, 0.9), 0.04, (left, leaning, up), (right, leaning, up))
    for plank in (y + 0.16, y + 0.0, y + -0.16):
        shape.limb(wood, 0.05, (left, plank, 0.44), (right, plank, 0.44))
    return shape


def lamp(x: float, y: float) -> Shape:
    """A lamp on a post."""
    shape = Shape()
    iron = (66, 70, 72)
    shape.limb(shade(iron, 0.9), 0.11, (x, y, 0.0), (x, y, 0.5))
    shape.limb(iron, 0.055, (x, y, 0.0), (x, y, 4.4))
    shape.limb((34, 36, 38), 0.02, (x + 0.035, y, 0.3), (x + 0.035, y, 4.3))
    shape.limb((212, 210, 196), 0.17, (x, y, 4.5))
    shape.limb(iron, 0.1, (x - 0.12, y, 4.7), (x + 0.12, y, 4.7))
    return shape


def planter(x: float, y: float, random: np.random.Generator) -> Shape:
    """A stone trough with leaves and blossoms."""
    shape = Shape()
    stone = (138, 132, 124)
    left = x - 0.7
    right = x + 0.7
    front = y - 0.45
    back = y + 0.45
    upper_left: Point = (left, front, 0.5)
    upper_right: Point = (right, front, 0.5)
    lower_left: Point = (left, front, 0.0)
    lower_right: Point = (right, front, 0.0)
    shape.face(shade(stone, 0.9), lower_left, lower_right, upper_right, upper_left)
    shape.face(stone, upper_left, upper_right, (right, back, 0.5), (left, back, 0.5))
    for _ in range(60):
        leaf_x = x + random.uniform(-0.65, 0.65)
        leaf_y = y + random.uniform(-0.4, 0.4)
        place = (leaf_x, leaf_y, random.uniform(0.5, 0.95))
        colour = shade((72, 94, 52), random.uniform(0.6, 1.35))
        shape.limb(colour, random.uniform(0.06, 0.13), place)
    for _ in range(14):
        blossom_x = x + random.uniform(-0.65, 0.65)
        blossom_y = y + random.uniform(-0.45, 0.2)
        place = (blossom_x, blossom_y, random.uniform(0.6, 1.0))
        colour = shade((176, 84, 92), random.uniform(0.8, 1.2))
        shape.limb(colour, 0.05, place)
    return shape


def litter_bin(x: float, y: float) -> Shape:
    """A litter bin."""
    shape = Shape()
    shape.limb((52, 66, 56), 0.22, (x, y, 0.2), (x, y, 0.78))
    shape.limb((38, 46, 42), 0.19, (x, y, 0.92))
    shape.limb((30, 38, 34), 0.05, (x + 0.16, y, 0.1), (x + 0.16, y, 0.8))
    return shape


def bollard(x: float, y: float) -> Shape:
    """A post that keeps cars away."""
    shape = Shape()
    shape.limb((92, 92, 90), 0.09, (x, y, 0.05), (x, y, 0.8))
    shape.limb((60, 60, 60), 0.03, (x + 0.06, y, 0.05), (x + 0.06, y, 0.8))
    shape.limb((196, 190, 176), 0.09, (x, y, 0.72), (x, y, 0.76))
    return shape


def tree(x: float, y: float, random: np.random.Generator) -> Shape:
    """A trunk, and leaves in clumps: dark ones below and away from the sun, bright ones above."""
    shape = Shape()
    bark = (88, 74, 60)
    tall = random.uniform(3.0, 3.6)
    shape.limb(bark, 0.15, (x, y, 0.0), (x + 0.1, y, tall))
    shape.limb(shade(bark, 0.7), 0.05, (x + 0.09, y, 0.0), (x + 0.17, y, tall))
    leaf = shade((84, 104, 56), random.uniform(0.85, 1.15))
    dabs = []
    for _ in range(9):
        turn = random.uniform(0, 6.28)
        out = random.uniform(0.2, 1.1)
        clump_x = x + out * cos(turn)
        clump_y = y + out * sin(turn)
        clump_z = tall + random.uniform(-0.3, 1.9)
        centre = np.array([clump_x, clump_y, clump_z])
        for _ in range(34):
            place = centre + np.clip(random.normal(0, 0.34, 3), -0.55, 0.55)
            higher = place[2] - centre[2]
            shaded = place[0] - x
            bright = 0.85 + 0.2 * higher - 0.16 * shaded + random.uniform(-0.16, 0.16)
            order = hypot(place[0] - x, place[2] - tall) * 0.1 + bright
            dabs.append((order, place, bright))
    for _, place, bright in sorted(dabs, key=lambda dab: dab[0]):
        spot = (float(place[0]), float(place[1]), float(max(place[2], 2.0)))
        colour = shade(leaf, float(np.clip(bright, 0.45, 1.4)))
        shape.limb(colour, float(random.uniform(0.07, 0.15)), spot)
    return shape
