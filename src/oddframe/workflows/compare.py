"""Several runs on one data set, side by side: any methods, any number of seeds."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.datasets.base import OfficialSplit, open_data
from oddframe.errors import BadInput, OddframeError
from oddframe.evaluation.measured_run import MeasuredRun, measure_run, refuse_learned, test_videos
from oddframe.files import aside, room, write_json
from oddframe.left_out import LeftOut, problem_with
from oddframe.options import FramesPerSecond
from oddframe.progress import ProgressCallback, logger
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import hold_score_files
from oddframe.visualization.outputs import spreadsheet_text
from oddframe.visualization.plots import Curve, write_roc_png


@dataclass(frozen=True)
class RunRow:
    """One run."""

    label: str  # the method, and what tells its run apart
    run: Path
    method: str
    seed: int
    micro_auc: float | None  # honest, as all but the next
    published_micro_auc: float | None
    interval: tuple[float, float] | None  # of the micro AUC, 95 %
    macro_auc: float | None
    ap: float | None
    eer: float | None
    event_f1: float | None
    expected_false_alarms_per_hour: float | None  # by calibration on normal video
    fit_seconds: float
    score_seconds: float


@dataclass(frozen=True)
class MethodRow:
    """The runs of one method with one set of options, over their seeds."""

    label: str
    runs: int
    mean: float  # of the micro AUC
    lowest: float
    highest: float


@dataclass(frozen=True)
class Comparison(Result):
    """Runs side by side on the same test videos."""

    dataset: str
    rows: tuple[RunRow, ...]
    methods: tuple[MethodRow, ...]
    baselines: Mapping[str, float | None]
    left_out: tuple[LeftOut, ...]
    test_videos: int
    folder: Path
    plot: Path

    def to_dict(self) -> dict[str, Any]:
        """What comparison.json holds."""
        values = dict(vars(self))
        for name in ("folder", "plot"):
            values.pop(name)
        return to_plain(values)

    def problem(self) -> OddframeError | None:
        """Test videos that a run could not be measured on."""
        total = self.test_videos * len(self.rows)
        return problem_with(self.left_out, total, "measured", "test videos")


@workflow
def compare(
    runs: Sequence[str | Path],
    data: str | Path,
    *,
    root: str | Path | None = None,
    split: OfficialSplit | None = None,
    stream: str | None = None,
    out: str | Path = Path("compared"),
    frame_rate: FramesPerSecond | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Measure several runs on the same test videos: one table, one plot.

    Runs may be of any methods, and of one method with several seeds. All are looked at before
    anything is scored; a run that learned from a test video is refused. Writes comparison.json,
    comparison.csv and comparison.png into OUT, and the scores of each run in a folder of its own.

    Args:
        runs: the folders that `oddframe fit` wrote.
        data: a data set, as `oddframe datasets` lists them, or a folder of your own with test and truth.
        root: where a named data set lies.
        split: number of an official split, of data sets that have several.
        stream: of videos with several, the one to measure on; the one that each run has learned
            unless given.
        out: where results go; made if need be.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    if len(runs) < 2:
        raise BadInput("comparing takes two runs or more, and then the data set to measure on")
    place = None if root is None else Path(root)
    opened = []
    for run in runs:
        fitted = load_run(run, device)
        label = stream or fitted.facts.get("stream")
        name, found = open_data(str(data), place, label, split, frame_rate)
        tests = test_videos(name, found)
        refuse_learned(fitted, tests)
        opened.append((fitted, tests))
    folder = room(Path(out))
    labels = labels_of([fitted for fitted, _ in opened])
    rows: list[RunRow] = []
    curves: list[Curve] = []
    left_out: list[LeftOut] = []
    baselines: dict[str, float | None] = {}
    for label, (fitted, tests) in zip(labels, opened, strict=True):
        logger.info(f"measuring {label}")
        scores = room(folder / label.replace(" ", "-").replace("/", "-"))
        with hold_score_files(*(scores / f"{video.name}.npz" for video in tests)):
            measured, refused = measure_run(fitted, name, tests, fitted.threshold, scores)
        left_out += refused
        rows.append(row_of(label, fitted, measured))
        curves += pooled_curve(label, measured)
        for baseline, numbers in measured.values["baselines"].items():
            baselines[baseline] = numbers["micro_auc"]
    plot = folder / "comparison.png"
    write_roc_png(plot, curves)
    write_table(folder / "comparison.csv", rows)
    methods = methods_over_seeds([fitted for fitted, _ in opened], rows)
    result = Comparison(
        name, tuple(rows), methods, baselines, tuple(left_out), len(tests), folder, plot
    )
    write_json(folder / "comparison.json", result.to_dict())
    return result


def labels_of(runs: Sequence[FittedDetector]) -> list[str]:
    """A name for each run: its method, its folder where several are of it, and a number where even these agree."""
    labels: list[str] = []
    methods = [run.detector.name for run in runs]
    for run in runs:
        label = run.detector.name
        if methods.count(label) > 1:
            label = f"{label} {run.folder.resolve().name}"
        plain, number = label, 1
        while label in labels:
            number += 1
            label = f"{plain} {number}"
        labels.append(label)
    return labels


def row_of(label: str, fitted: FittedDetector, measured: MeasuredRun) -> RunRow:
    """The row of one run."""
    values = measured.values
    honest = values["honest"]
    interval = honest["micro_auc_interval"]
    return RunRow(
        label=label,
        run=fitted.folder,
        method=fitted.detector.name,
        seed=int(fitted.facts["seed"]),
        micro_auc=honest["micro_auc"],
        published_micro_auc=values["as_published"]["micro_auc"],
        interval=None if interval is None else (interval[0], interval[1]),
        macro_auc=honest["macro_auc"],
        ap=honest["ap"],
        eer=honest["eer"],
        event_f1=honest["event_f1"],
        expected_false_alarms_per_hour=values["expected"]["false_alarms_per_hour"],
        fit_seconds=values["seconds"]["fit"],
        score_seconds=values["seconds"]["score"],
    )


def methods_over_seeds(
    runs: Sequence[FittedDetector], rows: Sequence[RunRow]
) -> tuple[MethodRow, ...]:
    """Mean and range of the micro AUC over the runs of one method that differ in nothing but the seed."""
    groups: dict[tuple[str, str], list[float]] = {}
    for run, row in zip(runs, rows, strict=True):
        options = dumps(run.detector.options, sort_keys=True, default=str)
        values = groups.setdefault((row.method, options), [])
        if row.micro_auc is not None:
            values.append(row.micro_auc)
    found = []
    for (method, _), values in groups.items():
        if values:
            mean = float(np.mean(values))
            found.append(MethodRow(method, len(values), mean, min(values), max(values)))
    return tuple(found)


def pooled_curve(label: str, measured: MeasuredRun) -> list[Curve]:
    """The ROC of all frames, where there is one."""
    roc = measured.curves()["roc"]
    if roc is None:
        return []
    x, y = np.array(roc["false_positive_rate"]), np.array(roc["true_positive_rate"])
    return [Curve(label, x, y, roc["auc"])]


def write_table(path: Path, rows: Sequence[RunRow]) -> None:
    """The rows as a CSV file."""
    with aside(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RunRow.__dataclass_fields__)
        for one in rows:
            values = to_plain(vars(one))
            cells = []
            for name in RunRow.__dataclass_fields__:
                value = values[name]
                cells.append(spreadsheet_text(value) if isinstance(value, str) else value)
            writer.writerow(cells)
