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
from oddframe.evaluation.compare import (
    ComparisonTable,
    MeasuredSeed,
    compare_runs,
    labels_of,
)
from oddframe.evaluation.measured_run import MeasuredRun, measure_run, refuse_learned, test_videos
from oddframe.files import aside, room, write_json
from oddframe.left_out import LeftOut, problem_with
from oddframe.options import FramesPerSecond
from oddframe.progress import ProgressCallback, logger
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import hold_score_files, score_files
from oddframe.types import Video
from oddframe.visualization.outputs import spreadsheet_text
from oddframe.visualization.plots import Curve, write_roc_png


@dataclass(frozen=True)
class Comparison(Result):
    """Runs side by side on the same test videos."""

    dataset: str
    table: ComparisonTable  # a row a run, and a row a method over its seeds
    folders: Mapping[str, Path]  # by the label of the run
    baselines: Mapping[str, float | None]  # micro AUC
    left_out: tuple[LeftOut, ...]
    test_videos: int
    folder: Path
    plot: Path

    def to_dict(self) -> dict[str, Any]:
        """What comparison.json holds."""
        return to_plain(
            {
                "dataset": self.dataset,
                **self.table.to_dict(),
                "folders": self.folders,
                "baselines": self.baselines,
                "left_out": self.left_out,
            }
        )

    def problem(self) -> OddframeError | None:
        """Test videos that a run could not be measured on."""
        total = self.test_videos * len(self.folders)
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
        data: a data set, as `oddframe datasets` lists them, or a folder of your own with test and
            truth.
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
    opened: list[tuple[FittedDetector, list[Video]]] = []
    for run in runs:
        fitted = load_run(run, device)
        label = stream or fitted.facts.get("stream")
        name, found = open_data(str(data), root, label, split, frame_rate)
        tests = test_videos(name, found)
        refuse_learned(fitted, tests)
        opened.append((fitted, tests))
    folder = room(Path(out))
    labels = labels_of([fitted for fitted, _ in opened])
    seeds: list[MeasuredSeed] = []
    curves: list[Curve] = []
    left_out: list[LeftOut] = []
    baselines: dict[str, float | None] = {}
    for label, (fitted, tests) in zip(labels, opened, strict=True):
        logger.info(f"measuring {label}")
        scores = room(folder / label.replace(" ", "-").replace("/", "-"))
        with hold_score_files(*score_files(scores, tests)):
            measured, refused = measure_run(fitted, name, tests, fitted.threshold, scores)
        left_out += refused
        seeds.append(measured_seed(label, fitted, measured))
        curves += pooled_curve(label, measured)
        for baseline, numbers in measured.values["baselines"].items():
            baselines[baseline] = numbers["micro_auc"]
    plot = folder / "comparison.png"
    write_roc_png(plot, curves)
    folders = {}
    for label, (fitted, _) in zip(labels, opened, strict=True):
        folders[label] = fitted.folder
    result = Comparison(
        dataset=name,
        table=compare_runs(seeds),
        folders=folders,
        baselines=baselines,
        left_out=tuple(left_out),
        test_videos=len(tests),
        folder=folder,
        plot=plot,
    )
    write_comparison_csv(folder / "comparison.csv", result.table)
    write_json(folder / "comparison.json", result.to_dict())
    return result


def measured_seed(label: str, fitted: FittedDetector, measured: MeasuredRun) -> MeasuredSeed:
    """One run as the table takes it; runs with the same options and data differ in their seeds
    alone.
    """
    settings = {"options": fitted.detector.options, "data": fitted.facts["data"]}
    text = dumps(settings, sort_keys=True, default=str)
    seed = int(fitted.facts["seed"])
    return MeasuredSeed(label, fitted.detector.name, text, seed, measured.found)


def pooled_curve(label: str, measured: MeasuredRun) -> list[Curve]:
    """The ROC of all frames, where there is one."""
    roc = measured.curves()["roc"]
    if roc is None:
        return []
    x = np.array(roc["false_positive_rate"])
    y = np.array(roc["true_positive_rate"])
    return [Curve(label, x, y, roc["auc"])]


def write_comparison_csv(path: Path, table: ComparisonTable) -> None:
    """A row a run, a column a metric."""
    with aside(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", *table.columns])
        for label, numbers in table.runs.items():
            row: list[object] = [spreadsheet_text(label)]
            for column in table.columns:
                number = numbers[column]
                if number is None:
                    row.append("")
                else:
                    row.append(number)
            writer.writerow(row)
