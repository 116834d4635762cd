"""Light and wind on the plaza, both never quite the same."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi, sin

import numpy as np

from oddframe.types import Floats


@dataclass(frozen=True)
class Sky:
    """Light and wind in one frame."""

    sun: float  # how much of the light is direct, 0 … 1
    light: float  # by how much everything is brighter than usual
    wind: Floats  # (8,) how far each tree leans, about −1 … 1


class Weather:
    """Sun that comes and goes behind clouds, and a wind."""

    def __init__(self, random: np.random.Generator) -> None:
        self.turns = random.uniform(0, 2 * pi, 4)
        self.periods = random.uniform((35, 90, 200, 15), (70, 180, 400, 25))
        self.sunny = float(random.uniform(-1.0, 2.0))
        self.trees = random.uniform(0, 2 * pi, 8)

    def at(self, seconds: float) -> Sky:
        """Light and wind at a time."""
        short, long, haze, gusts = (self.wave(k, seconds) for k in range(4))
        clear = self.sunny + 1.8 * short + 1.4 * long
        sun = 1 / (1 + exp(-clear))
        light = 0.86 + 0.16 * sun + 0.03 * haze
        gust = 0.55 + 0.35 * gusts
        return Sky(sun, light, self.wind(seconds, gust))

    def wave(self, k: int, seconds: float) -> float:
        """−1 … 1, by one of the periods."""
        period = float(self.periods[k])
        turn = float(self.turns[k])
        return sin(2 * pi * seconds / period + turn)

    def wind(self, seconds: float, gust: float) -> Floats:
        """(8,) how far each tree leans in a gust."""
        slow = np.sin(2 * pi * seconds / 2.6 + self.trees)
        quick = np.sin(5.1 * seconds + 2 * self.trees)
        return gust * slow + 0.25 * quick
