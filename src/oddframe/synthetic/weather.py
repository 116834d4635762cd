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

    def _wave(self, k: int, seconds: float) -> float:
        return sin(2 * pi * seconds / float(self.periods[k]) + float(self.turns[k]))

    def at(self, seconds: float) -> Sky:
        sun = self._sun(seconds)
        return Sky(sun, self._light(seconds, sun), self._wind(seconds))

    def _sun(self, seconds: float) -> float:
        return 1 / (
            1 + exp(-(self.sunny + 1.8 * self._wave(0, seconds) + 1.4 * self._wave(1, seconds)))
        )

    def _light(self, seconds: float, sun: float) -> float:
        return 0.86 + 0.16 * sun + 0.03 * self._wave(2, seconds)

    def _wind(self, seconds: float) -> Floats:
        gust = 0.55 + 0.35 * self._wave(3, seconds)
        return gust * np.sin(2 * pi * seconds / 2.6 + self.trees) + 0.25 * np.sin(
            5.1 * seconds + 2 * self.trees
        )
