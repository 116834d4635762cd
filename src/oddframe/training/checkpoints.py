"""Weights as authors publish them: state dicts under many names, with what was pickled beside them
by accident.

Nothing in such a file is run. What its pickle names beyond tensors and plain values is either on a
short list of harmless things, read as empty shells, or refused.
"""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from oddframe.errors import BadInput, BadRun

# where files keep the weights, if not on top; one may hold another
UNDER = ("model_state", "model_state_dict", "state_dict", "model", "module", "bb_state_dict")
SCALERS = (
    "torch.cuda.amp.grad_scaler",
    "torch.amp.grad_scaler",
)  # TCLR's files hold the scaler itself
SHOWN = 3  # names of a kind in one line


class Shell:
    """Stands for an object in a published file that is not wanted: takes whatever state, does
    nothing with it.
    """

    def __init__(self, *given: Any) -> None:
        del given

    def __setstate__(self, state: Any) -> None:
        del state


def read_published(path: Path) -> dict[str, Tensor]:
    """The weights in a file that torch wrote, under the names used there. Raises BadInput."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadInput(f"no such file of weights: {path}")
    held = _unpickled(path)
    for name in UNDER:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    entries = held.items() if isinstance(held, Mapping) else ()
    weights = {str(name): part for name, part in entries if isinstance(part, Tensor)}
    if not weights:
        raise BadInput(
            f"{path} holds no weights: no dictionary of tensors on top or under {', '.join(UNDER)}"
        )
    return weights


def put_published(
    module: nn.Module, weights: Mapping[str, Tensor], source: object = "the file"
) -> None:
    """Load weights into a module of the same names. Raises BadInput that says which are missing,
    unexpected or of another shape.
    """
    own = module.state_dict()
    counters = {
        name for name in own if name.endswith("num_batches_tracked")
    }  # older files have none
    missing = [name for name in own if name not in weights and name not in counters]
    strange = [name for name in weights if name not in own]
    shapes = [
        f"{name} is {tuple(weights[name].shape)} there and {tuple(part.shape)} here"
        for name, part in own.items()
        if name in weights and weights[name].shape != part.shape
    ]
    if wrong := [
        f"{len(names)} {what} ({_some(names)})"
        for what, names in (
            ("missing", missing),
            ("unexpected", strange),
            ("of another shape", shapes),
        )
        if names
    ]:
        raise BadInput(f"{source} holds the weights of another network: {'; '.join(wrong)}")
    module.load_state_dict(dict(weights), strict=not counters)


def without(weights: Mapping[str, Tensor], prefix: str, leave: str = r"$^") -> dict[str, Tensor]:
    """The weights with a prefix (a pattern) taken off their names, those whose name fits `leave`
    left out.

    >>> one = torch.zeros(1)
    >>> list(without({"module.stem": one, "fc.weight": one}, "module.", leave="fc."))
    ['stem']
    """
    return {
        re.sub(f"^(?:{prefix})", "", name): part
        for name, part in weights.items()
        if not re.match(f"(?:{leave})", name)
    }


def _unpickled(path: Path) -> Any:
    shells = [
        (Shell, f"{place}.{name}")
        for place in SCALERS
        for name in ("GradScaler", "_refresh_per_optimizer_state")
    ]
    try:
        with torch.serialization.safe_globals([*shells, defaultdict, OrderedDict]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to
        told = " ".join(str(error).split())
        if isinstance(error, UnpicklingError) and (found := re.search(r"GLOBAL (\S+)", told)):
            raise BadInput(
                f"{path} holds code ({found[1]}), which is not run; save its state dict alone"
            ) from error
        raise BadInput(f"{path} is no file of weights, or is damaged") from error


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")


def read_checkpoint(path: Path, remedy: str = "fit again or copy it anew") -> dict[str, Any]:
    """What our own training left. Code in the file is never run. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; {remedy}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to
        pickled = "weights_only" in str(error).lower()
        why = "holds code, which is not loaded" if pickled else "is damaged or cut short"
        raise BadRun(f"{path} {why}; {remedy}") from error
    if not isinstance(state, dict):
        raise BadRun(f"{path} holds a {type(state).__name__}, not tensors by name; {remedy}")
    return state
