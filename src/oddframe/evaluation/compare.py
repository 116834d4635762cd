"""Runs side by side: a row a run, and a row a method over its seeds, for every metric of the
registry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from oddframe.evaluation.metric_registry import METRICS, Metric
from oddframe.evaluation.protocol import Evaluation
from oddframe.scoring.run_folder import FittedDetector


@dataclass(frozen=True)
class MeasuredSeed:
    """One run as it was measured."""

    label: str  # what the row is called
    method: str
    settings: str  # what tells runs of a method apart besides the seed: options, data
    seed: int
    evaluation: Evaluation


@dataclass(frozen=True)
class SeedSpread:
    """One number over the seeds of a method; where it is undefined for some, of the others."""

    mean: float
    deviation: float | None  # of the sample (n − 1); None for a single seed
    lowest: float
    highest: float
    seeds: int


@dataclass(frozen=True)
class MethodRow:
    """A method with its settings over its seeds."""

    label: str
    method: str
    settings: str
    seeds: tuple[int, ...]
    numbers: Mapping[str, SeedSpread]  # by the metric's path, as `why_null` names it


@dataclass(frozen=True)
class ComparisonTable:
    """Everything that is compared. Columns are metrics; best ones come first among the rows."""

    columns: tuple[str, ...]  # paths of the metrics that at least one run has
    runs: Mapping[str, Mapping[str, float | None]]  # by label, each metric by its path
    methods: tuple[MethodRow, ...]  # by micro AUC, highest first

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "columns": list(self.columns),
            "runs": {label: dict(numbers) for label, numbers in self.runs.items()},
            "methods": [asdict(row) for row in self.methods],
        }


def compare_runs(measured: Sequence[MeasuredSeed]) -> ComparisonTable:
    """One table of all runs, of any methods and seeds. Labels that come twice are numbered."""
    named = number_labels(measured)
    numbers = {}
    for one in named:
        numbers[one.label] = metric_numbers(one.evaluation)
    columns = []
    for metric in scalar_metrics():
        if any(row[metric.path] is not None for row in numbers.values()):
            columns.append(metric.path)
    return ComparisonTable(tuple(columns), numbers, methods_of(named, numbers))


def scalar_metrics() -> list[Metric]:
    """The metrics that are one number."""
    return [metric for metric in METRICS if metric.key != "micro_auc_interval"]


def metric_numbers(evaluation: Evaluation) -> dict[str, float | None]:
    """Each metric's number by its path."""
    found: dict[str, float | None] = {}
    for metric in scalar_metrics():
        value = getattr(evaluation, metric.column).get(metric.key)
        found[metric.path] = None
        if isinstance(value, int | float):
            found[metric.path] = float(value)
    return found


def number_labels(measured: Sequence[MeasuredSeed]) -> list[MeasuredSeed]:
    """The same with labels that are all different."""
    taken: set[str] = set()
    named = []
    for one in measured:
        label, count = one.label, 1
        while label in taken:
            count += 1
            label = f"{one.label} {count}"
        taken.add(label)
        named.append(replace(one, label=label))
    return named


def methods_of(
    measured: Sequence[MeasuredSeed], numbers: Mapping[str, Mapping[str, float | None]]
) -> tuple[MethodRow, ...]:
    """Runs that differ in nothing but the seed as one row each, best micro AUC first."""
    groups: dict[tuple[str, str], list[MeasuredSeed]] = {}
    for one in measured:
        groups.setdefault((one.method, one.settings), []).append(one)
    rows = []
    for (method, settings), runs in groups.items():
        numbers_of_runs = []
        seeds = []
        for run in runs:
            numbers_of_runs.append(numbers[run.label])
            seeds.append(run.seed)
        spreads = seed_spreads(numbers_of_runs)
        rows.append(MethodRow(runs[0].label, method, settings, tuple(seeds), spreads))
    return tuple(sorted(rows, key=micro_auc_of, reverse=True))


def seed_spreads(rows: Sequence[Mapping[str, float | None]]) -> dict[str, SeedSpread]:
    """The spread of each metric over the rows of several seeds, by its path; undefined ones lack."""
    spreads = {}
    for metric in scalar_metrics():
        known = []
        for row in rows:
            value = row[metric.path]
            if value is not None:
                known.append(value)
        spread = seed_spread(known)
        if spread is not None:
            spreads[metric.path] = spread
    return spreads


def seed_spread(values: Sequence[float]) -> SeedSpread | None:
    """Mean and deviation; None without values."""
    if not values:
        return None
    deviation = None
    if len(values) > 1:
        deviation = float(np.std(values, ddof=1))
    return SeedSpread(float(np.mean(values)), deviation, min(values), max(values), len(values))


def micro_auc_of(row: MethodRow) -> float:
    """By which rows are sorted; those without one come last."""
    spread = row.numbers.get("micro_auc")
    if spread is None:
        return -1.0
    return spread.mean


def labels_of(runs: Sequence[FittedDetector]) -> list[str]:
    """A name for each run: its method, with its folder where several are of it, and a number where
    even these agree.
    """
    labels: list[str] = []
    methods = [run.detector.name for run in runs]
    for run in runs:
        label = run.detector.name
        if methods.count(label) > 1:
            label = f"{label} {run.folder.resolve().name}"
        first = label
        number = 1
        while label in labels:
            number += 1
            label = f"{first} {number}"
        labels.append(label)
    return labels
