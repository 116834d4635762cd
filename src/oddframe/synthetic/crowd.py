"""Who walks where on an ordinary day: lanes, groups, stops to talk, ebb and flow, and what is rare
but right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import atan2, cos, hypot, inf, pi, sin

import numpy as np

from oddframe.synthetic.drawing import Camera, Shape
from oddframe.synthetic.figures import with_dog, with_pushchair
from oddframe.synthetic.people import Appearance, Motion, person, somebody
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

    def at(self, seconds: float) -> Motion | None:
        """The moment, or None outside the path's time."""
        if not self.times[0] <= seconds < self.times[-1]:
            return None
        x, y = self.place_at(seconds)
        k = int(np.searchsorted(self.times, seconds, side="right")) - 1
        step = self.places[k + 1] - self.places[k]
        lasts = float(self.times[k + 1] - self.times[k])
        speed = float(hypot(*step)) / max(lasts, 1e-6)
        dx, dy = difference(self.place_at(seconds + 0.3), self.place_at(seconds - 0.3))
        if self.facing and speed < 0.05:
            dx, dy = difference(self.facing, (x, y))
        elif hypot(dx, dy) < 0.02:
            before = self.places[max(k - 1, 0)]
            after = self.places[max(k, 1)]
            dx, dy = after - before
        sway = sin(0.6 * seconds + 40 * self.wobble)
        y += self.wobble * min(1.0, speed) * sway
        phase = float(np.interp(seconds, self.times, self.phases))
        return Motion(seconds, x, y, atan2(dy, dx), speed, phase)

    def place_at(self, seconds: float) -> Spot:
        """Where it is then, but for its wobble."""
        x = np.interp(seconds, self.times, self.places[:, 0])
        y = np.interp(seconds, self.times, self.places[:, 1])
        return float(x), float(y)


def difference(one: Spot, other: Spot) -> Spot:
    """How far one place is from another, in x and y."""
    return one[0] - other[0], one[1] - other[1]


@dataclass(frozen=True)
class Actor:
    """Something that moves on the plaza. It is odd, of `kind`, from `odd_from` to `odd_until`."""

    path: Path
    body: Callable[[Motion], Shape]
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
        """The second up to which it is walked."""
        return self.times[-1]

    @property
    def place(self) -> Spot:
        """Where the walker is by now."""
        return self.places[-1]

    def to(self, x: float, y: float, speed: float) -> Walk:
        """Go straight on to a place."""
        far = hypot(*difference((x, y), self.place))
        if far > 0:
            pace = max(speed, 0.5) / 1.3
            stride = self.stride * pace**0.5
            turned = 2 * pi * far / stride
            self.times.append(self.now + far / speed)
            self.places.append((x, y))
            self.phases.append(self.phases[-1] + turned)
        return self

    def wait(self, seconds: float) -> Walk:
        """Stand for a while."""
        self.times.append(self.now + seconds)
        self.places.append(self.places[-1])
        self.phases.append(self.phases[-1])
        return self

    def path(self, facing: Spot | None = None, wobble: float = 0.0, phase: float = 0.0) -> Path:
        """The way that was walked; `phase` is that of the gait at its begin."""
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
    wobble = float(random.uniform(0.03, 0.12))
    phase = float(random.uniform(0, 2 * pi))
    path = walk.path(facing, wobble, phase)
    return Actor(path, lambda m: person(m, look))


def across(
    camera: Camera, lane: Lane, y: float, start: float, ahead: float = 0.0
) -> tuple[Walk, float]:
    """The begin of a walk at one end of a lane, out of the picture, and the x of the other end."""
    edge = camera.half_width(y) + BEYOND
    walk = Walk(start, -lane.way * (edge + ahead), y)
    return walk, lane.way * (edge + 3.0)


def ordinary(camera: Camera, seconds: float, random: np.random.Generator) -> list[Actor]:
    """Everybody who is in the picture between 0 and `seconds` and does what people do."""
    actors: list[Actor] = []
    busy = ebb_and_flow(random)
    for start, route in arrivals(busy, seconds, random):
        actors += party_on(camera, route, start, random)
    first = int(random.integers(0, 2))
    for place in range(first, 6, 2):
        spot = (place - 2.5) * 3.1 + random.uniform(-0.6, 0.6)
        seen = abs(spot) < camera.half_width(TALKING) - 1
        if seen and random.random() < 0.3:
            actors += talkers(spot, -WARM, seconds + WARM, random)
    actors += rare_ones(camera, seconds, random)
    return actors


def apart(people: list[Actor], odd: list[Actor]) -> list[Actor]:
    """The people who do not walk into something odd. Most step aside; who cannot (a car is wide)
    stays at home.

    Were they all left out, an emptier plaza would tell that something is odd.
    """
    kept = []
    for one in people:
        for shift in (0.0, 0.7, -0.7, 1.2, -1.2):
            path = step_aside(one.path, shift)
            if not meets_any(path, odd):
                kept.append(replace(one, path=path))
                break
    return kept


def step_aside(path: Path, shift: float) -> Path:
    """The path so many metres to the side of most of the way."""
    wide, deep = np.ptp(path.places, axis=0)
    offset = (shift, 0.0)
    if wide > deep:
        offset = (0.0, shift)
    return replace(path, places=path.places + offset)


def meets_any(path: Path, odd: list[Actor]) -> bool:
    """Whether a path comes too near to something odd that keeps others away."""
    return any(comes_near(path, other) for other in odd if other.clears)


def comes_near(path: Path, other: Actor) -> bool:
    """Whether a path comes nearer to something odd, while it is odd, than others stay away."""
    theirs = other.path
    start = max(path.times[0], theirs.times[0], other.odd_from)
    end = min(path.times[-1], theirs.times[-1], other.odd_until)
    times = np.arange(start, end, 0.2)
    apart_x = gap_between(path, theirs, times, 0) / other.clears
    apart_y = gap_between(path, theirs, times, 1) / min(other.clears, 1.3)
    squared = apart_x**2 + apart_y**2
    return bool((squared < 1).any())


def gap_between(a: Path, b: Path, times: Floats, axis: int) -> Floats:
    """Metres between two paths along an axis at these times."""
    first = np.interp(times, a.times, a.places[:, axis])
    second = np.interp(times, b.times, b.places[:, axis])
    return first - second


def ebb_and_flow(random: np.random.Generator) -> Callable[[float], float]:
    """How busy it is, about 0.2 … 2.5, changing within half a minute: how much moves says nothing."""
    periods = random.uniform((14, 30, 70), (22, 50, 160))
    turns = random.uniform(0, 2 * pi, 3)
    base = random.uniform(-0.45, 0.25)

    def busy(seconds: float) -> float:
        short, middle, long = np.sin(2 * pi * seconds / periods + turns)
        return float(np.exp(base + 0.5 * short + 0.5 * middle + 0.3 * long))

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


def arrivals(
    busy: Callable[[float], float], seconds: float, random: np.random.Generator
) -> Iterator[tuple[float, str]]:
    """When a party comes, and on which route."""
    for route, rate in ROUTES:
        now = -WARM
        while now < seconds:
            pause = float(random.exponential(60 / rate))
            now += pause / busy(now)
            yield now, route


def party_on(camera: Camera, route: str, start: float, random: np.random.Generator) -> list[Actor]:
    """One person or a group walking together."""
    if route == "track":
        return [jogger(camera, start, random)]
    many = int(random.choice([1, 1, 1, 1, 2, 2, 3, 4]))
    speed = float(np.clip(random.normal(1.3, 0.18), 0.8, 1.75))
    if many > 1:
        speed *= 0.92
    stops = random.random() < 0.18
    spot = free_spot(camera, random)
    talk = float(random.uniform(4, 14))
    place = float(random.random())
    party = []
    for k in range(many):
        beside = (k % 2) * 0.75 + random.uniform(-0.1, 0.1)
        behind = (k // 2) * 1.0 + random.uniform(0, 0.3)
        walk = walk_on(
            camera,
            route,
            start,
            place=place,
            speed=speed,
            beside=beside,
            behind=behind,
        )
        facing = None
        if stops and route.startswith("near"):
            facing = (spot, TALKING)
            angle = 2 * pi * k / many + place * 6
            reach = 0.45 * cos(angle) * (many > 1)
            stand = (spot + reach, TALKING + 0.4 * sin(angle))
            walk = with_stop(walk, spot, stand, speed, talk)
        party.append(walker(walk, somebody(random), random, facing))
    return party


def with_stop(walk: Walk, spot: float, stand: Spot, speed: float, seconds: float) -> Walk:
    """The same walk with a stop to talk on the way, standing there for so many seconds."""
    end = walk.places[-1]
    step = -2.5
    if end[0] > 0:
        step = 2.5
    stopping = Walk(walk.times[0], *walk.places[0])
    stopping.to(spot - step, stopping.places[0][1], speed)
    stopping.to(*stand, speed).wait(seconds)
    return stopping.to(spot + step, end[1], speed).to(*end, speed)


def free_spot(camera: Camera, random: np.random.Generator) -> float:
    """The x at which a party stops to talk, not in the middle."""
    half = max(1.0, min(camera.half_width(TALKING) - 1.5, 11.0))
    far = random.uniform(2.2, max(2.4, half))
    return float(far * random.choice([-1, 1]))


def walk_on(
    camera: Camera,
    route: str,
    start: float,
    *,
    place: float,
    speed: float,
    beside: float,
    behind: float,
) -> Walk:
    """The walk of one of a party on a route: so far beside and behind its first, 0 … 1 across the
    lane.
    """
    lanes = {
        "near-right": NEAR_RIGHT,
        "near-left": NEAR_LEFT,
        "far-right": FAR_RIGHT,
        "far-left": FAR_LEFT,
    }
    if route in lanes:
        lane = lanes[route]
        free = lane.high - lane.low - 1.1
        y = lane.low + 0.2 + place * free + beside
        walk, end = across(camera, lane, y, start, behind)
        return walk.to(end, y, speed)
    if route == "up":
        x = AVENUE_UP.low + place * 0.5 + beside
        y = FAR_RIGHT.low + 0.2 + place + beside * 0.3
        walk = Walk(start, x, BELOW - behind)
        walk.to(x, y - 1.0, speed).to(x + 1.0, y, speed)
        return walk.to(camera.half_width(y) + BEYOND + 3, y, speed)
    x = AVENUE_DOWN.high - place * 0.5 - beside
    y = FAR_LEFT.middle + (place - 0.5)
    walk, _ = across(camera, FAR_LEFT, y, start, behind)
    walk.to(x + 1.0, y, speed).to(x, y - 1.0, speed)
    return walk.to(x, BELOW - 3, speed)


def talkers(x: float, start: float, end: float, random: np.random.Generator) -> list[Actor]:
    """Two or three who stand at the benches all the while."""
    actors = []
    for k in range(int(random.integers(2, 4))):
        angle = 2.1 * k + random.uniform(-0.3, 0.3)
        stand_x = x + 0.5 * cos(angle)
        stand_y = TALKING + 0.35 * sin(angle)
        walk = Walk(start, stand_x, stand_y).wait(end - start)
        actors.append(walker(walk, somebody(random), random, (x, TALKING)))
    return actors


def jogger(camera: Camera, start: float, random: np.random.Generator) -> Actor:
    """Somebody who runs where people run."""
    y = float(random.uniform(TRACK.low + 0.25, TRACK.high - 0.25))
    walk, end = across(camera, TRACK, y, start)
    speed = float(random.uniform(2.3, 2.8))
    return walker(walk.to(end, y, speed), somebody(random), random)


def rare_ones(camera: Camera, seconds: float, random: np.random.Generator) -> list[Actor]:
    """Dogs, pushchairs, umbrellas and joggers: seldom, but in every film, for they are right where
    they are.
    """
    actors: list[Actor] = []
    for rarity in RARITIES:
        for _ in range(1 + int(random.poisson(seconds / 60))):
            start = float(random.uniform(-8, max(seconds - 3, -7)))
            if rarity == "jogger":
                actors.append(jogger(camera, start, random))
            else:
                actors.append(rare_walker(camera, rarity, start, random))
    return actors


def rare_walker(camera: Camera, rarity: str, start: float, random: np.random.Generator) -> Actor:
    """Somebody with a dog, a pushchair or an umbrella, along a lane."""
    lanes = (NEAR_RIGHT, NEAR_LEFT, FAR_RIGHT, FAR_LEFT)
    lane = lanes[int(random.integers(4))]
    y = float(random.uniform(lane.low + 0.4, lane.high - 0.4))
    walk, end = across(camera, lane, y, start)
    speed = float(random.uniform(1.0, 1.35))
    phase = float(random.uniform(0, 6))
    path = walk.to(end, y, speed).path(phase=phase)
    look = somebody(random, rarity == "umbrella")
    other = somebody(random)
    return Actor(path, rare_body(rarity, look, other))


def rare_body(rarity: str, look: Appearance, colour: Appearance) -> Callable[[Motion], Shape]:
    """How somebody looks who has a dog, in the colour of another's hair, or whatever is rare."""
    if rarity == "dog":
        return lambda m: with_dog(m, look, colour.hair)
    if rarity == "pushchair":
        return lambda m: with_pushchair(m, look, colour.top)
    return lambda m: person(m, look)
