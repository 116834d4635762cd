"""What is odd about a place in a frame, said by the memory that finds it rarest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from oddframe.methods.scene.cells import ACROSS, DOWN, NEAR, STANDING, WIDE, Cells
from oddframe.methods.scene.memories import (
    MEMORIES,
    MOTION_AXES,
    NEAR_UNIT,
    SPEED_UNIT,
    WIDE_UNIT,
    points_of,
)
from oddframe.types import Bools, Clips, Example, Floats
from oddframe.video.boxes import box_of_cell

if TYPE_CHECKING:
    from oddframe.methods.scene.detector import Scene

Box = tuple[float, float, float, float]
REACH = 1.5  # cells around the middle of one, in boxes
SLOW = 0.5  # percent of the picture's width a second below which something stands


def explain(detector: Scene, clips: Clips) -> Example:
    """What is odd about the hottest cell of the last clip, and the nearest normal to it."""
    h, w = detector.grid
    cells = detector.cells_of_clip(clips, len(clips) - 1)
    if cells is None or not len(cells.cell):
        return Example("Nothing is there that is unlike the background.", (0.0, 0.0, 1.0, 1.0))
    rarities = detector.rarities_of(cells)
    at_cells = rarities.reshape(len(MEMORIES), -1)[:, cells.cell]  # (3, A)
    which = int(at_cells.max(axis=0).argmax())
    speaks = MEMORIES[int(at_cells[:, which].argmax())]
    box = thing_around(cells, which, (h, w))
    points = points_of(cells, detector.speed, w)
    memory = detector.remembering()
    if speaks == "motion":
        nearest = int(memory.motion.query(points[which, :MOTION_AXES])[1])
    else:
        nearest = int(memory.size.query(points[which])[1])
    normal = normal_numbers(detector, nearest)
    video, frame, at = detector.origin[nearest].tolist()
    text = sentence(detector, speaks, cells, which, normal)
    source = Path(detector.learned_from[video])
    return Example(text, box, source, frame, box_of_cell(at, (h, w), REACH))


def sentence(detector: Scene, speaks: str, cells: Cells, which: int, normal: Floats) -> str:
    """One sentence, with numbers."""
    here = cells.numbers[which]
    width = detector.picture.shape[1]
    if speaks == "standing":
        share = 100 * 10 ** -float(detector.remembering().standing_of(cells)[which])
        return (
            f"Something stands: still for {here[STANDING]:.1f} of the last "
            f"{detector.standing_seconds:.0f} s; at this height {share:.2g} % of what is seen in "
            "normal video does."
        )
    if speaks == "size":
        return (
            f"Something fills {100 * here[WIDE]:.0f} % of its surroundings and moves "
            f"{way(here, width)}; the most similar normal thing fills {100 * normal[WIDE]:.0f} % "
            f"and moves {way(normal, width)}."
        )
    return (
        f"Moves {way(here, width)}; the most similar normal motion at this height moves "
        f"{way(normal, width)}."
    )


def way(numbers: Floats, width: int) -> str:
    """How fast and where to, in percent of the picture's width a second."""
    across = float(numbers[ACROSS])
    down = float(numbers[DOWN])
    speed = 1000 * float(np.hypot(across, down)) / width
    if speed < SLOW:
        return "not at all"
    direction = "to the right"
    if abs(down) > abs(across):
        direction = "up"
        if down > 0:
            direction = "down"
    elif across < 0:
        direction = "to the left"
    return f"{speed:.0f} % of the picture's width a second {direction}"


def normal_numbers(detector: Scene, nearest: int) -> Floats:
    """(5,) the numbers of a remembered cell; how long it had stood is not remembered."""
    point = detector.bank[nearest]
    row = int(detector.origin[nearest, 2]) // detector.grid[1]
    unit = SPEED_UNIT * float(detector.speed[row])
    numbers = np.zeros(5, np.float32)
    numbers[ACROSS] = point[0] * unit
    numbers[DOWN] = point[1] * unit
    numbers[NEAR] = point[4] * NEAR_UNIT
    numbers[WIDE] = point[5] * WIDE_UNIT
    return numbers


def thing_around(cells: Cells, which: int, shape: tuple[int, int]) -> Box:
    """The box of the connected covered cells around one of them, as fractions of the picture."""
    h, w = shape
    covered: Bools = np.zeros((h, w), bool)
    covered.ravel()[cells.cell] = True
    _, labels, stats, _ = cv2.connectedComponentsWithStats(covered.view(np.uint8))
    label = int(labels.ravel()[cells.cell[which]])
    x, y, wide, high = stats[label][:4].tolist()
    return x / w, y / h, (x + wide) / w, (y + high) / h
