"""Truth without what lies in an ignored area: nothing is looked at there, so nothing there can be
found.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from oddframe.datasets.masks import StoredMasks
from oddframe.types import Bools, IgnoredArea, Masks, Truth
from oddframe.video.ignored import boxes_inside, cells_inside

NOTE_OF_PLACES = (
    "what lies in the ignored area is cut out of the truth's places; its frames stay odd"
)
NOTE_OF_FRAMES = "part of the picture is ignored; frames are odd by the truth wherever it is meant"


def outside_ignored(truth: Truth, area: IgnoredArea | None) -> Truth:
    """The truth with masks cut and without tracks whose centre lies in the area, which its note
    says. Frames that are anomalous stay so.
    """
    if area is None or not truth.frame.any():
        return truth
    note = NOTE_OF_FRAMES
    if truth.mask is not None:
        truth = replace(truth, mask=cut_masks(truth.mask, area))
        note = NOTE_OF_PLACES
    if truth.tracks is not None:
        inside = boxes_inside(area, truth.tracks[:, 2:])
        truth = replace(truth, tracks=truth.tracks[~inside])
        note = NOTE_OF_PLACES
    if truth.note:
        note = f"{truth.note}; {note}"
    return replace(truth, note=note)


def cut_masks(masks: Masks, area: IgnoredArea) -> StoredMasks:
    """Masks (T, h, w) that are False in an area, still gone through frame by frame."""
    T, h, w = masks.shape
    return StoredMasks((T, h, w), partial(cut_frames, masks, ~cells_inside(area, (h, w))))


def cut_frames(masks: Masks, kept: Bools) -> Iterator[Bools]:
    """The masks (h, w) one after the other, False where `kept`, (h, w), is."""
    for mask in masks:
        yield mask & kept
