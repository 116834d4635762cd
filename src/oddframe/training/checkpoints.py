"""Weights as authors publish them: state dicts under many names, with what was pickled beside them
by accident.

Nothing in such a file is run. What its pickle names beyond tensors and plain values is either on a
short list of harmless things, read as empty shells, or refused.
"""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
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
SHOWN_NAMES = 3  # of a kind in one line


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
    held = unpickle(path)
    for name in UNDER:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    weights: dict[str, Tensor] = {}
    if isinstance(held, Mapping):
        for name, part in held.items():
            if isinstance(part, Tensor):
                weights[str(name)] = part
    if not weights:
        places = ", ".join(UNDER)
        raise BadInput(
            f"{path} holds no weights: no dictionary of tensors on top or under {places}"
        )
    return weights


def put_published(
    module: nn.Module, weights: Mapping[str, Tensor], source: object = "the file"
) -> None:
    """Load weights into a module of the same names. Raises BadInput that says which are missing,
    unexpected or of another shape.
    """
    own = module.state_dict()
    missing: list[str] = []
    other_shape: list[str] = []
    has_counters = False
    for name, part in own.items():
        is_counter = name.endswith("num_batches_tracked")  # older files have none
        has_counters = has_counters or is_counter
        if name not in weights:
            if not is_counter:
                missing.append(name)
        elif weights[name].shape != part.shape:
            there = tuple(weights[name].shape)
            other_shape.append(f"{name} is {there} there and {tuple(part.shape)} here")
    unexpected = [name for name in weights if name not in own]
    kinds = {
        "missing": missing,
        "unexpected": unexpected,
        "of another shape": other_shape,
    }
    wrong: list[str] = []
    for kind, names in kinds.items():
        if names:
            wrong.append(f"{len(names)} {kind} ({first_few(names)})")
    if wrong:
        raise BadInput(f"{source} holds the weights of another network: {'; '.join(wrong)}")
    module.load_state_dict(dict(weights), strict=not has_counters)


def without(weights: Mapping[str, Tensor], prefix: str, leave: str = r"$^") -> dict[str, Tensor]:
    """The weights with a prefix (a pattern) taken off their names, those whose name fits `leave`
    left out.

    >>> one = torch.zeros(1)
    >>> list(without({"module.stem": one, "fc.weight": one}, "module.", leave="fc."))
    ['stem']
    """
    kept: dict[str, Tensor] = {}
    for name, part in weights.items():
        if not re.match(f"(?:{leave})", name):
            plain = re.sub(f"^(?:{prefix})", "", name)
            kept[plain] = part
    return kept


def unpickle(path: Path) -> Any:
    """What a file of torch's holds, with empty shells for what is harmless. Raises BadInput."""
    shells: list[tuple[type, str]] = []
    for place in SCALERS:
        shells.append((Shell, f"{place}.GradScaler"))
        shells.append((Shell, f"{place}._refresh_per_optimizer_state"))
    try:
        with torch.serialization.safe_globals([*shells, defaultdict, OrderedDict]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to
        found = re.search(r"GLOBAL\s+(\S+)", str(error))
        if isinstance(error, UnpicklingError) and found is not None:
            raise BadInput(
                f"{path} holds code ({found[1]}), which is not run; save its state dict alone"
            ) from error
        raise BadInput(f"{path} is no file of weights, or is damaged") from error


def first_few(names: Sequence[str]) -> str:
    """Some names for a message."""
    shown = ", ".join(names[:SHOWN_NAMES])
    if len(names) > SHOWN_NAMES:
        shown += " …"
    return shown


def read_checkpoint(path: Path, remedy: str = "fit again or copy it anew") -> dict[str, Any]:
    """What our own training left. Code in the file is never run. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; {remedy}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to
        why = "is damaged or cut short"
        if "weights_only" in str(error).lower():
            why = "holds code, which is not loaded"
        raise BadRun(f"{path} {why}; {remedy}") from error
    if not isinstance(state, dict):
        raise BadRun(f"{path} holds a {type(state).__name__}, not tensors by name; {remedy}")
    return state
