"""Several runs on the same scene, of different methods or of different streams of the same recordings:
each alone, and all together.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from oddframe.datasets.base import open_data
from oddframe.errors import BadInput, OddframeError
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.fused_runs import (
    Weighing,
    judged_by,
    refuse_learned_by_any,
    refuse_other_cameras,
    score_together,
    videos_to_fuse,
    weigh,
)
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
from oddframe.scoring.fused_scores import shares_of
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, hold_score_files, score_to
from oddframe.types import Scores, Video
from oddframe.visualization.outputs import (
    VideoResult,
    draw_video,
    video_result,
    write_scores_csv,
)
from oddframe.visualization.report import frames_seen, write_report
from oddframe.visualization.timeline import Timeline

Rarity = Annotated[float, Range(1e-3, 12)]


@dataclass(frozen=True)
class Fusion(Result):
    """What several runs say, each alone and all by their mean rarity."""

    dataset: str
    recordings: int
    # "all" first, then each stream, or each run of another method; empty without truth
    streams: Mapping[str, Mapping[str, float | None]]
    weights: Mapping[str, float]  # how much of the mean each is, from 0 to 1
    aucs: Mapping[str, float]  # what weights were earned by; empty where they were not
    weighing: str  # the same in words
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
    weights: Weighing | None = None,
    rarity: Rarity | None = None,
    overlay: bool = False,
    clips: bool = True,
    frame_rate: FramesPerSecond | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Fusion:
    """Judge videos by several runs together, by the mean of their rarities: runs of different
    methods on the same videos, or one on each stream of the same recordings.

    All runs are looked at before anything is scored. Writes fusion.json and, of what all say
    together, what `oddframe score` writes: scores.csv, events.json, pictures of events and
    report.html. Where there is truth, each run is measured alone and all together. Runs of
    different methods count as much as they have earned on normal video into which faults are put;
    no label is read for that.

    Args:
        runs: the folders that `oddframe fit` wrote, all of one camera, or one a stream.
        data: a data set, a folder of your own, or a video; of runs on streams a data set that has
            them.
        root: where a named data set lies.
        out: where results go.
        weights: how much runs of different methods count: earned, which is usual where the normal
            video that they learned from is still there, or equal. Streams count the same.
        rarity: mean rarity from which there is an event; the mean of the runs' thresholds unless
            given.
        overlay: write every video, of streams that of one, with heat map and score ribbon.
        clips: cut each event out of its video.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    if len(runs) < 2:
        raise BadInput("fusing takes two runs or more, and then the data set they are measured on")
    fitted = [load_run(run, device) for run in runs]
    given = Given(str(data), root, frame_rate, Path(out), rarity, overlay, clips)
    labels = {one.facts.get("stream") for one in fitted}
    if len(labels) == 1:
        return fuse_methods(fitted, labels.pop(), given, weights)
    if weights == "earned":
        raise BadInput("--weights earned is for runs on the same videos; streams count the same")
    return fuse_streams(fitted, given)


@dataclass(frozen=True)
class Given:
    """What `fuse` was asked for besides runs, as its arguments say."""

    data: str
    root: str | Path | None
    frame_rate: float | None
    out: Path
    rarity: float | None
    overlay: bool
    clips: bool


def fuse_methods(
    fitted: Sequence[FittedDetector], stream: str | None, given: Given, weights: Weighing | None
) -> Fusion:
    """Runs of any methods on the same videos."""
    began = time.perf_counter()
    refuse_other_cameras(fitted)
    name, videos = videos_to_fuse(given.data, given.root, stream, given.frame_rate)
    refuse_learned_by_any(fitted, videos)
    folder = room(given.out)
    weighed = weigh(fitted, weights or "earned")
    shares = shares_of(weighed.runs)
    threshold = mean_threshold([one.threshold for one in fitted], given.rarity, shares.values())
    found, left_out = score_together(weighed.runs, videos, folder)
    judged = judged_by(found, weighed.runs, threshold)
    numbers = {}
    if judged["all"]:
        numbers = {label: fused_auc(these) for label, these in judged.items()}
    pairs = []
    truth = {one.video: one.truth for one in judged["all"]}
    seen = min(frames_seen(one.calibration) for one in fitted)
    for one in found:
        line = draw_video(
            one.fused,
            threshold,
            folder,
            seen=seen,
            overlay=given.overlay,
            clips=given.clips,
            truth=truth.get(one.fused.video.name),
        )
        pairs.append((one.fused, line))
    aucs = dict(zip(shares, weighed.aucs or (), strict=False))
    warnings = []
    for label in weighed.silent():
        warnings.append(
            f"{label} falls silent: it tells normal video with faults from normal video no better "
            f"than chance (AUC {aucs[label]:.2f})"
        )
    if weighed.aucs is None:
        warnings.append(weighed.how)
    for stored, _ in pairs:
        warnings += [f"{stored.video.name}: {note}" for note in stored.notes]
    facts: dict[str, Any] = {
        "methods": list(shares),
        "runs": [str(one.folder) for one in fitted],
        "weights": {label: f"{share:.0%}" for label, share in shares.items()},
        "how runs were weighed": weighed.how,
    }
    videos_found = write_fused(
        folder, pairs, threshold, facts, left_out=left_out, warnings=warnings, what="videos"
    )
    result = Fusion(
        dataset=name,
        recordings=len(found),
        streams=numbers,
        weights=shares,
        aucs=aucs,
        weighing=weighed.how,
        threshold={"rarity": threshold.rarity, "note": threshold.note},
        videos=videos_found,
        left_out=left_out,
        seconds=round(time.perf_counter() - began, 3),
        folder=folder,
        report=folder / "report.html",
    )
    write_json(folder / "fusion.json", result.to_dict())
    return result


def fuse_streams(fitted: Sequence[FittedDetector], given: Given) -> Fusion:
    """One run on each of several streams of the same recordings."""
    began = time.perf_counter()
    opened = open_streams(fitted, given.data, given.root, given.frame_rate)
    folder = room(given.out)
    rarity = given.rarity
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
    pairs = [draw_recording(one, sources, threshold, given) for one in together]
    facts = {
        "streams": [one.label for one in opened],
        "runs": [str(one.fitted.folder) for one in opened],
    }
    found = write_fused(folder, pairs, threshold, facts, left_out=left_out, what="recordings")
    result = Fusion(
        dataset=given.data,
        recordings=len(together),
        streams=numbers,
        weights={one.label: 1 / len(opened) for one in opened},
        aucs={},
        weighing="streams count the same",
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
    fitted: Sequence[FittedDetector],
    data: str,
    root: str | Path | None,
    frame_rate: float | None = None,
) -> list[StreamRun]:
    """Every run with its stream and test videos. Raises BadInput or Leak, before anything is
    scored.
    """
    opened: list[StreamRun] = []
    for one in fitted:
        label = one.facts.get("stream")
        if not label:
            raise BadInput(
                f"{one.folder} has learned no single stream, and others have; fit it with --stream"
            )
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


def mean_threshold(
    thresholds: Sequence[Threshold], rarity: float | None, shares: Iterable[float] = ()
) -> Threshold:
    """The threshold of the mean rarity: given, or the mean of the runs' own, to which each adds its
    share; all the same without `shares`.
    """
    first = thresholds[0]
    if rarity is not None:
        note = (
            "a mean rarity that was asked for; how often it is reached on normal video is unknown"
        )
    else:
        own = [one.rarity for one in thresholds]
        rarity = float(np.average(own, weights=list(shares) or None))
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


def draw_recording(
    one: EvaluatedVideo, sources: Mapping[str, Video], threshold: Threshold, given: Given
) -> tuple[ScoredVideo, Timeline]:
    """One recording as all streams judge it, with its pictures."""
    video = replace(sources[one.video], name=one.video)
    frame = np.arange(len(one.value))
    scores = Scores(one.video, frame, one.seconds, one.value)
    stored = ScoredVideo(video, scores, one.value, one.raw, {}, (), given.out)
    line = draw_video(
        stored,
        threshold,
        given.out,
        seen=0,
        overlay=given.overlay,
        clips=given.clips,
        truth=one.truth,
    )
    return stored, replace(line, seen=None)


def write_fused(
    folder: Path,
    pairs: Sequence[tuple[ScoredVideo, Timeline]],
    threshold: Threshold,
    facts: Mapping[str, Any],
    *,
    left_out: Sequence[LeftOut],
    what: str,
    warnings: Sequence[str] = (),
) -> tuple[VideoResult, ...]:
    """Scores, events and a report of videos as all runs judge them. `facts` name the runs, those
    that go together first.
    """
    write_scores_csv(folder / "scores.csv", pairs)
    found = tuple(video_result(stored, line, folder) for stored, line in pairs)
    values = {**facts, "threshold": threshold, "videos": found, "left_out": left_out}
    write_json(folder / "events.json", to_plain(values))
    lines = [line for _, line in pairs]
    names = next(iter(facts.values()))
    write_report(
        folder / "report.html",
        lines,
        title=f"{', '.join(names)} on {len(lines)} {what}",
        facts={**facts, "threshold": f"mean rarity {threshold.rarity:.2f}; {threshold.note}"},
        warnings=warnings,
    )
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
