"""Which methods there are, and what a run is."""

from json import dumps, loads
from pathlib import Path
from typing import Any

from oddframe.errors import BadInput
from oddframe.registry import entries
from oddframe.scoring.run_folder import load_run
from oddframe.video.object_boxes import BoxFile


def methods(*, json: bool = False) -> dict[str, str]:
    """List the methods that can be fitted, each in one line.

    Args:
        json: print one JSON object instead of lines for a person.
    """
    found = {name: entry.summary for name, entry in entries("methods").items()}
    print(
        dumps(found, indent=2)
        if json
        else "\n".join(f"{name:18}{line}" for name, line in found.items())
    )
    return found


def info(run: Path, *, json: bool = False) -> dict[str, Any]:
    """Say what a run folder holds: method, options, what it learned from, its threshold, its size. Or what a file does.

    Args:
        run: the folder that `oddframe fit` wrote, or a saved result: .npz, .npy, .json, or a .pkl of boxes.
        json: print one JSON object instead of lines for a person.
    """
    if Path(run).expanduser().is_file():
        return _tell(inside(Path(run).expanduser()), json)
    fitted = load_run(run)
    core = fitted.detector.core()
    parameters = [] if core is None else list(core.parameters())
    learned = [part for part in fitted.detector.state().values() if part.dtype.kind == "f"]
    told = {
        **fitted.facts,
        "spec": {**vars(fitted.detector.spec)},
        "lookahead": fitted.lookahead,
        "parameters": {
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            "total": sum(part.size for part in learned),
        },
    }
    return _tell(told, json)


def inside(path: Path) -> dict[str, Any]:
    """What a saved result holds, by name: shape, type and range of arrays, values of the rest. Raises BadInput.

    Nothing in the file is run, whatever it is.
    """
    import numpy as np

    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                return {name: _about(held[name]) for name in held.files}
        if path.suffix == ".npy":
            return {path.stem: _about(np.load(path, allow_pickle=False))}
        if path.suffix == ".json":
            told = loads(path.read_text())
            return told if isinstance(told, dict) else {path.stem: told}
    except Exception as error:  # numpy, zip and json each have their own word for damage
        raise BadInput(
            f"{path} is damaged, or not what its ending says: {' '.join(str(error).split())[:160]}"
        ) from error
    if path.suffix in (".pkl", ".pickle"):
        boxes = BoxFile(path)
        counts = {name: sum(map(len, frames.values())) for name, frames in boxes.videos.items()}
        return {
            name: f"{boxes.lengths[name]} frames, {count} boxes" for name, count in counts.items()
        }
    raise BadInput(f"{path} is no run folder and no .npz, .npy, .json or .pkl of boxes")


def _about(array: Any) -> str:
    import numpy as np

    if array.ndim == 0:
        return str(array)
    span = ""
    if array.size and array.dtype.kind in "fiub":
        known = array[~np.isnan(array)]
        span = f", {known.min():g} to {known.max():g}" if known.size else ", no number"
        span += f", {array.size - known.size} not a number" if known.size < array.size else ""
    return f"{array.dtype} {tuple(array.shape)}{span}"


def _tell(told: dict[str, Any], json: bool) -> dict[str, Any]:
    if json:
        print(dumps(told, indent=2))
    else:
        for key, value in told.items():
            print(f"{key:13} {_short(value)}")
    return told


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        first = value[0]["name"] if isinstance(value[0], dict) else value[0]
        return f"{len(value)}: {first} …"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return str(value)
