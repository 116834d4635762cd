"""Who walks where on an ordinary day: lanes, groups, stops to talk, ebb and flow, and what is rare
but right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import atan2, cos, hypot, inf, pi, sin

import numpy as np

from oddframe.synthetic.drawing import Camera, Shape
from oddframe.synthetic.figures import (
    Appearance,
    Moment,
    person,
    somebody,
    with_dog,
    with_pushchair,
)
from oddframe.synthetic.place import (
    AVENUE_DOWN,
    AVENUE_UP,
    FAR_LEFT,
    FAR_RIGHT,
    NEAR_LEFT,
    NEAR_RIGHT,
    TALKING,
    TRACK,
    Lane,
)
from oddframe.types import Floats

WARM = 45.0  # seconds of life before a film begins, so that it begins with people in it
BELOW = 9.0  # y at which somebody is wholly below the picture's lower edge
BEYOND = 1.6  # metres past the picture's side at which nothing of a walker is seen
RARITIES = ("dog", "pushchair", "umbrella", "jogger")
Spot = tuple[float, float]


@dataclass(frozen=True)
class Path:
    """Where something is at every moment from the first of its times to the last."""

    times: Floats  # (K,) seconds, ascending
    places: Floats  # (K, 2) metres
    phases: Floats  # (K,) radians of gait
    facing: Spot | None = None  # what it looks at while it stands
    wobble: float = 0.0

    def at(self, seconds: float) -> Moment | None:
        """The moment, or None outside the path's time."""
        if not self.times[0] <= seconds < self.times[-1]:
            return None
        x, y = self._place(seconds)
        ahead = self._place(seconds + 0.3)
        behind = self._place(seconds - 0.3)
        dx, dy = ahead[0] - behind[0], ahead[1] - behind[1]
        k = int(np.searchsorted(self.times, seconds, side="right")) - 1
        lasts = float(self.times[k + 1] - self.times[k])
        speed = float(hypot(*(self.places[k + 1] - self.places[k]))) / max(lasts, 1e-6)
        if self.facing and speed < 0.05:
            dx, dy = self.facing[0] - x, self.facing[1] - y
        elif hypot(dx, dy) < 0.02:
            before, after = self.places[max(k - 1, 0)], self.places[max(k, 1)]
            dx, dy = after[0] - before[0], after[1] - before[1]
        y += self.wobble * min(1.0, speed) * sin(0.6 * seconds + 40 * self.wobble)
        phase = float(np.interp(seconds, self.times, self.phases))
        return Moment(seconds, x, y, atan2(dy, dx), speed, phase)

    def _place(self, seconds: float) -> Spot:
        x = np.interp(seconds, self.times, self.places[:, 0])
        return float(x), float(np.interp(seconds, self.times, self.places[:, 1]))


@dataclass(frozen=True)
class Actor:
    """Something that moves on the plaza. It is odd, of `kind`, from `odd_from` to `odd_until`."""

    path: Path
    body: Callable[[Moment], Shape]
    kind: str = ""
    odd_from: float = -inf
    odd_until: float = inf
    clears: float = 0.0  # ordinary people keep so many metres away

    def kind_at(self, seconds: float) -> str:
        """What is odd about it at that time; "" where nothing is."""
        if self.odd_from <= seconds < self.odd_until:
            return self.kind
        return ""


class Walk:
    """A path as it is walked: to here at this speed, wait so long, on to there."""

    def __init__(self, start: float, x: float, y: float, *, stride: float = 1.45) -> None:
        self.times = [start]
        self.places = [(x, y)]
        self.phases = [0.0]
        self.stride = stride  # metres of two steps at a usual pace

    @property
    def now(self) -> float:
        return self.times[-1]

    @property
    def place(self) -> Spot:
        return self.places[-1]

    def to(self, x: float, y: float, speed: float) -> Walk:
        far = hypot(x - self.places[-1][0], y - self.places[-1][1])
        if far > 0:
            self.times.append(self.now + far / speed)
            self.places.append((x, y))
            stride = self.stride * (max(speed, 0.5) / 1.3) ** 0.5
            self.phases.append(self.phases[-1] + 2 * pi * far / stride)
        return self

    def wait(self, seconds: float) -> Walk:
        self.times.append(self.now + seconds)
        self.places.append(self.places[-1])
        self.phases.append(self.phases[-1])
        return self

    def path(self, facing: Spot | None = None, wobble: float = 0.0, phase: float = 0.0) -> Path:
        return Path(
            np.array(self.times),
            np.array(self.places),
            np.array(self.phases) + phase,
            facing,
            wobble,
        )


def walker(
    walk: Walk, look: Appearance, random: np.random.Generator, facing: Spot | None = None
) -> Actor:
    """Somebody ordinary on a walk."""
    path = walk.path(facing, float(random.uniform(0.03, 0.12)), float(random.uniform(0, 2 * pi)))
    return Actor(path, lambda m: person(m, look))


def across(
    camera: Camera, lane: Lane, y: float, start: float, ahead: float = 0.0
) -> tuple[Walk, float]:
    """The begin of a walk at one end of a lane, out of the picture, and the x of the other end."""
    edge = camera.half_width(y) + BEYOND
    return Walk(start, -lane.way * (edge + ahead), y), lane.way * (edge + 3.0)


def ordinary(camera: Camera, seconds: float, random: np.random.Generator) -> list[Actor]:
    """Everybody who is in the picture between 0 and `seconds` and does what people do."""
    actors: list[Actor] = []
    busy = _ebb_and_flow(random)
    for start, route in _arrivals(busy, seconds, random):
        actors += _party(camera, route, start, random)
    for place in range(int(random.integers(0, 2)), 6, 2):
        spot = (place - 2.5) * 3.1 + random.uniform(-0.6, 0.6)
        if abs(spot) < camera.half_width(TALKING) - 1 and random.random() < 0.3:
            actors += _talkers(spot, -WARM, seconds + WARM, random)
    actors += _rare(camera, seconds, random)
    return actors


def apart(people: list[Actor], odd: list[Actor]) -> list[Actor]:
    """The people who do not walk into something odd. Most step aside; who cannot (a car is wide)
    stays at home.

    Were they all left out, an emptier plaza would tell that something is odd.
    """
    kept = []
    for one in people:
        for shift in (0.0, 0.7, -0.7, 1.2, -1.2):
            path = _aside(one.path, shift)
            if not any(_meet(path, other) for other in odd if other.clears):
                kept.append(replace(one, path=path))
                break
    return kept


def _aside(path: Path, shift: float) -> Path:
    """The path so many metres to the side of most of the way."""
    wide, deep = np.ptp(path.places, axis=0)
    offset = (shift, 0.0)
    if wide > deep:
        offset = (0.0, shift)
    return replace(path, places=path.places + offset)


def _meet(a: Path, other: Actor) -> bool:
    b, near = other.path, other.clears
    start = max(a.times[0], b.times[0], other.odd_from)
    times = np.arange(start, min(a.times[-1], b.times[-1], other.odd_until), 0.2)
    apart_x = _gap(a, b, times, 0) / near
    apart_y = _gap(a, b, times, 1) / min(near, 1.3)
    return bool((apart_x**2 + apart_y**2 < 1).any())


def _gap(a: Path, b: Path, times: Floats, axis: int) -> Floats:
    """Metres between two paths along an axis at these times."""
    first = np.interp(times, a.times, a.places[:, axis])
    second = np.interp(times, b.times, b.places[:, axis])
    return first - second


def _ebb_and_flow(random: np.random.Generator) -> Callable[[float], float]:
    """How busy it is, about 0.2 … 2.5, changing within half a minute: how much moves says nothing."""
    periods = random.uniform((14, 30, 70), (22, 50, 160))
    turns, base = random.uniform(0, 2 * pi, 3), random.uniform(-0.45, 0.25)

    def busy(seconds: float) -> float:
        waves = np.sin(2 * pi * seconds / periods + turns)
        return float(np.exp(base + 0.5 * waves[0] + 0.5 * waves[1] + 0.3 * waves[2]))

    return busy


ROUTES: tuple[tuple[str, float], ...] = (  # parties a minute when it is usually busy
    ("near-right", 9.0),
    ("near-left", 9.0),
    ("far-right", 5.0),
    ("far-left", 5.0),
    ("up", 3.5),
    ("down", 3.5),
    ("track", 1.0),
)


def _arrivals(
    busy: Callable[[float], float], seconds: float, random: np.random.Generator
) -> Iterator[tuple[float, str]]:
    for route, rate in ROUTES:
        now = -WARM
        while now < seconds:
            now += float(random.exponential(60 / rate)) / busy(now)
            yield now, route


def _party(camera: Camera, route: str, start: float, random: np.random.Generator) -> list[Actor]:
    """One person or a group walking together."""
    if route == "track":
        return [_jogger(camera, start, random)]
    many = int(random.choice([1, 1, 1, 1, 2, 2, 3, 4]))
    speed = float(np.clip(random.normal(1.3, 0.18), 0.8, 1.75))
    if many > 1:
        speed *= 0.92
    stops = random.random() < 0.18
    spot = _free_spot(camera, random)
    talk = float(random.uniform(4, 14))
    place = float(random.random())
    party = []
    for k in range(many):
        beside = (k % 2) * 0.75 + random.uniform(-0.1, 0.1)
        behind = (k // 2) * 1.0 + random.uniform(0, 0.3)
        walk = _route(camera, route, start, place=place, speed=speed, beside=beside, behind=behind)
        facing = None
        if stops and route.startswith("near"):
            facing = (spot, TALKING)
            angle = 2 * pi * k / many + place * 6
            x = spot + 0.45 * cos(angle) * (many > 1)
            y = TALKING + 0.4 * sin(angle)
            walk = _with_stop(walk, spot, (x, y), speed, talk)
        party.append(walker(walk, somebody(random), random, facing))
    return party


def _with_stop(walk: Walk, spot: float, stand: Spot, speed: float, seconds: float) -> Walk:
    """The same walk with a stop to talk on the way, standing there for so many seconds."""
    end = walk.places[-1]
    step = -2.5
    if end[0] > 0:
        step = 2.5
    stopping = Walk(walk.times[0], *walk.places[0])
    stopping.to(spot - step, stopping.places[0][1], speed)
    stopping.to(*stand, speed).wait(seconds)
    return stopping.to(spot + step, end[1], speed).to(*end, speed)


def _free_spot(camera: Camera, random: np.random.Generator) -> float:
    half = max(1.0, min(camera.half_width(TALKING) - 1.5, 11.0))
    return float(random.uniform(2.2, max(2.4, half)) * random.choice([-1, 1]))


def _route(
    camera: Camera,
    route: str,
    start: float,
    *,
    place: float,
    speed: float,
    beside: float,
    behind: float,
) -> Walk:
    lanes = {
        "near-right": NEAR_RIGHT,
        "near-left": NEAR_LEFT,
        "far-right": FAR_RIGHT,
        "far-left": FAR_LEFT,
    }
    if route in lanes:
        lane = lanes[route]
        y = lane.low + 0.2 + place * (lane.high - lane.low - 1.1) + beside
        walk, end = across(camera, lane, y, start, behind)
        return walk.to(end, y, speed)
    if route == "up":
        x = AVENUE_UP.low + place * 0.5 + beside
        y, lane = FAR_RIGHT.low + 0.2 + place + beside * 0.3, FAR_RIGHT
        walk = Walk(start, x, BELOW - behind).to(x, y - 1.0, speed).to(x + 1.0, y, speed)
        return walk.to(camera.half_width(y) + BEYOND + 3, y, speed)
    x = AVENUE_DOWN.high - place * 0.5 - beside
    y = FAR_LEFT.middle + (place - 0.5)
    walk, _ = across(camera, FAR_LEFT, y, start, behind)
    return walk.to(x + 1.0, y, speed).to(x, y - 1.0, speed).to(x, BELOW - 3, speed)


def _talkers(x: float, start: float, end: float, random: np.random.Generator) -> list[Actor]:
    """Two or three who stand at the benches all the while."""
    actors = []
    for k in range(int(random.integers(2, 4))):
        angle = 2.1 * k + random.uniform(-0.3, 0.3)
        walk = Walk(start, x + 0.5 * cos(angle), TALKING + 0.35 * sin(angle)).wait(end - start)
        actors.append(walker(walk, somebody(random), random, (x, TALKING)))
    return actors


def _jogger(camera: Camera, start: float, random: np.random.Generator) -> Actor:
    y = float(random.uniform(TRACK.low + 0.25, TRACK.high - 0.25))
    walk, end = across(camera, TRACK, y, start)
    return walker(walk.to(end, y, float(random.uniform(2.3, 2.8))), somebody(random), random)


def _rare(camera: Camera, seconds: float, random: np.random.Generator) -> list[Actor]:
    """Dogs, pushchairs, umbrellas and joggers: seldom, but in every film, for they are right where
    they are.
    """
    actors: list[Actor] = []
    for rarity in RARITIES:
        for _ in range(1 + int(random.poisson(seconds / 60))):
            start = float(random.uniform(-8, max(seconds - 3, -7)))
            if rarity == "jogger":
                actors.append(_jogger(camera, start, random))
                continue
            lane = (NEAR_RIGHT, NEAR_LEFT, FAR_RIGHT, FAR_LEFT)[int(random.integers(4))]
            y = float(random.uniform(lane.low + 0.4, lane.high - 0.4))
            walk, end = across(camera, lane, y, start)
            path = walk.to(end, y, float(random.uniform(1.0, 1.35))).path(
                phase=float(random.uniform(0, 6))
            )
            look, colour = somebody(random, rarity == "umbrella"), somebody(random)
            actors.append(Actor(path, _rare_body(rarity, look, colour)))
    return actors


def _rare_body(rarity: str, look: Appearance, colour: Appearance) -> Callable[[Moment], Shape]:
    if rarity == "dog":
        return lambda m: with_dog(m, look, colour.hair)
    if rarity == "pushchair":
        return lambda m: with_pushchair(m, look, colour.top)
    return lambda m: person(m, look)
