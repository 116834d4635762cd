"""Everything at once, on a street of our own."""

import time
from pathlib import Path
from typing import Any

from oddframe.files import room
from oddframe.registry import member
from oddframe.workflows.evaluate import evaluate
from oddframe.workflows.fit import fit_data
from oddframe.workflows.simulate import simulate


def demo(
    *,
    out: Path = Path("demo"),
    seed: int = 0,
    seconds: float = 30.0,
    train: int = 5,
    test: int = 4,
    false_alarms_per_hour: float = 60.0,
) -> dict[str, Any]:
    """Film a street, learn it, find what is odd, measure that, and write the report.

    Args:
        out: where everything goes.
        seed: another seed is another street.
        seconds: length of each video.
        train: how many normal videos are learned.
        test: how many are looked through; of two or more, one is wholly normal.
        false_alarms_per_hour: how often an alarm may be false; so little normal video supports no low rate.
    """
    out = room(out)
    street, run, found = out / "street", out / "run", out / "found"
    began = time.perf_counter()
    print("1. filming a street: normal videos, and some in which we know what is odd")
    simulate(street, seed=seed, train=train, test=test, seconds=seconds)
    print("\n2. learning what is normal there, from the normal videos alone")
    detector = member("methods", "flowgrid", "method")()
    fit_data(
        detector, "simulated", root=street, out=run, false_alarms_per_hour=false_alarms_per_hour
    )
    print("\n3. finding what is odd in the others, and measuring that against the truth")
    result = evaluate(run, "simulated", root=street, out=found, overlay=True)
    print("\n".join(["", *_in_words(result)]))
    print(
        f"\nall of it took {time.perf_counter() - began:.0f} s. Open {found / 'report.html'} in a browser"
    )
    print(
        "the same with videos of your own: oddframe fit flowgrid FOLDER --out RUN, oddframe score RUN VIDEO --out DIR"
    )
    return result


def _in_words(result: dict[str, Any]) -> list[str]:
    """What of the odd was found, what was missed, and what was no more than a false alarm."""
    kinds = result["kinds"].items()
    met = [kind for kind, count in kinds if count["found"]]
    missed = [kind for kind, count in kinds if not count["found"]]
    false = round(result["events"] * (1 - (result["honest"]["event_precision"] or 0)))
    return [
        f"raised an event: {', '.join(met) or 'nothing'}",
        f"raised none: {', '.join(missed) or 'nothing'}",
        f"false alarms: {false} of {result['events']} events",
    ]
