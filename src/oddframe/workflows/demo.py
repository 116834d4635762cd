"""Everything at once, on a street of our own."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from oddframe.datasets.base import open_data
from oddframe.errors import OddframeError
from oddframe.evaluation.measured_run import measure_run, test_videos
from oddframe.files import room, write_json
from oddframe.left_out import LeftOut, problem_with
from oddframe.options import AlarmsPerHour, Range, Seed
from oddframe.progress import ProgressCallback, logger
from oddframe.registry import DEFAULT_METHOD, member
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.fitting import fit_videos, remove_unfinished
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import hold_score_files, score_files
from oddframe.synthetic.simulate import simulate as film_street
from oddframe.visualization.evaluation_report import write_evaluation_report

DemoSeconds = Annotated[float, Range(1, 86_400)]
DemoVideos = Annotated[int, Range(1, 10_000)]


@dataclass(frozen=True)
class Demonstration(Result):
    """A street that was filmed, learned, searched and measured."""

    folder: Path
    scene: dict[str, Any]  # what was filmed
    fitted: FittedDetector
    evaluation: dict[str, Any]  # what evaluation.json holds
    report: Path
    seconds: float
    left_out: tuple[LeftOut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What evaluation.json holds, and where everything lies."""
        values = {"folder": self.folder, "report": self.report, "took": self.seconds}
        return to_plain(dict(self.evaluation) | values)

    def problem(self) -> OddframeError | None:
        """Films that could not be measured."""
        return problem_with(self.left_out, len(self.evaluation["videos"]), "measured")


@workflow
def demo(
    *,
    out: str | Path = Path("demo"),
    seed: Seed = 0,
    seconds: DemoSeconds = 30.0,
    train: DemoVideos = 5,
    test: DemoVideos = 4,
    false_alarms_per_hour: AlarmsPerHour = 60.0,
    progress: ProgressCallback | None = None,
) -> Demonstration:
    """Film a street, learn it, find what is odd, measure that, and write the report.

    Args:
        out: where everything goes.
        seed: another seed is another street.
        seconds: length of each video.
        train: how many normal videos are learned.
        test: how many are looked through; of two or more, one is wholly normal.
        false_alarms_per_hour: how often an alarm may be false; so little normal video supports no
            low rate.
        progress: called with how far the work is.
    """
    folder = room(Path(out))
    street, found = folder / "street", room(folder / "found")
    began = time.perf_counter()
    logger.info("1. filming a street: normal videos, and some in which we know what is odd")
    scene = film_street(street, seed=seed, train=train, test=test, seconds=seconds)
    logger.info("2. learning what is normal there, from the normal videos alone")
    name, split = open_data("simulated", street)
    fitted = fit_videos(
        member("methods", DEFAULT_METHOD, "method")(),
        split.train,
        data=name,
        out=folder / "run",
        false_alarms_per_hour=false_alarms_per_hour,
    )
    remove_unfinished(fitted.folder)
    logger.info("3. finding what is odd in the others, and measuring that against the truth")
    tests = test_videos(name, split)
    with hold_score_files(*score_files(found, tests)):
        measured, left_out = measure_run(fitted, name, tests, fitted.threshold, found)
        write_json(found / "evaluation.json", to_plain(measured.values))
        write_evaluation_report(
            found, fitted, fitted.threshold, measured, left_out=left_out, overlay=True
        )
    took = time.perf_counter() - began
    values = dict(measured.values)
    return Demonstration(
        folder, scene, fitted, values, found / "report.html", round(took, 3), left_out
    )
