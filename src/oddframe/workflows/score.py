"""Say what was odd in a video, where, and how sure that is."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.datasets.discovery import collect_videos
from oddframe.errors import BadVideo
from oddframe.files import aside, room, write_json
from oddframe.progress import logger
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.events import find_events
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, remove_unpacked_after, score_to
from oddframe.types import Event, Truth, Video
from oddframe.visualization.animation import write_film, write_score_animation
from oddframe.visualization.architecture import run_pictures
from oddframe.visualization.explain import reasons_for
from oddframe.visualization.overlay import overlay as draw_overlay
from oddframe.visualization.overlay import overlay_frames
from oddframe.visualization.plots import write_calibration_png, write_timeline_png
from oddframe.visualization.reconstructions import write_reconstructions
from oddframe.visualization.report import frames_seen, write_report
from oddframe.visualization.thumbnails import EventPictures, write_event_pictures
from oddframe.visualization.timeline import Timeline, clock, duration, file_stem, place, rareness


def score(
    run: Path,
    videos: list[Path],
    *,
    out: Path,
    false_alarms_per_hour: float | None = None,
    overlay: bool = True,
    clips: bool = True,
    maps: bool = True,
    animation: bool = False,
    frames: bool = False,
    film: bool = False,
    fps: float | None = None,
    device: str = "cpu",
    json: bool = False,
) -> dict[str, Any]:
    """Find what is odd in videos, with the detector of a run.

    Writes into OUT: scores.csv (every scored frame), events.json, NAME.npz (scores and maps), NAME.overlay.mp4,
    a picture and a cut of each event, NAME.timeline.png, report.html. Videos already scored there by the same run are
    not scored again.

    Args:
        run: the folder that `oddframe fit` wrote.
        videos: video files, folders of frames, or folders of videos.
        out: where results go; made if need be.
        false_alarms_per_hour: threshold for another rate than the run's own.
        overlay: write the video with heat map, boxes and score ribbon.
        clips: cut each event out of its video.
        maps: keep the maps that say where.
        animation: write NAME.growing.mp4, the score growing beside the video.
        frames: write the overlay as pictures too, one a frame, into NAME.overlay.
        film: write folders of pictures as videos too, NAME.film.mp4.
        fps: frames per second, for folders of pictures and files that say it wrongly.
        device: where networks run: cpu, cuda, cuda:1 …
        json: print one JSON object instead of lines for a person.
    """
    fitted = load_run(run, device)
    threshold = fitted.threshold_for(false_alarms_per_hour)
    given = collect_videos(videos, fps)
    out = room(out)
    with remove_unpacked_after(*(_npz(out, video) for video in given)):
        stored, failed = _score_all(given, fitted, out, maps)
        seen = frames_seen(fitted.calibration)
        timelines = [
            decide(one, threshold, out, seen=seen, overlay=overlay, clips=clips) for one in stored
        ]
        pictures = more_pictures(
            out, fitted, timelines, animation=animation, frames=frames, film=film
        )
        result = write_results(out, fitted, threshold, stored, timelines, pictures=pictures)
    if json:
        print(dumps(result, indent=2))
    else:
        tell(timelines, threshold)
        print(f"report: {out / 'report.html'}")
    if failed:
        raise BadVideo(
            f"{len(failed)} of {len(given)} videos could not be scored; the first: {failed[0]}"
        )
    return result


def _score_all(
    given: Sequence[Video], fitted: FittedDetector, out: Path, maps: bool
) -> tuple[list[ScoredVideo], list[str]]:
    """What could be scored, and a line for each video that could not. Raises BadVideo when none could."""
    stored: list[ScoredVideo] = []
    failed: list[str] = []
    for video in given:
        try:
            one = score_to(_npz(out, video), fitted, video, maps=maps)
            for line in one.damage:
                logger.warning(f"damaged: {line}")
            if not len(one.scores):
                one.path.unlink()
                raise BadVideo(
                    f"{video.source} is too short: {fitted.detector.name} could score none of its frames"
                )
            stored.append(one)
        except BadVideo as error:
            if len(given) == 1:
                raise
            failed.append(str(error))
            logger.warning(f"left out: {error}")
    if not stored:
        raise BadVideo(f"none of {len(given)} videos could be scored; the first: {failed[0]}")
    return stored, failed


def _npz(out: Path, video: Video) -> Path:
    return out / f"{video.name}.npz"


def decide(
    one: ScoredVideo,
    threshold: Threshold,
    out: Path,
    *,
    seen: int,
    overlay: bool,
    clips: bool,
    truth: Truth | None = None,
) -> Timeline:
    """Events, and the pictures that belong to one video. `seen` is how many normal frames rarities come from."""
    events = find_events(one.scores, threshold.rarity)
    timeline = Timeline(one.video, one.scores, events, threshold.rarity, truth, seen=seen)
    if overlay:  # one decode for the overlay and for what is cut out of it
        name = f"{one.video.name}.overlay.mp4"
        with EventPictures(out / "events", timeline, clips=clips) as pictures:
            draw_overlay(out / name, timeline, on_frame=pictures.take)
        timeline = replace(timeline, overlay=Path(name), events=pictures.events)
    else:
        shown = write_event_pictures(out / "events", timeline, clips=clips)
        timeline = replace(timeline, events=shown)
    write_timeline_png(out / f"{one.video.name}.timeline.png", timeline)
    return timeline


def more_pictures(
    out: Path,
    fitted: FittedDetector,
    timelines: Sequence[Timeline],
    *,
    animation: bool = False,
    frames: bool = False,
    film: bool = False,
) -> dict[str, Path]:
    """What only some methods can show, or only some people ask for; what the report takes in, by title."""
    pictures = write_reconstructions(fitted.detector, timelines, out)
    for line in timelines:
        stem = file_stem(line.video.name)
        if animation:
            pictures[f"{line.video.name}: the score growing"] = path = out / f"{stem}.growing.mp4"
            write_score_animation(path, line)
        if frames:
            overlay_frames(out / f"{stem}.overlay", line)
        if film and line.video.source.is_dir():
            write_film(out / f"{stem}.film.mp4", line.video)
    return pictures | run_pictures(fitted.folder)


def write_results(
    out: Path,
    fitted: FittedDetector,
    threshold: Threshold,
    stored: Sequence[ScoredVideo],
    timelines: Sequence[Timeline],
    evaluation: dict[str, Any] | None = None,
    curves: dict[str, Any] | None = None,
    pictures: dict[str, Path] | None = None,
) -> dict[str, Any]:
    """scores.csv, events.json, calibration.png and report.html for what was scored and decided."""
    _write_csv(out / "scores.csv", list(zip(stored, timelines, strict=True)))
    result = {
        "run": str(fitted.folder),
        "method": fitted.detector.name,
        "threshold": asdict(threshold),
        "videos": [_told(one, line, out) for one, line in zip(stored, timelines, strict=True)],
    }
    write_json(out / "events.json", result)
    write_calibration_png(out / "calibration.png", fitted.calibration, threshold)
    write_report(
        out / "report.html",
        timelines,
        title=f"{fitted.detector.name} on {_names(timelines)}",
        facts=report_facts(fitted, threshold),
        calibration=(fitted.calibration, threshold),
        evaluation=evaluation,
        curves=curves,
        reasons=reasons_for(fitted.detector, timelines, out / "events"),
        pictures=pictures,
    )
    return result


def report_facts(fitted: FittedDetector, threshold: Threshold) -> dict[str, Any]:
    """The rows of the report's last table."""
    facts = fitted.facts
    return {
        "method": fitted.detector.name,
        "options": fitted.detector.options,
        "learned": facts.get("learned", {}),
        "trained on": [video["name"] for video in facts["trained_on"]],
        "normal video for calibration": f"{fitted.calibration.hours:.3f} h, {fitted.calibration.how}",
        "threshold": f"rarity {threshold.rarity:.2f} for {threshold.asked:g} false alarms per hour; {threshold.note}",
        "lookahead": f"{fitted.lookahead} frames",
        "fitted": f"{facts['began']} in {facts['seconds']['fit']:.1f} s",
        "command": facts["command"],
        "versions": {"oddframe": facts["oddframe"], "commit": facts["commit"], **facts["versions"]},
        "machine": facts["machine"],
    }


def _write_csv(path: Path, pairs: Sequence[tuple[ScoredVideo, Timeline]]) -> None:
    named = list(dict.fromkeys(name for one, _ in pairs for name in one.scores.components))
    with aside(path) as part, part.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            [
                "video",
                "frame",
                "seconds",
                "score",
                "rarity",
                "event",
                *(f"part.{name}" for name in named),
            ]
        )
        for one, line in pairs:
            scores = one.scores
            number = np.zeros(len(scores), int)
            for n, event in enumerate(line.events, start=1):
                number[(scores.seconds >= event.start) & (scores.seconds < event.end)] = n
            for at in range(len(scores)):
                row = (
                    scores.frame[at],
                    f"{scores.seconds[at]:.3f}",
                    f"{one.score[at]:.6g}",
                    f"{scores.value[at]:.4f}",
                )
                made_of = [
                    f"{scores.components[name][at]:.6g}" if name in scores.components else ""
                    for name in named
                ]
                rows.writerow([one.video.name, *row, number[at] or "", *made_of])


def _told(one: ScoredVideo, line: Timeline, out: Path) -> dict[str, Any]:
    return {
        "video": one.video.name,
        "source": str(one.video.source),
        "frames_scored": len(one.scores),
        "seconds": line.length,
        "highest_rarity": float(one.scores.value.max()) if len(one.scores) else None,
        "damage": list(one.damage),
        "overlay": str(line.overlay) if line.overlay else None,
        "events": [_event(event, out) for event in line.events],
    }


def _event(event: Event, out: Path) -> dict[str, Any]:
    def beside(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(out).as_posix()

    return {**asdict(event), "picture": beside(event.picture), "clip": beside(event.clip)}


def tell(timelines: Sequence[Timeline], threshold: Threshold) -> None:
    """What was found, for a person: when, how rare, where; and of a quiet video its least usual moment."""
    for line in timelines:
        count = len(line.events)
        print(
            f"{line.video.name}: {count or 'no'} event{'s' * (count != 1)} in {duration(line.length)}"
        )
        for event in line.events:
            where = "" if event.box is None else f", {place(event.box)}"
            lasts = f"{clock(event.start)} for {duration(event.end - event.start)}"
            print(
                f"  {lasts:18} {rareness(event.peak, line.seen)}{where} (rarity {event.peak:.1f})"
            )
        if not count and len(line.scores):
            at = int(line.rarity.argmax())
            moment = clock(float(line.scores.seconds[at]))
            print(
                f"  the least usual moment: {moment}, {rareness(float(line.rarity[at]), line.seen)}"
            )
    print(f"threshold: rarity {threshold.rarity:.2f}; {threshold.note}")


def _names(timelines: Sequence[Timeline]) -> str:
    return timelines[0].video.name if len(timelines) == 1 else f"{len(timelines)} videos"
