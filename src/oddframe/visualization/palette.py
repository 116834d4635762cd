"""The colours of every picture, (red, green, blue). `report.css` has the same ones, and their dark
sisters.
"""

from __future__ import annotations

RGB = tuple[int, int, int]

INK: RGB = (31, 41, 55)
QUIET: RGB = (107, 114, 128)  # labels and axes
FAINT: RGB = (226, 230, 236)  # grid lines
PAPER: RGB = (255, 255, 255)
NIGHT: RGB = (17, 22, 31)  # the ground of the overlay's ribbon
RARITY: RGB = (59, 110, 168)
ODD: RGB = (214, 69, 43)  # whatever is over the threshold
TRUTH: RGB = (31, 145, 128)
OTHERS: RGB = (163, 172, 186)  # one of many curves


def css(colour: RGB) -> str:
    """As matplotlib and pages write it.

    >>> css(ODD)
    '#d6452b'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour)
