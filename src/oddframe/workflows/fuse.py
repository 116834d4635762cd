"""Several runs on several streams of the same recordings: each alone, and all together."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from oddframe.datasets.base import open_data
from oddframe.errors import BadInput, OddframeError
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.fusion import fused
from oddframe.evaluation.measured_run import refuse_learned, test_videos
from oddframe.evaluation.metrics import auc
from oddframe.evaluation.video_set import VideoSet
from oddframe.files import room, write_json
from oddframe.left_out import LeftOut, do_each, problem_with
from oddframe.options import FramesPerSecond, Range
from oddframe.progress import ProgressCallback
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, hold_score_files, score_to
from oddframe.types import Scores, Video
from oddframe.visualization.outputs import (
    VideoResult,
    draw_video,
    video_result,
    write_scores_csv,
)
from oddframe.visualization.report import write_report

Rarity = Annotated[float, Range(1e-3, 12)]


@dataclass(frozen=True)
class Fusion(Result):
    """What several streams are worth, each alone and all by their mean rarity."""

    dataset: str
    recordings: int
    streams: Mapping[str, Mapping[str, float | None]]  # "all" first, then each stream
    threshold: Mapping[str, Any]
    videos: tuple[VideoResult, ...]
    left_out: tuple[LeftOut, ...]
    seconds: float
    folder: Path
    report: Path

    def to_dict(self) -> dict[str, Any]:
        """What fusion.json holds."""
        values = dict(vars(self))
        for name in ("folder", "report"):
            values.pop(name)
        return to_plain(values)

    def problem(self) -> OddframeError | None:
        """Videos of one stream that could not be scored."""
        total = self.recordings + len(self.left_out)
        return problem_with(self.left_out, total, "scored")


@dataclass(frozen=True)
class StreamRun:
    """One run with the test videos of the stream that it has learned."""

    label: str
    fitted: FittedDetector
    tests: tuple[Video, ...]


@workflow
def fuse(
    runs: Sequence[str | Path],
    data: str | Path,
    *,
    root: str | Path | None = None,
    out: str | Path = Path("fused"),
    rarity: Rarity | None = None,
    overlay: bool = False,
    frame_rate: FramesPerSecond | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Fusion:
    """Measure runs on several streams of the same recordings, each alone and all by their mean
    rarity.

    Each run is one that `oddframe fit --stream` wrote; all are looked at before anything is scored.
    Writes fusion.json and, of the recordings with all streams together, what `oddframe score`
    writes: scores.csv, events.json, pictures of events and report.html.

    Args:
        runs: the folders that `oddframe fit` wrote, one a stream.
        data: a data set whose videos have streams.
        root: where a named data set lies.
        out: where results go.
        rarity: mean rarity from which there is an event; the mean of the runs' thresholds unless
            given.
        overlay: write the video of one stream with the score ribbon for every recording.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    if len(runs) < 2:
        raise BadInput("fusing takes two runs or more, and then the data set they are measured on")
    began = time.perf_counter()
    opened = open_streams(runs, str(data), root, device, frame_rate)
    folder = room(Path(out))
    threshold = mean_threshold([one.fitted.threshold for one in opened], rarity)
    streams: dict[str, dict[str, EvaluatedVideo]] = {}
    left_out: list[LeftOut] = []
    sources: dict[str, Video] = {}
    for one in opened:
        judged, refused = score_stream(one, folder)
        streams[one.label] = judged
        left_out += refused
        for video in one.tests:
            sources.setdefault(recording_of(video), video)
    together = fused(streams)
    numbers = {"all": fused_auc(together)}
    for label, recordings in streams.items():
        numbers[label] = fused_auc(list(recordings.values()))
    found = write_fused(folder, together, sources, threshold, opened, overlay)
    result = Fusion(
        dataset=str(data),
        recordings=len(together),
        streams=numbers,
        threshold={"rarity": threshold.rarity, "note": threshold.note},
        videos=found,
        left_out=tuple(left_out),
        seconds=round(time.perf_counter() - began, 3),
        folder=folder,
        report=folder / "report.html",
    )
    write_json(folder / "fusion.json", result.to_dict())
    return result


def open_streams(
    runs: Sequence[str | Path],
    data: str,
    root: str | Path | None,
    device: str,
    frame_rate: float | None = None,
) -> list[StreamRun]:
    """Every run with its stream and test videos. Raises BadInput, BadRun or Leak, before anything
    is scored.
    """
    fitted = [load_run(run, device) for run in runs]
    opened: list[StreamRun] = []
    for run, one in zip(runs, fitted, strict=True):
        label = one.facts.get("stream")
        if not label:
            raise BadInput(f"{run} has learned no single stream; fit it with --stream")
        if label in [other.label for other in opened]:
            raise BadInput(f"two runs have learned the stream {label}; give one of each")
        _, split = open_data(data, root, label, fps=frame_rate)
        tests = test_videos(f"{data}, stream {label},", split)
        refuse_learned(one, tests)
        opened.append(StreamRun(label, one, tuple(tests)))
    return opened


def score_stream(
    stream: StreamRun, folder: Path
) -> tuple[dict[str, EvaluatedVideo], tuple[LeftOut, ...]]:
    """The test videos of one stream beside their truth, by recording, without what only one stream
    has.
    """

    def score_one(video: Video) -> tuple[str, EvaluatedVideo]:
        path = folder / f"{video.name}.npz"
        with hold_score_files(path):
            stored = score_to(path, stream.fitted, video, maps=False)
            judged = align_with_truth(stored, stream.fitted.threshold)
        plain = replace(
            judged,
            map=None,
            boxes=None,
            map_frame=None,
            events=(),
            parts={},
            raw_parts={},
            frame_rank=stream.fitted.calibration.rarity(judged.ranking, ceiling=math.inf),
        )
        return recording_of(video), plain

    scored, left_out = do_each(
        stream.tests, score_one, name_of=lambda video: video.name, done="scored"
    )
    return dict(scored), left_out


def mean_threshold(thresholds: Sequence[Threshold], rarity: float | None) -> Threshold:
    """The threshold of the mean rarity: given, or the mean of the streams' own."""
    first = thresholds[0]
    if rarity is not None:
        note = (
            "a mean rarity that was asked for; how often it is reached on normal video is unknown"
        )
    else:
        rarity = float(np.mean([one.rarity for one in thresholds]))
        note = "the mean of the runs' own thresholds; false alarms of the mean were not counted"
    unknown = float("nan")
    return replace(
        first,
        rarity=rarity,
        asked=unknown,
        expected=unknown,
        interval=(unknown, unknown),
        counted=False,
        supported=unknown,
        note=note,
    )


def write_fused(
    folder: Path,
    together: Sequence[EvaluatedVideo],
    sources: Mapping[str, Video],
    threshold: Threshold,
    streams: Sequence[StreamRun],
    overlay: bool,
) -> tuple[VideoResult, ...]:
    """Scores, events and a report of the recordings as all streams judge them."""
    pairs = []
    for one in together:
        video = replace(sources[one.video], name=one.video)
        frame = np.arange(len(one.value))
        scores = Scores(one.video, frame, one.seconds, one.value)
        stored = ScoredVideo(video, scores, one.value, one.raw, {}, (), folder)
        line = draw_video(
            stored, threshold, folder, seen=0, overlay=overlay, clips=True, truth=one.truth
        )
        pairs.append((stored, replace(line, seen=None)))
    write_scores_csv(folder / "scores.csv", pairs)
    found = tuple(video_result(stored, line, folder) for stored, line in pairs)
    names = []
    runs = []
    for stream in streams:
        names.append(stream.label)
        runs.append(str(stream.fitted.folder))
    facts = {
        "streams": names,
        "runs": runs,
        "threshold": f"mean rarity {threshold.rarity:.2f}; {threshold.note}",
    }
    values = {"streams": names, "threshold": threshold, "videos": found}
    write_json(folder / "events.json", to_plain(values))
    lines = [line for _, line in pairs]
    title = f"{', '.join(names)} on {len(lines)} recordings"
    write_report(folder / "report.html", lines, title=title, facts=facts)
    return found


def recording_of(video: Video) -> str:
    """What a video of a stream is called without the stream.

    >>> recording_of(Video("val01_rec1-top_ir", Path(), label="top_ir"))
    'val01_rec1'
    >>> recording_of(Video("top-monday", Path(), label="top"))  # of your own, test/top/monday.mp4
    'monday'
    """
    return video.name.removesuffix(f"-{video.label}").removeprefix(f"{video.label}-")


def fused_auc(judged: Sequence[EvaluatedVideo]) -> dict[str, float | None]:
    """Micro AUC, honest and as published."""
    test = VideoSet(judged)
    return {
        "micro_auc": auc(test.anomalous, test.ranking),
        "micro_auc_as_published": test.published("")[0],
    }
