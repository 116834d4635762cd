"""Which methods there are, and what a run is."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.registry import entries
from oddframe.results import Listing, Result, to_plain, workflow
from oddframe.scoring.run_folder import load_run
from oddframe.types import IgnoredArea
from oddframe.video.ignored import share_of
from oddframe.video.object_boxes import BoxFile


@dataclass(frozen=True)
class Contents(Result):
    """What a run folder or a saved result holds, by name."""

    values: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The values by name."""
        return to_plain(self.values)


@workflow
def methods() -> Listing:
    """List the methods that can be fitted, each in one line."""
    known = entries("methods")
    return Listing({name: entry.summary for name, entry in known.items()})


@workflow
def info(run: str | Path) -> Contents:
    """Say what a run folder holds: method, options, what it learned from, its threshold, its size.
    Or what a file does.

    Nothing in a file is run, whatever it is.

    Args:
        run: the folder that `oddframe fit` wrote, or a saved result: .npz, .npy, .json, or a .pkl
            of boxes.
    """
    path = Path(run).expanduser()
    if path.is_file():
        return Contents(inside(path))
    fitted = load_run(path)
    facts = dict(fitted.facts)
    if fitted.ignored is not None:
        facts["ignored"] = about_area(fitted.ignored)
    return Contents(
        {
            **facts,
            "spec": vars(fitted.detector.spec),
            "lookahead": fitted.lookahead,
            "parameters": count_parameters(fitted.detector),
        }
    )


def about_area(area: IgnoredArea) -> dict[str, Any]:
    """How much of the picture an area ignores, and by what."""
    bitmaps = [f"{bitmap.width} × {bitmap.height} pixels" for bitmap in area.bitmaps]
    return {
        "share": round(share_of(area), 4),
        "polygons": area.polygons,
        "regions": area.regions,
        "mask_pictures": bitmaps,
    }


def count_parameters(detector: Detector) -> dict[str, int]:
    """How many numbers a detector has learned: in all, and those that training changes."""
    trainable = 0
    core = detector.core()
    if core is not None:
        for parameter in core.parameters():
            if parameter.requires_grad:
                trainable += parameter.numel()
    total = 0
    for array in detector.state().values():
        if array.dtype.kind == "f":
            total += array.size
    return {"trainable": trainable, "total": total}


def inside(path: Path) -> dict[str, Any]:
    """What a saved result holds, by name: shape, type and range of arrays, values of the rest.
    Raises BadInput.
    """
    readers = {
        ".npz": inside_npz,
        ".npy": inside_npy,
        ".json": inside_json,
        ".pkl": inside_boxes,
        ".pickle": inside_boxes,
    }
    reader = readers.get(path.suffix)
    if reader is None:
        raise BadInput(f"{path} is no run folder and no .npz, .npy, .json or .pkl of boxes")
    try:
        return reader(path)
    except BadInput:
        raise
    except Exception as error:  # numpy, zip and json each have their own word for damage
        why = " ".join(str(error).split())[:160]
        raise BadInput(f"{path} is damaged, or not what its ending says: {why}") from error


def inside_npz(path: Path) -> dict[str, Any]:
    """The arrays of a .npz."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: about_array(arrays[name]) for name in arrays.files}


def inside_npy(path: Path) -> dict[str, Any]:
    """The array of a .npy."""
    return {path.stem: about_array(np.load(path, allow_pickle=False))}


def inside_json(path: Path) -> dict[str, Any]:
    """The values of a .json."""
    values = loads(path.read_text())
    if isinstance(values, dict):
        return values
    return {path.stem: values}


def inside_boxes(path: Path) -> dict[str, Any]:
    """Frames and boxes by video, of a pickle that holds boxes and nothing else."""
    boxes = BoxFile(path)
    found = {}
    for name, frames in boxes.videos.items():
        count = sum(len(frame) for frame in frames.values())
        found[name] = f"{boxes.lengths[name]} frames, {count} boxes"
    return found


def about_array(array: Any) -> str:
    """Type, shape and range of an array, or its value if it is one."""
    if array.ndim == 0:
        return str(array)
    text = f"{array.dtype} {tuple(array.shape)}"
    if not array.size or array.dtype.kind not in "fiub":
        return text
    known = array[~np.isnan(array)]
    if known.size:
        text += f", {known.min():g} to {known.max():g}"
    else:
        text += ", no number"
    if known.size < array.size:
        text += f", {array.size - known.size} not a number"
    return text
