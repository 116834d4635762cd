"""Pictures of what a fit set aside as unusual: a person sees at once whether it was."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oddframe.errors import OddframeError
from oddframe.files import aside
from oddframe.types import ClipSpec, Video
from oddframe.video.reader import read_frames, times_of

MOST = 12  # pictures
BEGINS = "set-aside-"
SPEC = ClipSpec(length=1, size=480, colour="rgb")


def write_set_aside(
    folder: Path, found: Sequence[Mapping[str, Any]], videos: Sequence[Video]
) -> None:
    """The frame at the peak of each stretch that run.json lists, the farthest first, into a run
    folder. Of a video that cannot be read any more there is none.
    """
    for path in folder.glob(f"{BEGINS}*.jpg"):
        path.unlink()
    by_name: dict[str, Video] = {}
    for given in videos:
        by_name.setdefault(given.name, given)
    farthest = sorted(found, key=lambda one: -float(one["how_far"]))
    for number, one in enumerate(farthest[:MOST], 1):
        if one["video"] not in by_name:
            continue
        video = by_name[one["video"]]
        try:
            index = int(np.abs(times_of(video) - float(one["peak"])).argmin())
            frames = read_frames(video, SPEC, [index])
        except OddframeError:
            continue
        if index in frames:
            seconds = f"{float(one['peak']):.1f}"
            path = folder / f"{BEGINS}{number:02d}-{seconds}s.jpg"
            with aside(path) as part:
                cv2.imwrite(str(part), frames[index][..., ::-1])


def pictures_of_set_aside(folder: Path, found: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """What `write_set_aside` left there, by title."""
    farthest = sorted(found, key=lambda one: -float(one["how_far"]))
    pictures = {}
    for path in sorted(folder.glob(f"{BEGINS}*.jpg")):
        number = int(path.name.removeprefix(BEGINS).partition("-")[0])
        if number <= len(farthest):
            one = farthest[number - 1]
            spans = f"{one['start']:.1f} to {one['end']:.1f} s"
            pictures[f"Set aside as unusual while learning: {one['video']}, {spans}"] = path
    return pictures
