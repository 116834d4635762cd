"""Which methods there are, and what a run is."""

import inspect
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.families import members
from oddframe.scores.fitted import load_run


def methods(*, json: bool = False) -> dict[str, str]:
    """List the methods that can be fitted, each in one line.

    Args:
        json: print one JSON object instead of lines for a person.
    """
    found = {name: (inspect.getdoc(method) or "").splitlines()[0] for name, method in members("methods").items()}
    print(dumps(found, indent=2) if json else "\n".join(f"{name:18}{line}" for name, line in found.items()))
    return found


def info(run: Path, *, json: bool = False) -> dict[str, Any]:
    """Say what a run folder holds: method, options, what it learned from, its threshold, its size.

    Args:
        run: the folder that `oddframe fit` wrote.
        json: print one JSON object instead of lines for a person.
    """
    fitted = load_run(run)
    parameters = list(fitted.detector.parameters())
    buffers = [buffer for buffer in fitted.detector.buffers() if buffer.is_floating_point()]
    told = {
        **fitted.facts,
        "spec": {**vars(fitted.detector.spec)},
        "lookahead": fitted.lookahead,
        "parameters": {
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            "total": sum(p.numel() for p in parameters) + sum(b.numel() for b in buffers),
        },
    }
    if json:
        print(dumps(told, indent=2))
    else:
        for key, value in told.items():
            print(f"{key:14}{_short(value)}")
    return told


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        first = value[0]["name"] if isinstance(value[0], dict) else value[0]
        return f"{len(value)}: {first} …"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return str(value)
