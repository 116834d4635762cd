"""What a detector is worth on a data set: honest, as published, and beside the baselines."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.base import open_data
from oddframe.datasets.discovery import printable
from oddframe.errors import BadInput
from oddframe.evaluation.baselines import measure_baselines
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.event_metrics import flagged_normal_frames
from oddframe.evaluation.localization import find_places
from oddframe.evaluation.protocol import curves, measure, refuse_leak
from oddframe.files import room, write_json
from oddframe.progress import logger
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, remove_unpacked_after, score_to
from oddframe.video.reader import content_hash
from oddframe.visualization.plots import (
    detection_curves,
    roc_curves,
    write_detection_png,
    write_regularity_png,
    write_roc_png,
    write_spread_png,
)
from oddframe.visualization.report import frames_seen
from oddframe.visualization.timeline import file_stem
from oddframe.workflows.score import decide, more_pictures, write_results


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
            logger.warning(f"left out: {video.name} has no ground truth")
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
        judged = [align_with_truth(one, threshold) for one in stored]
        for one in judged:
            if one.truth.note:
                logger.warning(f"note: {one.video}: {one.truth.note}")
        places = find_places(judged)
        found = measure(
            judged,
            lookahead=fitted.lookahead,
            expected_false_alarms=threshold.expected,
            places=places,
        )
        result = {
            "dataset": name,
            "detector": fitted.detector.name,
            **found.to_dict(),
            "baselines": measure_baselines(tests, judged),
            "seconds": seconds,
            "threshold": {"rarity": threshold.rarity, "note": threshold.note},
            "flagged_normal_frames": asdict(flagged_normal_frames(judged, threshold)),
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
    for key, value in published.items():
        if key not in honest and value is not None:
            rows.append(f"{key:24}{'':>18}{value:>14.4f}")
    rows += _lines_of_parts(result)
    for name, numbers in result["baselines"].items():
        value = numbers["micro_auc"]
        rows.append(f"{'micro_auc of ' + name:30}{'–' if value is None else f'{value:.4f}':>12}")
    for kind, numbers in result["kinds"].items():
        value, met = numbers["auc"], f"{numbers['found']} of {numbers['stretches']} raised an event"
        rows.append(f"{'auc of ' + kind:30}{'–' if value is None else f'{value:.4f}':>12}   {met}")
    expected = result["expected"]["false_alarms_per_hour"]
    if expected is not None:
        rows.append(
            f"expected false alarms per hour, by calibration on normal video: {expected:.4f}"
        )
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
    write_roc_png(folder / "roc.png", roc_curves(drawn))
    write_detection_png(folder / "detection.png", detection_curves(drawn))
    normal, odd = (
        np.concatenate([video.value[video.truth.frame == flag] for video in judged])
        for flag in (False, True)
    )
    write_spread_png(folder / "spread.png", normal, odd, threshold.rarity)
    pictures = more_pictures(folder, fitted, timelines, animation=animation)
    for one, line in zip(stored, timelines, strict=True):
        path = folder / f"{file_stem(line.video.name)}.regularity.png"
        level = float(np.min(one.score[one.scores.value >= threshold.rarity], initial=np.inf))
        write_regularity_png(path, line, one.score, level)
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
