"""What a detector is worth on a data set: honest, as published, and beside the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oddframe.datasets.base import OfficialSplit, open_data
from oddframe.errors import BadInput, OddframeError
from oddframe.evaluation.measured_run import measure_run, refuse_learned, test_videos
from oddframe.files import room, write_json
from oddframe.left_out import LeftOut, problem_with
from oddframe.options import AlarmsPerHour, FramesPerSecond, Lookahead
from oddframe.progress import ProgressCallback
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.run_folder import load_run
from oddframe.scoring.score_store import hold_score_files, score_files
from oddframe.visualization.evaluation_report import write_evaluation_report
from oddframe.visualization.outputs import write_video_csv

Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class EvaluationResult(Result):
    """What a run is worth on a data set; docs/evaluation.md says what each number means."""

    dataset: str
    detector: str
    frames: int
    honest: Numbers  # no number fitted to the test
    as_published: Numbers
    place: Numbers
    expected: Numbers  # what calibration on normal video promises
    parts: Mapping[str, Numbers]  # of the score, where the method says what it was made of
    kinds: Mapping[str, Numbers]  # of anomalies, where the truth names them
    videos: Mapping[str, float | None]  # AUC by video
    one_class_videos: Sequence[str]  # without an AUC of their own
    events: int
    segments: int
    notes: Sequence[str]
    why_null: Mapping[str, str]  # why a number is None
    baselines: Mapping[str, Numbers]
    seconds: Numbers
    threshold: Numbers
    flagged_normal_frames: Numbers
    left_out: tuple[LeftOut, ...]
    folder: Path
    report: Path | None
    more: Numbers  # what the protocol measures besides
    lookahead_seconds: float = 0.0  # that smoothing has looked ahead

    def to_dict(self) -> dict[str, Any]:
        """What evaluation.json holds."""
        values = dict(vars(self))
        for name in ("folder", "report"):
            values.pop(name)
        more = values.pop("more")
        return to_plain(values | more)

    def problem(self) -> OddframeError | None:
        """Test videos that could not be measured."""
        total = len(self.videos) + len(self.left_out)
        return problem_with(self.left_out, total, "measured", "test videos")


@workflow
def evaluate(
    run: str | Path,
    data: str | Path,
    *,
    root: str | Path | None = None,
    split: OfficialSplit | None = None,
    stream: str | None = None,
    out: str | Path | None = None,
    false_alarms_per_hour: AlarmsPerHour | None = None,
    overlay: bool = False,
    animation: bool = False,
    report: bool = True,
    frame_rate: FramesPerSecond | None = None,
    lookahead: Lookahead = 0.0,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> EvaluationResult:
    """Measure a run on a data set with ground truth, under the honest protocol and under the
    published one.

    Refuses when a test video was also learned from. Writes evaluation.json, videos.csv, scores,
    plots and report.html into OUT. Test videos that cannot be read are left out, and named.

    Args:
        run: the folder that `oddframe fit` wrote.
        data: a data set, as `oddframe datasets` lists them, or a folder of your own with test and
            truth.
        root: where a named data set lies.
        split: number of an official split, of data sets that have several.
        stream: of videos with several, the one to measure on; the one the run has learned unless
            given.
        out: where results go; RUN/evaluation-DATA unless given, with a lookahead
            RUN/evaluation-DATA-lookahead-SECONDSs.
        false_alarms_per_hour: threshold for another rate than the run's own.
        overlay: write the video with heat map, boxes and score ribbon for every test video.
        animation: write NAME.growing.mp4 for every test video, the score growing beside it.
        report: write the pictures and the report; without it only evaluation.json and the scores.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly.
        lookahead: seconds that scores are smoothed with what comes after them too, which a live
            stream cannot be; the threshold is for such scores.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    if not report and (overlay or animation):
        raise BadInput("--overlay and --animation belong to the report; leave --no-report away")
    fitted = load_run(run, device).with_lookahead(lookahead)
    label = stream or fitted.facts.get("stream")
    name, found = open_data(str(data), root, label, split, frame_rate)
    tests = test_videos(name, found)
    refuse_learned(fitted, tests)
    threshold = fitted.threshold_for(false_alarms_per_hour)
    if out is None:
        out = fitted.folder / f"evaluation-{name}"
        if lookahead:  # beside what a live stream would reach, not in its place
            out = fitted.folder / f"evaluation-{name}-lookahead-{lookahead:g}s"
    folder = room(Path(out))
    page = None
    with hold_score_files(*score_files(folder, tests)):
        measured, left_out = measure_run(fitted, name, tests, threshold, folder)
        write_json(folder / "evaluation.json", to_plain(measured.values))
        write_video_csv(folder / "videos.csv", measured.videos, measured.values["videos"])
        if report:
            page = folder / "report.html"
            write_evaluation_report(
                folder,
                fitted,
                threshold,
                measured,
                left_out=left_out,
                overlay=overlay,
                animation=animation,
            )
    return evaluation_of(measured.values, left_out, folder, page)


def evaluation_of(
    values: Mapping[str, Any], left_out: tuple[LeftOut, ...], folder: Path, report: Path | None
) -> EvaluationResult:
    """What was measured, as a value."""
    given: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in values.items():
        if name in EvaluationResult.__dataclass_fields__:
            given[name] = value
        else:
            more[name] = value
    given |= {"left_out": left_out, "folder": folder, "report": report, "more": more}
    return EvaluationResult(**given)
