"""Ped2, honest and as published: every method, several seeds.

    python benchmarks/ped2.py --root DATA/ucsd [--seeds 0 1 2 3 4] [--methods flowgrid scene constant]

Fits on the training clips, evaluates on the test clips as `oddframe evaluate` does, and writes means with their spread
to benchmarks/results/ped2.json. Nothing is chosen here.
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

KEYS = (
    "micro_auc",
    "macro_auc",
    "ap",
    "eer",
    "rbdc",
    "tbdc",
    "pixel_auc",
    "event_precision",
    "event_recall",
    "event_f1",
    "delay_seconds",
)


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--root", type=Path, required=True)
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    words.add_argument("--methods", nargs="+", default=["flowgrid", "scene", "frame-difference"])
    words.add_argument("--out", default="ped2")
    asked = words.parse_args()
    found: dict[str, Any] = {}
    for method in asked.methods:
        seeds = (
            asked.seeds if method in ("flowgrid", "scene") else asked.seeds[:1]
        )  # the others draw nothing at random
        found[method] = summed([measured(method, seed, asked.root) for seed in seeds])
        print(method, found[method], flush=True)
    write(asked.out, found)


def measured(method: str, seed: int, root: Path) -> dict[str, Any]:
    """One fit and its evaluation."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        oddframe.fit(method, "ped2", root=root, out=folder, seed=seed)
        table = oddframe.evaluate(folder, "ped2", root=root, report=False)
    honest, published = table.honest, table.as_published
    return {
        "seed": seed,
        **{key: honest[key] for key in KEYS},
        "micro_auc_interval": honest["micro_auc_interval"],
        "micro_auc_as_published": published["micro_auc"],
        "macro_auc_as_published": published["macro_auc"],
        "peak_in_region": table.place["peak_in_region"],
        "normal_frames_flagged_when_asked_for_1_percent": table.flagged_normal_frames[
            "asked_for_1_percent"
        ],
        "seconds_fit": table.seconds["fit"],
        "seconds_score": table.seconds["score"],
    }


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and every seed."""
    names = [name for name in runs[0] if name not in ("seed", "micro_auc_interval")]
    values = {name: [run[name] for run in runs if run[name] is not None] for name in names}
    mean = {name: round(float(np.mean(part)), 4) if part else None for name, part in values.items()}
    spread = {
        name: round(float(np.std(part)), 4) if part else None for name, part in values.items()
    }
    return {"mean": mean, "spread": spread, "runs": runs}


if __name__ == "__main__":
    main()
