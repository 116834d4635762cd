"""What a detector is worth on a data set: honest, as published, and beside the baselines."""

import time
from collections.abc import Sequence
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.base import open_data
from oddframe.errors import BadInput, BadTruth
from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.evaluation.metrics import auc
from oddframe.evaluation.protocol import curves, every_frame, find_places, refuse_leak, table
from oddframe.files import room, write_json
from oddframe.progress import say
from oddframe.registry import member
from oddframe.run import Run
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.events import find_events, frame_ends
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, remove_unpacked_after, score_to
from oddframe.types import Floats, Truth, Video
from oddframe.video.reader import content_hash, times_of
from oddframe.visualization.plots import (
    detection_curves,
    detection_png,
    regularity_png,
    roc_curves,
    roc_png,
    spread_png,
)
from oddframe.visualization.report import frames_seen
from oddframe.visualization.timeline import file_stem
from oddframe.workflows.score import decide, more_pictures, printable, write_results

BASELINES = ("constant", "frame-difference")


def evaluate(
    run: Path,
    data: str,
    *,
    root: Path | None = None,
    stream: str | None = None,
    out: Path | None = None,
    false_alarms_per_hour: float | None = None,
    overlay: bool = False,
    animation: bool = False,
    report: bool = True,
    device: str = "cpu",
    json: bool = False,
) -> dict[str, Any]:
    """Measure a run on a data set with ground truth, under the honest protocol and under the published one.

    Refuses when a test video was also learned from. Writes evaluation.json, scores, plots and report.html into OUT.

    Args:
        run: the folder that `oddframe fit` wrote.
        data: a data set, as `oddframe datasets` lists them, or a folder of your own with test and truth.
        root: where a named data set lies.
        stream: of videos with several, the one to measure on; the one the run has learned unless given.
        out: where results go; RUN/evaluation-DATA unless given.
        false_alarms_per_hour: threshold for another rate than the run's own.
        overlay: write the video with heat map, boxes and score ribbon for every test video.
        animation: write NAME.growing.mp4 for every test video, the score growing beside it.
        report: write the pictures and the report; without it only evaluation.json and the scores.
        device: where networks run: cpu, cuda, cuda:1 …
        json: print one JSON object instead of a table.
    """
    fitted = load_run(run, device)
    name, split = open_data(data, root, stream or fitted.facts.get("stream"))
    tests = [
        replace(video, name=printable(video.name))
        for video in split.test
        if video.truth is not None
    ]
    if not tests:
        raise BadInput(
            f"{name} has no test video with ground truth, so there is nothing to measure against"
        )
    for video in split.test:
        if video.truth is None:
            say(f"left out: {video.name} has no ground truth")
    trained = {video["hash"]: video["name"] for video in fitted.facts["trained_on"]}
    refuse_leak(trained, {content_hash(video.source): video.name for video in tests})

    threshold = fitted.threshold_for(false_alarms_per_hour)
    folder = room(out or fitted.folder / f"evaluation-{name}")
    began = time.perf_counter()
    paths = [folder / f"{video.name}.npz" for video in tests]
    with remove_unpacked_after(*paths):
        stored = [score_to(path, fitted, video) for path, video in zip(paths, tests, strict=True)]
        seconds = {
            "fit": fitted.facts["seconds"]["fit"],
            "score": round(time.perf_counter() - began, 3),
        }
        judged = [judge(one, threshold) for one in stored]
        places = find_places(judged)
        kinds = found_by_kind(judged)
        found = table(
            judged,
            lookahead=fitted.lookahead,
            false_alarms_per_hour=threshold.expected,
            places=places,
        )
        result = {
            "dataset": name,
            "detector": fitted.detector.name,
            **found,
            "kinds": {kind: {**numbers, **kinds[kind]} for kind, numbers in found["kinds"].items()},
            "baselines": {baseline: _baseline(baseline, tests, judged) for baseline in BASELINES},
            "seconds": seconds,
            "threshold": {"rarity": threshold.rarity, "note": threshold.note},
            "flagged_normal_frames": _share_flagged(judged, threshold),
        }
        write_json(folder / "evaluation.json", result)
        if report:
            _write_report(
                folder,
                fitted,
                threshold,
                stored,
                judged,
                result,
                curves(judged, places),
                overlay,
                animation,
            )
    if json:
        print(dumps(result, indent=2))
    else:
        print("\n".join(lines(result)))
        if report:
            print(f"report: {folder / 'report.html'}")
    return result


def judge(one: ScoredVideo, threshold: Threshold) -> EvaluatedVideo:
    """A scored test video beside its truth, frame for frame. Raises BadTruth when their lengths differ."""
    assert one.video.truth is not None
    seconds = times_of(one.video)

    def spread(values: Floats) -> Floats:
        return every_frame(replace(one.scores, value=values), len(seconds))

    truth: Truth = one.video.truth(len(seconds))
    if len(truth.frame) != len(seconds):
        raise BadTruth(
            f"{one.video.name}: {len(seconds)} frames, but its truth is of {len(truth.frame)}"
        )
    if truth.note:
        say(f"note: {one.video.name}: {truth.note}")
    return EvaluatedVideo(
        one.video.name,
        value=spread(one.scores.value),
        raw=spread(one.raw),
        truth=truth,
        seconds=seconds,
        events=find_events(one.scores, threshold.rarity),
        map=one.scores.map,
        map_frame=one.scores.frame,
        boxes=one.scores.boxes,
        parts={name: spread(part) for name, part in one.scores.parts.items()},
        raw_parts={name: spread(part) for name, part in one.raw_parts.items()},
    )


def found_by_kind(judged: Sequence[EvaluatedVideo]) -> dict[str, dict[str, int]]:
    """For each kind of anomaly, how many stretches of it there are and how many of these met an event."""
    import numpy as np

    counts: dict[str, dict[str, int]] = {}
    for video in judged:
        if video.truth.kind is None:
            continue
        kind, ends = np.where(video.truth.frame, video.truth.kind, ""), frame_ends(video.seconds)
        starts = np.flatnonzero(np.append(True, kind[1:] != kind[:-1]))
        for first, last in zip(starts, np.append(starts[1:], len(kind)) - 1, strict=True):
            if name := str(kind[first]):
                count = counts.setdefault(name, {"stretches": 0, "found": 0})
                count["stretches"] += 1
                count["found"] += any(
                    event.start < ends[last] and event.end > video.seconds[first]
                    for event in video.events
                )
    return counts


def lines(result: dict[str, Any]) -> list[str]:
    """The result as a table for a person."""
    honest, published = result["honest"], result["as_published"]
    rows = [
        f"{result['detector']} on {result['dataset']}, {result['frames']} frames of {len(result['videos'])} videos",
        "",
    ]
    rows.append(f"{'':24}{'honest':>18}{'as published':>14}")
    for key, value in honest.items():
        if key == "micro_auc_interval":
            continue
        shown = "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        if key == "micro_auc" and honest.get("micro_auc_interval"):
            low, high = honest["micro_auc_interval"]
            rows.append(f"{'':24}{f'({low:.3f}–{high:.3f})':>18}")
        other = f"{published[key]:.4f}" if published.get(key) is not None else ""
        at = len(rows) - 1 if key == "micro_auc" and rows[-1].strip().startswith("(") else len(rows)
        rows.insert(at, f"{key:24}{shown:>18}{other:>14}")
    rows += _lines_of_parts(result)
    for name, numbers in result["baselines"].items():
        value = numbers["micro_auc"]
        rows.append(f"{'micro_auc of ' + name:30}{'–' if value is None else f'{value:.4f}':>12}")
    for kind, numbers in result["kinds"].items():
        value, met = numbers["auc"], f"{numbers['found']} of {numbers['stretches']} raised an event"
        rows.append(f"{'auc of ' + kind:30}{'–' if value is None else f'{value:.4f}':>12}   {met}")
    rows += [f"{key}: undefined, {why}" for key, why in result["why_null"].items()]
    return rows


def _lines_of_parts(result: dict[str, Any]) -> list[str]:
    """A table of what the score was made of, where the method says; its last row is the score itself."""
    if not result["parts"]:
        return []
    rows = [f"{'AUC of each part':24}{'micro':>9}{'macro':>9}{'as published':>14}{'macro':>9}"]
    for name, numbers in {**result["parts"], "combined": result}.items():
        cells = [
            numbers[column][key]
            for column in ("honest", "as_published")
            for key in ("micro_auc", "macro_auc")
        ]
        shown = ["–" if value is None else f"{value:.4f}" for value in cells]
        rows.append(f"{name:24}{shown[0]:>9}{shown[1]:>9}{shown[2]:>14}{shown[3]:>9}")
    return rows


def _baseline(
    name: str, tests: Sequence[Video], judged: Sequence[EvaluatedVideo]
) -> dict[str, float | None]:
    """Micro AUC of a method that learns nothing, on the same frames."""
    import numpy as np

    detector = member("methods", name, "method")()
    detector.fit([], Run(Path()))
    values = [
        every_frame(concatenate(score_video(detector, video), video.name), len(one.value))
        for video, one in zip(tests, judged, strict=True)
    ]
    odd = np.concatenate([one.truth.frame for one in judged])
    return {"micro_auc": auc(odd, np.concatenate(values))}


def _share_flagged(
    judged: Sequence[EvaluatedVideo], threshold: Threshold
) -> dict[str, float | None]:
    """Share of the test's normal frames at or above the threshold, and above the rarity of one frame in a hundred."""
    import numpy as np

    normal = np.concatenate([one.value[~one.truth.frame] for one in judged])
    if not len(normal):
        return {"at_threshold": None, "asked_for_1_percent": None}
    return {
        "at_threshold": float((normal >= threshold.rarity).mean()),
        "asked_for_1_percent": float((normal >= 2.0).mean()),
    }


def _write_report(
    folder: Path,
    fitted: FittedDetector,
    threshold: Threshold,
    stored: Sequence[ScoredVideo],
    judged: Sequence[EvaluatedVideo],
    result: dict[str, Any],
    drawn: dict[str, Any],
    overlay: bool,
    animation: bool,
) -> None:
    import numpy as np

    seen = frames_seen(fitted.calibration)
    timelines = [
        decide(one, threshold, folder, seen=seen, overlay=overlay, clips=overlay, truth=video.truth)
        for one, video in zip(stored, judged, strict=True)
    ]
    roc_png(folder / "roc.png", roc_curves(drawn))
    detection_png(folder / "detection.png", detection_curves(drawn))
    normal, odd = (
        np.concatenate([video.value[video.truth.frame == flag] for video in judged])
        for flag in (False, True)
    )
    spread_png(folder / "spread.png", normal, odd, threshold.rarity)
    pictures = more_pictures(folder, fitted, timelines, animation=animation)
    for one, line in zip(stored, timelines, strict=True):
        path = folder / f"{file_stem(line.video.name)}.regularity.png"
        level = float(np.min(one.score[one.scores.value >= threshold.rarity], initial=np.inf))
        regularity_png(path, line, one.score, level)
        pictures[f"{line.video.name}: regularity as published"] = path
    write_results(
        folder,
        fitted,
        threshold,
        stored,
        timelines,
        evaluation=result,
        curves=drawn,
        pictures=pictures,
    )
