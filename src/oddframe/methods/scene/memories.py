"""What Scene remembers of normal video, each memory with a question of its own.

A cells of five numbers each (`cells.py`), a grid of h × w, B remembered points, G lengths of
standing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from oddframe.methods.scene.cells import (
    ACROSS,
    DOWN,
    NEAR,
    STANDING,
    WIDE,
    Cells,
    blurred,
    on_grid,
    rows_of,
)
from oddframe.methods.scene.evidence import LEAST_MEAN
from oddframe.types import Floats, Ints

MEMORIES = ("motion", "size", "standing")
# the least mean excess of each one's answers: those about standing are rarities already, and a frame
# is never rarer than the cell that makes it so
LEAST_EXCESS = (LEAST_MEAN, LEAST_MEAN, 1 / np.log(10))
ROWS_APART = 4.5  # rows of cells that count as much as one unit of motion: perspective, and lanes
COLUMNS_APART = 200.0  # columns that do: what is normal at one side is nearly so at the other
SPEED_UNIT = 0.4  # of the usual speed in a row: differences smaller than this are small
NEAR_UNIT = 0.4  # share of the smaller neighbourhood that things cover
WIDE_UNIT = 0.3  # and of the larger
SPEED_FLOOR = 0.15  # pixels in a tenth of a second from which on something moves
SPEED_LIMITS = (0.3, 3.0)  # the usual speed in a row, in parts of that in the whole picture
ROW_BLUR = 2.0  # rows over which the usual speed is averaged
STANDING_LEVELS = 32  # lengths of standing that are told apart
STANDING_BLUR = 1.0  # rows over which standing is counted together
BORROWED = 20.0  # cells as seen anywhere that are added to those of a row: rows hold little
RAREST = 6.0  # −log10 of the smallest share that counting can tell
MAP_CELLS = 3  # cells a side over which the answers are averaged


@dataclass(frozen=True)
class Tallies:
    """What is summed up of one video: speeds by row, and how often something stood how long."""

    speed: Floats  # (h,) sum over cells in which something moves
    moving: Floats  # (h,) their number
    standing: Floats  # (G, h) cells in which something stood for at least so long
    covered: Floats  # (h,) cells that things cover

    @classmethod
    def nothing(cls, h: int) -> Tallies:
        """Of no video."""
        rows = np.zeros(h)
        return cls(rows, rows, np.zeros((STANDING_LEVELS, h)), rows)

    def __add__(self, other: Tallies) -> Tallies:
        return Tallies(
            self.speed + other.speed,
            self.moving + other.moving,
            self.standing + other.standing,
            self.covered + other.covered,
        )


def tally(cells: Cells, shape: tuple[int, int], longest: float) -> Tallies:
    """Sums over cells (A,) of any frames; standing is told apart up to `longest` seconds."""
    h, w = shape
    row = rows_of(cells.cell, w)
    speed = np.hypot(cells.numbers[:, ACROSS], cells.numbers[:, DOWN]).astype(float)
    moves = speed > SPEED_FLOOR
    level = level_of(cells.numbers[:, STANDING], longest)
    at_level = np.zeros((STANDING_LEVELS + 1, h))
    np.add.at(at_level, (level, row), 1.0)
    at_least = np.cumsum(at_level[::-1], axis=0)[::-1]
    return Tallies(
        speed=np.bincount(row[moves], speed[moves], h).astype(float),
        moving=np.bincount(row[moves], minlength=h).astype(float),
        standing=at_least[1:],
        covered=np.bincount(row, minlength=h).astype(float),
    )


def level_of(standing: Floats, longest: float) -> Ints:
    """(A,) 0 for what does not stand, up to STANDING_LEVELS for what stood for the longest time.

    Levels are even in log(1 + 2.5 · seconds): a second more counts less the longer something stood.
    """
    share = np.log1p(2.5 * standing) / np.log1p(2.5 * longest)
    level = (share * STANDING_LEVELS + 1e-4).astype(int)
    return np.asarray(np.minimum(level, STANDING_LEVELS))


def usual_speed(tallies: Tallies) -> Floats:
    """(h,) pixels in a tenth of a second, a straight line over the rows, for perspective is one."""
    h = len(tallies.speed)
    near = row_kernel(h, ROW_BLUR)
    number = near @ tallies.moving
    speed = (near @ tallies.speed + 1e-6) / (number + 1e-6)
    overall = float(tallies.speed.sum() / max(tallies.moving.sum(), 1e-6)) or 1.0
    if not tallies.moving.any():
        return np.ones(h, np.float32)
    weight = np.sqrt(tallies.moving + 1e-9)
    columns = np.column_stack([np.arange(h), np.ones(h)])
    line = np.linalg.lstsq(columns * weight[:, None], speed * weight, rcond=None)[0]
    low, high = SPEED_LIMITS
    return np.asarray(np.clip(columns @ line, low * overall, high * overall), np.float32)


def rarity_of_standing(tallies: Tallies) -> Floats:
    """(G + 1, h) −log10 of the share of things in a row that stood for at least so long; 0 first.

    A row is judged with its neighbours, and as if some cells had been seen as they are anywhere.
    """
    h = len(tallies.covered)
    near = row_kernel(h, STANDING_BLUR)
    anywhere = tallies.standing.sum(1) / max(tallies.covered.sum(), 1.0)
    stood = tallies.standing @ near.T + BORROWED * anywhere[:, None]
    share = stood / (near @ tallies.covered + BORROWED)
    rarity = -np.log10(np.clip(share, 10**-RAREST, 1.0))
    return np.concatenate([np.zeros((1, h)), rarity]).astype(np.float32)


def row_kernel(h: int, spread: float) -> Floats:
    """(h, h) how much each row counts for each other, 1 for itself."""
    apart = np.arange(h)[:, None] - np.arange(h)[None]
    return np.asarray(np.exp(-0.5 * (apart / spread) ** 2))


def points_of(cells: Cells, speed: Floats, width: int) -> Floats:
    """(A, 6): motion, place, and size of cells, each in its unit; the first four tell motion."""
    row = rows_of(cells.cell, width)
    unit = SPEED_UNIT * speed[row]
    numbers = cells.numbers
    return np.column_stack(
        [
            numbers[:, ACROSS] / unit,
            numbers[:, DOWN] / unit,
            row / ROWS_APART,
            (cells.cell % width) / COLUMNS_APART,
            numbers[:, NEAR] / NEAR_UNIT,
            numbers[:, WIDE] / WIDE_UNIT,
        ]
    ).astype(np.float32)


MOTION_AXES = 4  # of a point: motion and place, without size


class Memory:
    """What was learned from some normal video, and what it finds odd in a frame."""

    def __init__(
        self,
        bank: Floats,
        speed: Floats,
        standing: Floats,
        shape: tuple[int, int],
        *,
        neighbours: int,
        longest: float,
    ) -> None:
        self.bank = bank  # (B, 6)
        self.speed = speed  # (h,)
        self.standing = standing  # (G + 1, h)
        self.shape = shape
        self.longest = longest
        self.ranks = list(range(1, min(neighbours, len(bank)) + 1))
        self.motion = cKDTree(bank[:, :MOTION_AXES], leafsize=32)
        self.size = cKDTree(bank, leafsize=32)

    def maps(self, cells: Cells) -> Floats:
        """(3, h, w) how far each memory finds each cell from what it knows; 0 where nothing is."""
        found = np.zeros((len(MEMORIES), *self.shape), np.float32)
        if not len(cells.cell):
            return found
        points = points_of(cells, self.speed, self.shape[1])
        answers = (
            self.motion.query(points[:, :MOTION_AXES], self.ranks)[0].mean(1),
            self.size.query(points, self.ranks)[0].mean(1),
            self.standing_of(cells),
        )
        for k, answer in enumerate(answers):
            found[k] = blurred(on_grid(cells.cell, answer, self.shape), MAP_CELLS)
        return found

    def standing_of(self, cells: Cells) -> Floats:
        """(A,) the rarity of how long each cell has stood, in its row."""
        level = level_of(cells.numbers[:, STANDING], self.longest)
        return np.asarray(self.standing[level, rows_of(cells.cell, self.shape[1])])


def with_fault(
    cells: Cells, memory: str, shape: tuple[int, int], longest: float, random: np.random.Generator
) -> Cells:
    """The cells of a frame with a fault that this memory should find, in a cell drawn at random and
    those around it.
    """
    at = int(random.integers(len(cells.cell)))
    w = shape[1]
    rows = np.abs(rows_of(cells.cell, w) - cells.cell[at] // w)
    columns = np.abs(cells.cell % w - cells.cell[at] % w)
    here = (rows <= 2) & (columns <= 1)
    numbers = cells.numbers.copy()
    if memory == "motion":
        faster = float(random.choice([-1.0, 2.5]))  # backwards, or faster
        numbers[np.ix_(here, [ACROSS, DOWN])] *= faster
    elif memory == "size":
        numbers[np.ix_(here, [NEAR, WIDE])] = 1.0
    else:
        numbers[here, STANDING] = longest
        numbers[np.ix_(here, [ACROSS, DOWN])] = 0.0
    return Cells(cells.cell, numbers)
