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
STRIP = (
    1 << 16
)  # pixels of the ground painted at a time, so that a 4K picture does not need gigabytes


@dataclass(frozen=True)
class Lane:
    """A band in which people walk one way, `low` to `high` metres in the direction across it."""

    low: float
    high: float
    way: int  # 1: towards larger x (or y for the avenue); −1: the other way

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


NEAR_RIGHT, NEAR_LEFT = Lane(16.4, 18.6, 1), Lane(19.4, 21.4, -1)
FAR_RIGHT, FAR_LEFT = Lane(34.2, 35.6, 1), Lane(36.4, 37.8, -1)
TRACK = Lane(26.4, 27.8, 1)
AVENUE_UP, AVENUE_DOWN = Lane(0.3, 1.6, 1), Lane(-1.6, -0.3, -1)
TALKING = 24.0  # y of the strip where people stop


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
    ground = _ground(camera, random)
    shapes = _furniture(random)
    shade_on_ground = np.zeros(size, np.uint8)
    things = []
    for y, shape, sways in shapes:
        if cast := shadow(shape, camera):
            darken(shade_on_ground, cast)
        if sprite := render(shape, camera):
            things.append(
                Standing(y, sprite, sways * float(camera.project(np.array([[0.0, y, 0.0]]))[1][0]))
            )
    soft = np.asarray(cv2.GaussianBlur(shade_on_ground, (0, 0), max(0.6, size[0] / 300)), np.uint8)
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
    if lies := cast.overlap(*shade_on_ground.shape):
        rows, columns, own_rows, own_columns = lies
        below = shade_on_ground[rows, columns]
        np.maximum(below, cast.pixels[own_rows, own_columns], out=below)


def in_shade(picture: Bytes, shade_on_ground: Bytes, strength: float) -> Bytes:
    """The picture (H, W, 3) with shadows (H, W); strength 1 would be black."""
    light = cv2.convertScaleAbs(shade_on_ground, alpha=-strength, beta=255)  # saturates at 0 … 255
    return np.asarray(
        cv2.multiply(picture, cv2.merge([light, light, light]), scale=1 / 255), np.uint8
    )


def _ground(camera: Camera, random: np.random.Generator) -> Bytes:
    clouds = _texture(random, (2, 4, 8, 16, 32))
    grain = _texture(random, (32, 64, 128, 256))
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    rows = max(1, STRIP // camera.width)
    fine = (
        2 if camera.height * camera.width < 1 << 18 else 1
    )  # a large picture is fine enough as it is
    for top in range(0, camera.height, rows):
        bottom = min(top + rows, camera.height)
        ys = (np.arange((bottom - top) * fine) + 0.5) / fine + top
        xs = (np.arange(camera.width * fine) + 0.5) / fine
        right, away, up = camera.rays(*np.meshgrid(xs, ys))
        reach = np.where(up < 0, camera.above / np.maximum(-up, 1e-6), np.inf)
        far = reach * away > WALL
        reach = np.where(far, WALL / away, reach)
        x, y, z = right * reach, away * reach, camera.above + up * reach
        painted = np.where(far[..., None], _wall(x, z, grain, clouds), _floor(x, y, grain, clouds))
        strip = np.clip(painted, 0, 255).astype(np.uint8)
        if fine > 1:
            strip = np.asarray(
                cv2.resize(strip, (camera.width, bottom - top), interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        picture[top:bottom] = strip
    return picture


def _texture(random: np.random.Generator, cells: tuple[int, ...]) -> Floats:
    """(512, 512) noise of several sizes, about −1 … 1, that tiles."""
    total: Floats = np.zeros((512, 512), np.float32)
    for n in cells:
        coarse = np.pad(
            random.normal(0, 1, (n, n)).astype(np.float32), ((1, 2), (1, 2)), mode="wrap"
        )
        step = 512 // n
        smooth = np.asarray(
            cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC), np.float32
        )
        total += smooth[step : step + 512, step : step + 512]
    total /= max(1e-6, 2 * float(total.std()))
    return total


def _sample(texture: Floats, x: Floats, y: Floats, metres: float) -> Floats:
    """(…, 1) the texture at places of the ground; it repeats after so many metres."""
    across, along = ((v * (512 / metres) % 512).astype(np.float32) for v in (x, y))
    found = cv2.remap(texture, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found, np.float32)[..., None]


def _mix(below: Floats, colour: Colour | Floats, where: Bools, share: float = 1.0) -> Floats:
    part = (share * where[..., None]).astype(np.float32)
    return np.asarray(below * (1 - part) + np.asarray(colour, np.float32) * part)


def _joints(x: Floats, y: Floats, wide: float, deep: float, gap: float = 0.03) -> Bools:
    """True on the lines between paving stones laid in a running bond."""
    row = np.floor(y / deep)
    across = np.mod(x + 0.5 * wide * np.mod(row, 2), wide)
    return np.asarray((across < gap) | (np.mod(y, deep) < gap))


def _stones(x: Floats, y: Floats, wide: float, deep: float) -> Floats:
    """(…, 1) a tone, −1 … 1, for each stone."""
    row = np.floor(y / deep)
    column = np.floor((x + 0.5 * wide * np.mod(row, 2)) / wide)
    mess = np.sin(row * 12.9898 + column * 78.233) * 43758.5453
    return np.asarray(2 * (mess - np.floor(mess)) - 1)[..., None]


def _between(v: Floats, low: float, high: float) -> Bools:
    return (v >= low) & (v < high)


def _floor(x: Floats, y: Floats, grain: Floats, clouds: Floats) -> Floats:
    fine, wide, large = (
        _sample(grain, x, y, 7.0),
        _sample(clouds, x, y, 9.0),
        _sample(clouds, y, x, 37.0),
    )
    stains = 9 * large + 4 * fine
    plaza = np.asarray((150, 144, 134), np.float32) + 7 * _stones(x, y, 0.9, 0.6) + stains
    ground = _mix(plaza, (112, 107, 100), _joints(x, y, 0.9, 0.6), 0.7)
    brick: Floats = np.asarray((146, 118, 100), np.float32) + 10 * _stones(x, y, 0.5, 0.25) + stains
    brick = _mix(brick, (110, 92, 82), _joints(x, y, 0.5, 0.25, 0.025), 0.45)
    lanes = _between(y, 16.0, 21.8) | _between(y, 33.8, 38.2) | (_between(x, -1.9, 1.9) & (y < 38))
    ground = _mix(ground, brick, lanes)
    for edge in (16.0, 21.8, 33.8, 38.2):
        ground = _mix(ground, (172, 168, 160), _between(y, edge - 0.12, edge + 0.12), 0.8)
    ragged = y + 0.12 * wide[..., 0]
    lawn = (_between(ragged, 28.7, 33.2) | _between(ragged, 38.7, 42.6)) & (
        np.abs(x) + 0.1 * fine[..., 0] > 2.1
    )
    grass = (
        np.asarray((92, 112, 62), np.float32)
        + 12 * wide
        + 13 * fine * (0.8, 1.0, 0.6)
        + 8 * large * (1.2, 0.9, 0.4)
    )
    ground = _mix(ground, grass, lawn)
    worn = lawn & ((np.abs(x - 7) + 0.6 * np.abs(y - 31) + 1.5 * wide[..., 0]) < 2.4)
    ground = _mix(ground, np.asarray((128, 114, 86), np.float32) + 9 * fine, worn, 0.6)
    cinder = np.asarray((142, 92, 72), np.float32) + 8 * fine + 7 * wide
    track = _between(y, 26.2, 28.0)
    ground = _mix(ground, cinder, track & (np.abs(x) > 1.9))
    for edge in (26.25, 27.95):
        ground = _mix(ground, (206, 204, 198), _between(y, edge - 0.05, edge + 0.05), 0.8)
    street = y > 42.6
    return _mix(ground, np.asarray((92, 92, 94), np.float32) + 5 * fine + 5 * large, street)


def _wall(x: Floats, z: Floats, grain: Floats, clouds: Floats) -> Floats:
    fine, large = _sample(grain, x, z, 5.0), _sample(clouds, x, z, 19.0)
    wall: Floats = (
        np.asarray((158, 138, 116), np.float32)
        + 7 * _stones(x, z, 0.55, 0.2)
        + 5 * fine
        + 7 * large
    )
    wall = _mix(wall, (126, 112, 98), _joints(x, z, 0.55, 0.2, 0.02), 0.4)
    bay = np.mod(x + 1.1, 3.4)
    window = _between(bay, 0.55, 2.25) & _between(z, 0.95, 2.9)
    wall = _mix(wall, (196, 190, 178), _between(bay, 0.43, 2.37) & _between(z, 0.83, 3.0))
    panes: Floats = (
        np.asarray((62, 74, 84), np.float32)
        + 10 * large
        + 14 * _stones(x + 1.1, z * 0 + 1, 3.4, 9.0)
    )
    wall = _mix(wall, panes, window)
    wall = _mix(
        wall, (188, 182, 172), window & (_between(bay, 1.36, 1.44) | _between(z, 2.1, 2.18))
    )
    door = _between(np.mod(x + 1.1, 13.6), 6.9 + 0.55, 6.9 + 2.15) & (z < 2.5)
    wall = _mix(wall, np.asarray((74, 58, 48), np.float32) + 4 * fine, door)
    return _mix(wall, np.asarray((116, 110, 104), np.float32) + 6 * fine, (z < 0.5) & ~door)


def _furniture(random: np.random.Generator) -> list[tuple[float, Shape, float]]:
    """(distance, shape, how far it sways in metres) of everything that stands on the plaza."""
    shapes = []
    for x in (-10.6, -6.2, 4.0, 8.8):
        shapes.append((24.9, _bench(x + random.uniform(-0.3, 0.3), 24.9), 0.0))
    for x in (-8.4, -2.8, 2.8, 11.5):
        shapes.append((23.0, _lamp(x, 23.0), 0.0))
    for x in (-4.4, 6.6):
        shapes.append((25.2, _planter(x + random.uniform(-0.3, 0.3), 25.2, random), 0.0))
    shapes.append((22.6, _bin(2.3, 22.6), 0.0))
    for x in (-5.2, -3.6, 3.6, 5.2, 6.8):
        shapes.append((15.2, _bollard(x, 15.2), 0.0))
    for x, y in (
        (-11.0, 30.4),
        (-4.6, 31.4),
        (4.9, 29.9),
        (11.8, 31.2),
        (-8.0, 40.6),
        (8.4, 40.4),
        (16.5, 30.3),
        (-17, 31),
    ):
        tree_x, tree_y = x + random.uniform(-0.7, 0.7), y + random.uniform(-0.3, 0.3)
        shapes.append((tree_y, _tree(tree_x, tree_y, random), random.uniform(0.05, 0.09)))
    return shapes


def _bench(x: float, y: float) -> Shape:
    shape, wood, iron = Shape(), (122, 88, 58), (58, 58, 60)
    for side in (-0.75, 0.75):
        shape.limb(iron, 0.03, (x + side, y + 0.2, 0.0), (x + side, y + 0.2, 0.8))
        shape.limb(iron, 0.03, (x + side, y - 0.2, 0.0), (x + side, y - 0.2, 0.42))
    for up in (0.55, 0.66, 0.78):
        shape.limb(shade(wood, 0.9), 0.04, (x - 0.9, y + 0.24, up), (x + 0.9, y + 0.24, up))
    for back in (0.16, 0.0, -0.16):
        shape.limb(wood, 0.05, (x - 0.9, y + back, 0.44), (x + 0.9, y + back, 0.44))
    return shape


def _lamp(x: float, y: float) -> Shape:
    shape, iron = Shape(), (66, 70, 72)
    shape.limb(shade(iron, 0.9), 0.11, (x, y, 0.0), (x, y, 0.5))
    shape.limb(iron, 0.055, (x, y, 0.0), (x, y, 4.4))
    shape.limb((34, 36, 38), 0.02, (x + 0.035, y, 0.3), (x + 0.035, y, 4.3))
    shape.limb((212, 210, 196), 0.17, (x, y, 4.5))
    shape.limb(iron, 0.1, (x - 0.12, y, 4.7), (x + 0.12, y, 4.7))
    return shape


def _planter(x: float, y: float, random: np.random.Generator) -> Shape:
    shape, stone = Shape(), (138, 132, 124)
    corners: list[Point] = [
        (x - 0.7, y - 0.45, 0.0),
        (x + 0.7, y - 0.45, 0.0),
        (x + 0.7, y - 0.45, 0.5),
        (x - 0.7, y - 0.45, 0.5),
    ]
    shape.face(shade(stone, 0.9), *corners)
    shape.face(stone, corners[3], corners[2], (x + 0.7, y + 0.45, 0.5), (x - 0.7, y + 0.45, 0.5))
    for _ in range(60):
        place = (
            x + random.uniform(-0.65, 0.65),
            y + random.uniform(-0.4, 0.4),
            random.uniform(0.5, 0.95),
        )
        shape.limb(
            shade((72, 94, 52), random.uniform(0.6, 1.35)), random.uniform(0.06, 0.13), place
        )
    for _ in range(14):
        place = (
            x + random.uniform(-0.65, 0.65),
            y + random.uniform(-0.45, 0.2),
            random.uniform(0.6, 1.0),
        )
        shape.limb(shade((176, 84, 92), random.uniform(0.8, 1.2)), 0.05, place)
    return shape


def _bin(x: float, y: float) -> Shape:
    shape = Shape()
    shape.limb((52, 66, 56), 0.22, (x, y, 0.2), (x, y, 0.78))
    shape.limb((38, 46, 42), 0.19, (x, y, 0.92))
    shape.limb((30, 38, 34), 0.05, (x + 0.16, y, 0.1), (x + 0.16, y, 0.8))
    return shape


def _bollard(x: float, y: float) -> Shape:
    shape = Shape()
    shape.limb((92, 92, 90), 0.09, (x, y, 0.05), (x, y, 0.8))
    shape.limb((60, 60, 60), 0.03, (x + 0.06, y, 0.05), (x + 0.06, y, 0.8))
    shape.limb((196, 190, 176), 0.09, (x, y, 0.72), (x, y, 0.76))
    return shape


def _tree(x: float, y: float, random: np.random.Generator) -> Shape:
    """A trunk, and leaves in clumps: dark ones below and away from the sun, bright ones above."""
    shape, bark = Shape(), (88, 74, 60)
    tall = random.uniform(3.0, 3.6)
    shape.limb(bark, 0.15, (x, y, 0.0), (x + 0.1, y, tall))
    shape.limb(shade(bark, 0.7), 0.05, (x + 0.09, y, 0.0), (x + 0.17, y, tall))
    leaf = shade((84, 104, 56), random.uniform(0.85, 1.15))
    dabs = []
    for _ in range(9):
        turn, out = random.uniform(0, 6.28), random.uniform(0.2, 1.1)
        centre = np.array(
            [x + out * cos(turn), y + out * sin(turn), tall + random.uniform(-0.3, 1.9)]
        )
        for _ in range(34):
            place = centre + np.clip(random.normal(0, 0.34, 3), -0.55, 0.55)
            bright = (
                0.85
                + 0.2 * (place[2] - centre[2])
                - 0.16 * (place[0] - x)
                + random.uniform(-0.16, 0.16)
            )
            dabs.append((hypot(place[0] - x, place[2] - tall) * 0.1 + bright, place, bright))
    for _, place, bright in sorted(dabs, key=lambda dab: dab[0]):
        spot = (float(place[0]), float(place[1]), float(max(place[2], 2.0)))
        shape.limb(
            shade(leaf, float(np.clip(bright, 0.45, 1.4))), float(random.uniform(0.07, 0.15)), spot
        )
    return shape
