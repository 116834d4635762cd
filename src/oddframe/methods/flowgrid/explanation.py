"""How an odd window differs from the normal one that is nearest to it, in a sentence."""

from collections.abc import Sequence

import numpy as np

from oddframe.video.motion import MotionGrid

MOMENTUM, ENERGY, SPEED = range(3)  # the three numbers of a window, in their order


def compare_motion(number: int, here: float, normal: float, width: int) -> str:
    """What differs most from the nearest normal motion, in pictures `width` pixels across."""
    if number == SPEED:
        fast = percent_a_second(here, width)
        usual = percent_a_second(normal, width)
        return (
            f"Moves {fast:.0f} % of the picture's width a second here; "
            f"the most similar normal motion at this height moves {usual:.0f} %."
        )
    what, how = "Size and speed together are", "as large"
    if number == ENERGY:
        what, how = "The picture changes", "as strongly"
        here, normal = float(np.expm1(here)), float(np.expm1(normal))
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
    h, w = shape
    reach = grid.windows[1] / grid.stride / 2
    row, column = cell // w + 0.5, cell % w + 0.5
    return (
        max(0.0, (column - reach) / w),
        max(0.0, (row - reach) / h),
        min(1.0, (column + reach) / w),
        min(1.0, (row + reach) / h),
    )
