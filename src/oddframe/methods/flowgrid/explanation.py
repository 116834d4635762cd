"""How an odd window differs from the normal one that is nearest to it, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oddframe.types import Clips, Example
from oddframe.video.boxes import box_of_cell
from oddframe.video.motion import MotionGrid, motion_cells

if TYPE_CHECKING:
    from oddframe.methods.flowgrid.detector import FlowGrid

MOMENTUM, ENERGY, SPEED = range(3)  # the three numbers of a window, in their order


def explain(detector: FlowGrid, clips: Clips) -> Example:
    """The remembered window nearest to the hottest cell of the last clip, and how the two move."""
    scores = detector.score(clips)
    assert scores.map is not None
    heat = scores.map[-1]
    hottest = int(heat.argmax())
    clip = clips.pixels[-1, 0]
    times = clips.times[-1]
    before = detector.scaled(clip[-2])
    now = detector.scaled(clip[-1])
    seconds = times[-1] - times[-2]
    cell, vector = motion_cells(before, now, seconds, detector.grid, detector.flow)
    here = np.flatnonzero(cell == hottest)
    box = window_around(hottest, heat.shape, detector.grid)
    if not len(here):
        text = "Something stands where, in normal video, nothing stood for so long."
        return Example(text, box)
    point = detector.standardise(cell[here], vector[here], heat.shape)[0]
    nearest = int(detector.search_tree().query(point)[1])
    remembered = detector.bank[nearest, :6]
    normal = remembered * detector.spread + detector.mean
    largest = int(np.abs(point[:6] - remembered).argmax())
    odd_value = float(vector[here][0, largest])
    normal_value = float(normal[largest])
    text = compare_motion(largest % 3, odd_value, normal_value, now.shape[1])
    video, frame, at = detector.origin[nearest].tolist()
    source = Path(detector.learned_from[video])
    normal_box = window_around(at, heat.shape, detector.grid)
    return Example(text, box, source, frame, normal_box)


def compare_motion(number: int, here: float, normal: float, width: int) -> str:
    """What differs most from the nearest normal motion, in pictures `width` pixels across."""
    if number == SPEED:
        fast = percent_a_second(here, width)
        usual = percent_a_second(normal, width)
        return (
            f"Moves {fast:.0f} % of the picture's width a second here; "
            f"the most similar normal motion at this height moves {usual:.0f} %."
        )
    what = "Size and speed together are"
    how = "as large"
    if number == ENERGY:
        what = "The picture changes"
        how = "as strongly"
        here = float(np.expm1(here))
        normal = float(np.expm1(normal))
    times = here / max(normal, 1e-3)
    return (
        f"{what} {times:.1f} times {how} here as in the most similar normal motion at this height."
    )


def percent_a_second(speed: float, width: int) -> float:
    """Pixels in a tenth of a second as percent of the picture's width in a second."""
    return 1000 * speed / width


def window_around(
    cell: int, shape: Sequence[int], grid: MotionGrid
) -> tuple[float, float, float, float]:
    """The larger averaging window around a cell of a map of h × w, as fractions of the picture."""
    return box_of_cell(cell, shape, grid.windows[1] / grid.stride / 2)
