"""A fitted detector on disk: `detector.json` (method, options, version), `weights.pt` (tensors and plain values)."""

import io
import json
from pathlib import Path
from typing import Any

import torch

from oddframe import __version__
from oddframe.detector import Detector
from oddframe.errors import BadRun
from oddframe.files import aside, write_json
from oddframe.registry import members

FORMAT = 1  # raised when an older oddframe could not read what we write


def save(detector: Detector, folder: Path) -> None:
    """Write a detector into a run folder; each file appears whole or not at all."""
    packed = (
        io.BytesIO()
    )  # on a full disk torch's own writer raises something that says nothing of the disk
    torch.save(detector.state_dict(), packed)
    with aside(folder / "weights.pt") as part:
        part.write_bytes(packed.getbuffer())
    words = {
        "format": FORMAT,
        "oddframe": __version__,
        "method": detector.name,
        "options": detector.options,
    }
    write_json(folder / "detector.json", words)


def load(folder: Path) -> Detector:
    """The detector that was saved there, in eval mode. Raises BadRun with one line that says what is the matter."""
    words, known = read_words(folder), members("methods")
    try:
        detector: Detector = known[words["method"]].of(words["options"])
    except (TypeError, ValueError, KeyError) as error:
        raise BadRun(
            f"{folder}/detector.json has options that {words['method']} does not take: {error}"
        ) from error
    put_weights(detector, read_weights(folder / "weights.pt"), folder)
    return detector.eval()


def read_words(folder: Path) -> dict[str, Any]:
    """What detector.json says: a method that is known, and its options. Raises BadRun, also for what is too new."""
    words = read_json(folder / "detector.json")
    version, method, known = words.get("format"), words.get("method"), members("methods")
    if (
        not isinstance(version, int)
        or not isinstance(method, str)
        or not isinstance(words.get("options"), dict)
    ):
        raise BadRun(
            f"{folder}/detector.json is damaged: it names no format, method and options; fit again"
        )
    if version > FORMAT:
        raise BadRun(
            f"{folder} was written by oddframe {words.get('oddframe')}, which is newer than this one ({__version__}); "
            "update oddframe or fit again"
        )
    if method not in known:
        raise BadRun(
            f"{folder} holds a detector {method!r}; this oddframe knows {', '.join(known)}"
        )
    return words


def read_weights(path: Path, remedy: str = "fit again or copy it anew") -> dict[str, Any]:
    """A state dict, or another dictionary of tensors and plain values. Code in the file is never run. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; {remedy}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to
        why = (
            "holds code, which is not loaded"
            if "weights_only" in str(error).lower()
            else "is damaged or cut short"
        )
        raise BadRun(f"{path} {why}; {remedy}") from error
    if not isinstance(state, dict):
        raise BadRun(f"{path} holds a {type(state).__name__}, not tensors by name; {remedy}")
    return state


def put_weights(detector: Detector, state: dict[str, Any], folder: Path) -> None:
    """Load a state dict, giving buffers registered empty the shape that was saved."""
    for name, buffer in list(detector.named_buffers()):
        if buffer.numel() == 0 and isinstance(state.get(name), torch.Tensor):
            parent, _, leaf = name.rpartition(".")
            setattr(detector.get_submodule(parent), leaf, torch.empty_like(state[name]))
    try:
        detector.load_state_dict(state)
    except (RuntimeError, TypeError, KeyError) as error:
        first = " ".join(str(error).split())[:300]
        raise BadRun(
            f"{folder}/weights.pt does not fit a {detector.name} with these options: {first}"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run folder. Raises BadRun."""
    if not path.parent.is_dir():
        raise BadRun(f"no such run folder: {path.parent}; `oddframe fit` makes one")
    if not path.is_file():
        raise BadRun(
            f"{path.parent} is not a complete run: {path.name} is missing; `oddframe fit` writes it"
        )
    try:
        value = json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRun(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise BadRun(f"{path} is damaged: it holds no JSON object")
    return value
