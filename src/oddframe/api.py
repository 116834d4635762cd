"""The verbs for programs: the same ones as on the command line, quiet, returning what they found."""

import inspect
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from oddframe.errors import BadInput, unknown
from oddframe.registry import member
from oddframe.scoring.run_folder import USUAL_RATE, FittedDetector, load_run
from oddframe.workflows import evaluate as evaluating
from oddframe.workflows import score as scoring
from oddframe.workflows import simulate as simulating
from oddframe.workflows.fit import fit_data


def fit(
    method: str,
    data: str | Path,
    *,
    out: str | Path,
    root: str | Path | None = None,
    stream: str | None = None,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
    resume: bool = True,
    **options: Any,
) -> FittedDetector:
    """Learn a data set or a folder of normal video; `options` are the method's own (`oddframe fit METHOD --help`).

    Raises BadInput for an option that the method does not have, with the nearest name, or that cannot be.
    """
    kind = member("methods", method, "method")
    known = inspect.signature(kind).parameters
    for name in options:
        if name not in known:
            raise unknown(f"option of {method}", name, known)
    try:
        detector = kind.of(options)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{method}: {error}") from error
    with redirect_stdout(io.StringIO()):
        return fit_data(
            detector,
            str(data),
            root=None if root is None else Path(root),
            stream=stream,
            out=Path(out),
            seed=seed,
            threads=threads,
            device=device,
            false_alarms_per_hour=false_alarms_per_hour,
            resume=resume,
        )


def load(run: str | Path, device: str = "cpu") -> FittedDetector:
    """A fitted detector from its run folder, its networks on a device."""
    return load_run(run, device)


def score(
    run: str | Path, videos: Sequence[str | Path], *, out: str | Path, **options: Any
) -> dict[str, Any]:
    """Find what is odd in videos and write it to OUT; returns what events.json holds. See `oddframe score --help`."""
    with redirect_stdout(io.StringIO()):
        return scoring.score(Path(run), [Path(video) for video in videos], out=Path(out), **options)


def evaluate(
    run: str | Path, data: str, *, root: str | Path | None = None, **options: Any
) -> dict[str, Any]:
    """Measure a run on a data set; returns what `oddframe evaluate --json` prints."""
    with redirect_stdout(io.StringIO()):
        return evaluating.evaluate(
            Path(run), data, root=None if root is None else Path(root), **options
        )


def simulate(folder: str | Path, **options: Any) -> dict[str, Any]:
    """Film a plaza with ordinary people and known oddities. See `oddframe simulate --help`."""
    with redirect_stdout(io.StringIO()):
        return simulating.simulate(Path(folder), **options)
