"""What is written about scored videos: pictures and clips of events, scores.csv, events.json,
report.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.files import aside, write_json
from oddframe.left_out import LeftOut
from oddframe.results import to_plain
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.events import find_events
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import ScoredVideo
from oddframe.types import Event, Floats, IgnoredArea, Ints, Truth
from oddframe.video.ignored_files import area_in_words
from oddframe.visualization.animation import write_pictures_as_film, write_score_animation
from oddframe.visualization.architecture import run_pictures
from oddframe.visualization.explain import reasons_for
from oddframe.visualization.overlay import overlay as write_overlay
from oddframe.visualization.overlay import overlay_frames
from oddframe.visualization.plots import write_calibration_png, write_timeline_png
from oddframe.visualization.reconstructions import write_reconstructions
from oddframe.visualization.report import write_report
from oddframe.visualization.set_aside import pictures_of_set_aside
from oddframe.visualization.thumbnails import EventPictures, write_event_pictures
from oddframe.visualization.timeline import Timeline, file_stem

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # by which spreadsheets know a formula
COLUMNS = ("video", "frame", "seconds", "score", "rarity", "event")


@dataclass(frozen=True)
class FoundEvent:
    """An event with the files about it, relative to the folder of results."""

    video: str
    start: float  # seconds
    end: float
    peak: float  # rarity, −log10 p
    peak_seconds: float
    box: tuple[float, float, float, float] | None  # x1 y1 x2 y2 at the peak, fractions
    over: bool  # False: the video ended before the event did
    picture: str | None
    clip: str | None


@dataclass(frozen=True)
class Moment:
    """The least usual moment of a video in which there was no event."""

    seconds: float
    rarity: float


@dataclass(frozen=True)
class VideoResult:
    """What was found in one video."""

    video: str
    source: Path
    frames_scored: int
    seconds: float  # scored
    highest_rarity: float | None
    lost: tuple[str, ...]  # what could not be read
    notes: tuple[str, ...]  # what a reader must know, such as that the view has changed
    overlay: str | None
    events: tuple[FoundEvent, ...]
    least_usual: Moment | None
    normal_frames: int | None  # that rarities were learned from


def draw_video(
    one: ScoredVideo,
    threshold: Threshold,
    out: Path,
    *,
    seen: int,
    overlay: bool,
    clips: bool,
    truth: Truth | None = None,
) -> Timeline:
    """Find the events of one video, and write the pictures that belong to it.

    `seen` is how many normal frames rarities come from.
    """
    events = find_events(one.scores, threshold.rarity)
    timeline = Timeline(one.video, one.scores, events, threshold.rarity, truth, seen=seen)
    if overlay:  # one decode for the overlay and for what is cut out of it
        name = f"{one.video.name}.overlay.mp4"
        with EventPictures(out / "events", timeline, clips=clips) as pictures:
            write_overlay(out / name, timeline, on_frame=pictures.take)
        timeline = replace(timeline, overlay=Path(name), events=pictures.events)
    else:
        shown = write_event_pictures(out / "events", timeline, clips=clips)
        timeline = replace(timeline, events=shown)
    write_timeline_png(out / f"{one.video.name}.timeline.png", timeline)
    return timeline


def draw_extras(
    out: Path,
    fitted: FittedDetector,
    timelines: Sequence[Timeline],
    *,
    animation: bool = False,
    frames: bool = False,
    film: bool = False,
) -> dict[str, Path]:
    """Write what only some methods can show, or only some people ask for.

    Returns what the report takes in, by title.
    """
    pictures = write_reconstructions(fitted.detector, timelines, out)
    for line in timelines:
        stem = file_stem(line.video.name)
        if animation:
            path = out / f"{stem}.growing.mp4"
            write_score_animation(path, line)
            pictures[f"{line.video.name}: the score growing"] = path
        if frames:
            overlay_frames(out / f"{stem}.overlay", line)
        if film and line.video.source.is_dir():
            write_pictures_as_film(out / f"{stem}.film.mp4", line.video)
    aside = pictures_of_set_aside(fitted.folder, fitted.facts.get("set_aside", []))
    return pictures | run_pictures(fitted.folder) | aside


def write_results(
    out: Path,
    fitted: FittedDetector,
    threshold: Threshold,
    stored: Sequence[ScoredVideo],
    timelines: Sequence[Timeline],
    *,
    left_out: Sequence[LeftOut] = (),
    evaluation: Mapping[str, Any] | None = None,
    curves: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Path] | None = None,
) -> tuple[VideoResult, ...]:
    """Write scores.csv, events.json, calibration.png and report.html; returns what was found."""
    pairs = list(zip(stored, timelines, strict=True))
    write_scores_csv(out / "scores.csv", pairs)
    found = tuple(video_result(one, line, out) for one, line in pairs)
    write_json(out / "events.json", events_json(fitted, threshold, found, left_out))
    write_calibration_png(out / "calibration.png", fitted.calibration, threshold)
    subject = f"{len(timelines)} videos"
    if len(timelines) == 1:
        subject = timelines[0].video.name
    write_report(
        out / "report.html",
        timelines,
        title=f"{fitted.detector.name} on {subject}",
        facts=report_facts(fitted, threshold, ignored_in(stored)),
        calibration=(fitted.calibration, threshold),
        evaluation=evaluation,
        curves=curves,
        reasons=reasons_for(fitted.detector, timelines, out / "events"),
        pictures=pictures,
        warnings=warnings_of(fitted, stored),
    )
    return found


def warnings_of(fitted: FittedDetector, stored: Sequence[ScoredVideo]) -> list[str]:
    """How far the page may be trusted: a view that has changed, videos that were not learned
    from.
    """
    warnings = []
    for one in stored:
        for note in one.notes:
            warnings.append(f"{one.video.name}: {note}")
    aside = fitted.facts.get("set_aside", [])
    if aside:
        spans = [f"{one['video']} {one['start']:.1f}–{one['end']:.1f} s" for one in aside]
        warnings.append(
            f"not learned from, as unusual among the normal video: {', '.join(spans)}; "
            "where that was normal, fit again with --no-clean"
        )
    misfits = fitted.facts.get("misfits", [])
    if misfits:
        warnings.append(
            f"not learned from, as they do not belong to the others: {'; '.join(misfits)}"
        )
    return warnings


def events_json(
    fitted: FittedDetector,
    threshold: Threshold,
    videos: Sequence[VideoResult],
    left_out: Sequence[LeftOut],
) -> dict[str, Any]:
    """What events.json holds."""
    return to_plain(
        {
            "run": fitted.folder,
            "method": fitted.detector.name,
            "lookahead_seconds": fitted.lookahead_seconds,
            "threshold": asdict(threshold),
            "videos": videos,
            "left_out": left_out,
        }
    )


def ignored_in(stored: Sequence[ScoredVideo]) -> IgnoredArea | None:
    """Where nothing was looked at in scored videos, all of which were scored alike."""
    for one in stored:
        return one.video.ignored
    return None


def report_facts(
    fitted: FittedDetector, threshold: Threshold, ignored: IgnoredArea | None
) -> dict[str, Any]:
    """The rows of the report's last table."""
    facts = fitted.facts
    rate = f"{threshold.asked:g} false alarms per hour"
    hours = f"{fitted.calibration.hours:.3f} h, {fitted.calibration.how}"
    area = {}
    if ignored is not None:
        area = {"ignored": area_in_words(ignored)}
    return area | {
        "method": fitted.detector.name,
        "options": fitted.detector.options,
        "learned": facts.get("learned", {}),
        "trained on": [video["name"] for video in facts["trained_on"]],
        "normal video for calibration": hours,
        "threshold": f"rarity {threshold.rarity:.2f} for {rate}; {threshold.note}",
        "lookahead": lookahead_words(fitted),
        "fitted": f"{facts['began']} in {facts['seconds']['fit']:.1f} s",
        "command": facts["command"],
        "versions": {"oddframe": facts["oddframe"], "commit": facts["commit"], **facts["versions"]},
        "machine": facts["machine"],
    }


def lookahead_words(fitted: FittedDetector) -> str:
    """How far a score reads ahead."""
    words = f"{fitted.lookahead} frames"
    if fitted.lookahead_seconds:
        words += f", smoothed with {fitted.lookahead_seconds:g} s of what comes after"
    return words


def write_scores_csv(path: Path, pairs: Sequence[tuple[ScoredVideo, Timeline]]) -> None:
    """Every scored frame: its rarity, the event that it belongs to, and what its score was made
    of.
    """
    components: dict[str, None] = {}  # each once, in order
    for one, _ in pairs:
        components |= dict.fromkeys(one.scores.components)
    with aside(path) as part, part.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, *(f"part.{name}" for name in components)])
        for one, line in pairs:
            scores = one.scores
            video = spreadsheet_text(one.video.name)
            event = event_numbers(scores.seconds, line.events)
            for at in range(len(scores)):
                row = [
                    video,
                    scores.frame[at],
                    f"{scores.seconds[at]:.3f}",
                    f"{one.score[at]:.6g}",
                    f"{scores.value[at]:.4f}",
                    event[at] or "",
                ]
                for name in components:
                    text = ""
                    if name in scores.components:
                        text = f"{scores.components[name][at]:.6g}"
                    row.append(text)
                rows.writerow(row)


def event_numbers(seconds: Floats, events: Sequence[Event]) -> Ints:
    """For each time the number of the event that it lies in, from 1; 0 for none."""
    number = np.zeros(len(seconds), int)
    for n, event in enumerate(events, start=1):
        number[(seconds >= event.start) & (seconds < event.end)] = n
    return number


def spreadsheet_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe.

    >>> spreadsheet_text("=HYPERLINK(1)"), spreadsheet_text("gate")
    ("'=HYPERLINK(1)", 'gate')
    """
    if text.startswith(FORMULA_SIGNS):
        return f"'{text}"
    return text


def write_video_csv(path: Path, judged: Sequence[EvaluatedVideo], aucs: Mapping[str, Any]) -> None:
    """The AUC of each test video, and in the last row their mean: video, auc, frames, odd_frames,
    events.
    """
    known = []
    frames = odd = events = 0
    with aside(path) as part, part.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "auc", "frames", "odd_frames", "events"])
        for video in judged:
            auc = aucs[video.video]
            text = ""
            if auc is not None:
                text = f"{auc:.6f}"
                known.append(auc)
            odd_here = int(video.truth.frame.sum())
            name = spreadsheet_text(video.video)
            rows.writerow([name, text, len(video.value), odd_here, len(video.events)])
            frames += len(video.value)
            odd += odd_here
            events += len(video.events)
        mean = ""
        if known:
            mean = f"{sum(known) / len(known):.6f}"
        rows.writerow([f"mean of {len(known)}", mean, frames, odd, events])


def video_result(one: ScoredVideo, line: Timeline, out: Path) -> VideoResult:
    """What was found in one video, as a value."""
    highest = None
    if len(one.scores):
        highest = float(one.scores.value.max())
    overlay = None
    if line.overlay:
        overlay = str(line.overlay)
    return VideoResult(
        video=one.video.name,
        source=one.video.source,
        frames_scored=len(one.scores),
        seconds=line.length,
        highest_rarity=highest,
        lost=tuple(one.damage),
        notes=one.notes,
        overlay=overlay,
        events=tuple(found_event(event, out) for event in line.events),
        least_usual=least_usual(line),
        normal_frames=line.seen,
    )


def least_usual(line: Timeline) -> Moment | None:
    """The highest point of a video without events."""
    if line.events or not len(line.scores):
        return None
    at = int(line.rarity.argmax())
    return Moment(float(line.scores.seconds[at]), float(line.rarity[at]))


def found_event(event: Event, out: Path) -> FoundEvent:
    """An event with its files relative to `out`."""
    values = asdict(event)
    values["picture"] = relative(event.picture, out)
    values["clip"] = relative(event.clip, out)
    return FoundEvent(**values)


def relative(path: Path | None, folder: Path) -> str | None:
    """A path beside the report, as a web page writes it."""
    if path is None:
        return None
    return path.relative_to(folder).as_posix()
