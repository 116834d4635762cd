"""What has no place on the plaza: each kind as actors, with the time in which they are odd.

A kind is a function of the camera, the second in which it is to begin, how long it is to last (for
those that do not last as long as it takes to cross the picture) and a source of chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, pi

import numpy as np

from oddframe.synthetic.crowd import BELOW, BEYOND, Actor, Spot, Walk, walker
from oddframe.synthetic.drawing import Camera, Colour, Shape, shade
from oddframe.synthetic.figures import PAINTS, car, case, cyclist
from oddframe.synthetic.people import TOPS, Appearance, Motion, fallen, person, somebody
from oddframe.synthetic.place import AVENUE_UP, FAR_LEFT, FAR_RIGHT, NEAR_LEFT, NEAR_RIGHT, Lane

NEAR = (NEAR_RIGHT, NEAR_LEFT)
ALL = (NEAR_RIGHT, NEAR_LEFT, FAR_RIGHT, FAR_LEFT)
Random = np.random.Generator


def runner(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody runs where people walk, the right way."""
    del lasts
    lane, y = place_on_lane(random, ALL)
    walk = crossing(camera, lane.way, y, begins, random.uniform(3.6, 4.6))
    actor = walker(walk, somebody(random), random)
    return [replace(actor, kind="runner", clears=0.8)]


def rider(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody rides a bicycle along a lane, the right way."""
    del lasts
    lane, y = place_on_lane(random, ALL)
    turn_of_pedals = 5.2  # metres
    speed = random.uniform(3.2, 4.6)
    path = crossing(camera, lane.way, y, begins, speed, stride=turn_of_pedals).path()
    look = somebody(random)
    paint = one_of(PAINTS, random)
    return [Actor(path, lambda m: cyclist(m, look, paint), "cyclist", clears=1.6)]


def driver(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """A car drives over the plaza."""
    del lasts
    lane, y = place_on_lane(random, ALL)
    speed = random.uniform(3.5, 5.5)
    path = crossing(camera, lane.way, y, begins, speed, half_length=2.0).path()
    paint = one_of(PAINTS, random)
    return [Actor(path, lambda m: car(m, paint), "car", clears=3.0)]


def against_the_flow(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody walks at an ordinary pace along a lane in which everybody else comes towards them."""
    del lasts
    lane, y = place_on_lane(random, NEAR)
    walk = crossing(camera, -lane.way, y, begins, random.uniform(1.2, 1.6))
    actor = walker(walk, somebody(random), random)
    return [replace(actor, kind="wrong-way", clears=0.7)]


def faller(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody falls, lies there, gets up and walks on."""
    lane, y = place_on_lane(random, ALL)
    look = somebody(random)
    side = float(random.uniform(-0.9, 0.9))
    ends = begins + lasts
    place = (x_inside(camera, y, random), y)
    speed = random.uniform(1.1, 1.5)
    path = stopping(camera, lane, place, begins, lasts=lasts, speed=speed).path()

    def body(m: Motion) -> Shape:
        falling = (m.seconds - begins) / 0.7
        rising = (ends - m.seconds) / 1.4
        down = min(1.0, falling, rising)
        if down <= 0:
            return person(m, look)
        return fallen(m, look, down**1.6, side)

    return [Actor(path, body, "fall", begins, ends, clears=1.0)]


def left_behind(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody puts a case down and leaves; later somebody else takes it away. Only the case is
    odd.
    """
    lane, y = place_on_lane(random, NEAR)
    paint = shade(one_of(TOPS, random), 0.8)
    x = x_inside(camera, y, random)
    ends = begins + lasts
    pause = 0.8
    speed = random.uniform(1.2, 1.5)
    comes = stopping(camera, lane, (x, y), begins - pause, lasts=pause, speed=speed).path()
    speed = random.uniform(1.2, 1.5)
    takes = stopping(camera, lane, (x, y), ends, lasts=pause, speed=speed).path()
    heading = 0.0
    if lane.way < 0:
        heading = pi
    put = Motion(begins, x, y, heading, 0.0, 0.0)
    case_x, case_y, _ = put.at(*BESIDE)
    stays = Walk(begins, case_x, case_y).wait(lasts).path()
    owner = somebody(random)
    taker = somebody(random)

    def lone_case(m: Motion) -> Shape:
        return case(replace(m, heading=heading), paint)

    return [
        Actor(comes, with_case(owner, paint, -inf, begins)),
        Actor(stays, lone_case, "abandoned-object", clears=0.7),
        Actor(takes, with_case(taker, paint, ends, inf)),
    ]


def loiterer(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """Somebody hangs about between the two streams, where nobody stops."""
    lane, _ = place_on_lane(random, NEAR)
    y = float(random.uniform(18.7, 19.3))
    speed = float(random.uniform(1.1, 1.4))
    x = x_inside(camera, y, random)
    edge = camera.half_width(y) + BEYOND
    way_in = abs(x + lane.way * edge)
    walk = Walk(begins - way_in / speed, -lane.way * edge, y).to(x, y, speed)
    while walk.now < begins + lasts - 1.0:
        walk.wait(float(random.uniform(0.8, 2.5)))
        to_x = x + float(random.uniform(-1.2, 1.2))
        to_y = y + float(random.uniform(-0.3, 0.3))
        walk.to(to_x, to_y, 0.55)
    ends = walk.now
    walk.to(lane.way * (edge + 3), y, speed)
    actor = walker(walk, somebody(random), random)
    odd = replace(actor, kind="loiterer", odd_from=begins, odd_until=ends, clears=0.7)
    return [odd]


def scatter(camera: Camera, begins: float, lasts: float, random: Random) -> list[Actor]:
    """A loose crowd that came along together runs apart in all directions."""
    del lasts
    lane = NEAR_RIGHT
    centre = x_inside(camera, lane.middle, random)
    speed = float(random.uniform(1.1, 1.35))
    actors = []
    for k in range(int(random.integers(5, 8))):
        x = centre + float(random.uniform(-1.8, 1.8))
        y = float(random.uniform(lane.low - 0.2, lane.high + 1.2))
        edge = camera.half_width(y) + BEYOND + 2
        startled = begins + float(random.uniform(0, 0.5))
        walk = Walk(startled - (x + edge) / speed, -edge, y).to(x, y, speed)
        pace = float(random.uniform(3.2, 4.4))
        away_y = float(random.uniform(15.0, 22.0))
        side = camera.half_width(away_y) + BEYOND
        if k % 4 == 0:
            walk.to(-side, away_y, pace)
        elif k % 4 == 1:
            walk.to(side, away_y, pace)
        elif k % 4 == 2:
            walk.to(x + float(random.uniform(-2, 2)), BELOW, pace)
        else:
            walk.to(AVENUE_UP.middle, 22.0, pace).to(AVENUE_UP.middle, FAR_RIGHT.middle, pace)
            walk.to(camera.half_width(FAR_RIGHT.middle) + BEYOND, FAR_RIGHT.middle, pace)
        actor = walker(walk, somebody(random), random)
        actors.append(replace(actor, kind="scatter", odd_from=startled, clears=0.5))
    return actors


KINDS: dict[str, Callable[[Camera, float, float, Random], list[Actor]]] = {
    "runner": runner,
    "cyclist": rider,
    "car": driver,
    "wrong-way": against_the_flow,
    "fall": faller,
    "abandoned-object": left_behind,
    "loiterer": loiterer,
    "scatter": scatter,
}
BESIDE = (0.0, 0.36, 0.0)  # where a case is held: metres forward, right, up


def with_case(
    who: Appearance, paint: Colour, start: float, end: float
) -> Callable[[Motion], Shape]:
    """Somebody who has a case in hand between two times."""

    def body(m: Motion) -> Shape:
        shape = person(m, who)
        if start <= m.seconds < end:
            x, y, _ = m.at(*BESIDE)
            shape.extend(case(replace(m, x=x, y=y), paint))
        return shape

    return body


def crossing(
    camera: Camera,
    way: int,
    y: float,
    begins: float,
    speed: float,
    *,
    half_length: float = 0.3,
    stride: float = 1.45,
) -> Walk:
    """From side to side, coming into the picture in the second `begins`."""
    edge = camera.half_width(y) + half_length
    walk = Walk(begins, -way * edge, y, stride=stride)
    return walk.to(way * (edge + 1.0), y, float(speed))


def stopping(
    camera: Camera, lane: Lane, place: Spot, stops: float, *, lasts: float, speed: float
) -> Walk:
    """Along a lane, standing at x from the second `stops` on for as long as it lasts."""
    x, y = place
    edge = camera.half_width(y) + BEYOND
    way_in = abs(x + lane.way * edge)
    walk = Walk(stops - way_in / speed, -lane.way * edge, y)
    walk.to(x, y, speed).wait(lasts)
    return walk.to(lane.way * (edge + 3), y, speed)


def place_on_lane(random: Random, lanes: tuple[Lane, ...]) -> tuple[Lane, float]:
    """One of the lanes, and a y within it."""
    lane = lanes[int(random.integers(len(lanes)))]
    return lane, float(random.uniform(lane.low + 0.4, lane.high - 0.4))


def x_inside(camera: Camera, y: float, random: Random) -> float:
    """An x well within the picture."""
    share = float(random.uniform(-0.6, 0.6))
    return share * camera.half_width(y)


def one_of(colours: list[Colour], random: Random) -> Colour:
    """One of the colours."""
    number = int(random.integers(len(colours)))
    return colours[number]
