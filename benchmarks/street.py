"""The simulated street: AUC by kind of anomaly, also of the methods that fail.

    python benchmarks/street.py [--seeds 0 1 2 3] [--train 5] [--seconds 40] [--methods …] [--name street]

Each seed is a street of its own with normal videos to learn from and four test videos. A kind's
AUC holds its frames against all normal
frames of the same street; the table gives the mean over streets. Seeds from 100 on are kept for choosing options.
"""

import argparse
import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

import oddframe
from machine import write
from oddframe.registry import members

# of the events raised at one false alarm an hour, which is the default
EVENTS = ("event_precision", "event_recall", "false_alarms_per_hour", "rbdc", "tbdc")


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    words.add_argument("--seconds", type=float, default=40.0)
    words.add_argument("--train", type=int, default=5, help="normal videos")
    words.add_argument("--name", default="street", help="of the kept result")
    words.add_argument("--keep", type=Path, help="folder for the films, so that they are made once")
    quick = ["constant", "frame-difference", "flowgrid", "scene"]  # others learn for minutes
    words.add_argument("--methods", nargs="+", choices=list(members("methods")), default=quick)
    asked = words.parse_args()
    found: dict[str, dict[str, list[float]]] = {method: {} for method in asked.methods}
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            street = (asked.keep or Path(folder)) / f"street{seed}-{asked.train}"
            if not (street / "truth").is_dir():
                oddframe.simulate(street, seed=seed, seconds=asked.seconds, train=asked.train)
            for method, kinds in found.items():
                for name, value in measured(method, street, Path(folder) / method).items():
                    kinds.setdefault(name, []).append(value)
        print(
            seed,
            {method: round(kinds["all"][-1], 3) for method, kinds in found.items()},
            flush=True,
        )
    write(asked.name, {method: summed(kinds) for method, kinds in found.items()})
    for kind in found[asked.methods[-1]]:
        print(
            f"{kind:20}",
            {
                method: round(float(np.mean(kinds.get(kind, [np.nan]))), 3)
                for method, kinds in found.items()
            },
        )


def measured(method: str, street: Path, run: Path) -> dict[str, float]:
    """AUC over all frames, of each kind, and the share of anomalous frames whose hottest place is right."""
    oddframe.fit(method, street, out=run)
    table = oddframe.evaluate(run, str(street), report=False)
    by_kind = {kind: numbers["auc"] for kind, numbers in table.kinds.items()}
    place = table.place["peak_in_region"]
    honest = table.honest
    events = {name: honest[name] for name in EVENTS}
    both = {"all": honest["micro_auc"], **by_kind, "peak_in_region": place} | events
    return {name: float(value) for name, value in both.items() if value is not None}


def summed(kinds: dict[str, list[float]]) -> dict[str, Any]:
    return {
        kind: {
            "mean": round(float(np.mean(part)), 4),
            "spread": round(float(np.std(part)), 4),
            "streets": len(part),
        }
        for kind, part in kinds.items()
    }


if __name__ == "__main__":
    main()
