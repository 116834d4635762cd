"""What was found, as one page that works offline: player, timeline and events, then how far to
believe it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from oddframe.files import aside
from oddframe.scoring.calibration import COUNTED, Calibration, Threshold
from oddframe.types import Event
from oddframe.visualization.plots import POINTS, detection_curves, roc_curves
from oddframe.visualization.report_data import (
    Json,
    Reason,
    browser_text,
    calibration_data,
    curve_data,
    relative_url,
    video_data,
)
from oddframe.visualization.report_tables import (
    evaluation_notes,
    evaluation_tables,
    fact_text,
    without_local_folders,
)
from oddframe.visualization.timeline import Timeline, duration, odds

LEAST_RATE = 1 / (100 * 24)  # false alarms per hour that nobody would wait for
ALL_POINTS = 400_000  # on the whole page, some 5 MB
PICTURE_TYPES = {".png": "png", ".jpg": "jpeg"}


@dataclass(frozen=True)
class Picture:
    """A picture or film for the foot of the page."""

    title: str
    address: str
    film: bool


@dataclass(frozen=True)
class Remark:
    """A line under the verdict: text, a part that stands out, text."""

    before: str
    strong: str
    after: str


def write_report(
    path: Path,
    timelines: Sequence[Timeline],
    *,
    title: str,
    facts: Mapping[str, Json],
    calibration: tuple[Calibration, Threshold] | None = None,
    evaluation: Mapping[str, Json] | None = None,
    curves: Mapping[str, Any] | None = None,
    reasons: Mapping[Event, Reason] | None = None,
    pictures: Mapping[str, Path] | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Write one HTML file with everything in it but the videos, which it looks for beside itself.

    `facts` are the rows of the table at its end: values may be lists or mappings. `evaluation` is
    what `oddframe evaluate --json` prints, `curves` what `evaluation.protocol.curves` gives.
    Pictures of events and reasons are taken into the page; their clips are linked to. `pictures`,
    by title, come after the curves, taken in as well. `warnings` say how far the page may be
    trusted, and stand under its headline.
    """
    from plotly.offline import get_plotlyjs

    data = page_data(path.parent, timelines, calibration, curves, reasons or {})
    learned = None
    if calibration is not None:
        learned = calibration[0]
    page = page_template().render(
        title=browser_text(title),
        verdict=browser_text(verdict(timelines)),
        warnings=[browser_text(warning) for warning in warnings],
        remarks=remarks(timelines, calibration),
        has_roc=bool(data["curves"]["roc"]),
        has_detection=bool(data["curves"]["detection"]),
        tables=evaluation_tables(evaluation or {}),
        notes=evaluation_notes(evaluation or {}),
        evaluated=evaluation is not None,
        calibration=calibration_words(learned),
        pictures=page_pictures(pictures or {}),
        facts=facts,
        css=shipped_text("report.css"),
        js=shipped_text("report.js"),
        plotly=get_plotlyjs(),
        data=inert_json(data),
    )
    with aside(path) as part:
        # file names may hold bytes that are no text
        part.write_bytes(page.encode("utf-8", "replace"))


def page_data(
    folder: Path,
    timelines: Sequence[Timeline],
    calibration: tuple[Calibration, Threshold] | None,
    curves: Mapping[str, Any] | None,
    reasons: Mapping[Event, Reason],
) -> dict[str, Any]:
    """What the script draws, ready for JSON."""
    most = min(POINTS, max(ALL_POINTS // max(len(timelines), 1), 200))
    roc: list[Json] = []
    detection: list[Json] = []
    if curves:
        roc = [curve_data(curve) for curve in roc_curves(curves)]
        detection = [curve_data(curve) for curve in detection_curves(curves)]
    costs = None
    if calibration is not None:
        costs = calibration_data(*calibration)
    return {
        "videos": [video_data(timeline, folder, most, reasons) for timeline in timelines],
        "curves": {"roc": roc, "detection": detection},
        "calibration": costs,
    }


def verdict(timelines: Sequence[Timeline]) -> str:
    """What was found, in one plain sentence."""
    if not timelines:
        return "No video was scored"
    count = sum(len(timeline.events) for timeline in timelines)
    length = duration(sum(timeline.length for timeline in timelines))
    found = "Nothing unusual"
    if count:
        found = f"{count} unusual {plural('event', count)}"
    if len(timelines) == 1:
        return f"{found} in {length}"
    with_events = sum(bool(timeline.events) for timeline in timelines)
    if with_events:
        return f"{found} in {with_events} of {len(timelines)} videos ({length})"
    return f"{found} in {len(timelines)} videos ({length})"


def plural(word: str, count: int) -> str:
    """The word, with an s unless there is one of it."""
    if count == 1:
        return word
    return f"{word}s"


def rate(per_hour: float) -> str:
    """False alarms per hour as one would say it.

    >>> rate(1), rate(12.4), rate(0.25), rate(1.46), rate(0.01), rate(1e-6)
    ('1 per hour', '12 per hour', '1 in 4 hours', '1.5 per hour', '1 in 4 days', 'almost none')
    """
    if per_hour <= LEAST_RATE:
        return "almost none"
    if per_hour >= 10:
        return f"{per_hour:.0f} per hour"
    if per_hour >= 0.7:
        return f"{round(per_hour, 1):g} per hour"
    hours = 1 / per_hour
    if hours < 48:
        return f"1 in {round(hours)} hours"
    return f"1 in {round(hours / 24)} days"


def remarks(
    timelines: Sequence[Timeline], calibration: tuple[Calibration, Threshold] | None
) -> list[Remark]:
    """Lines under the verdict: what begins an event, and how many false alarms to expect."""
    lines = []
    levels = {timeline.threshold for timeline in timelines}
    if len(levels) == 1:
        level = levels.pop()
        if isfinite(level):
            lines.append(threshold_remark(level, calibration))
    if calibration is not None:
        lines.append(false_alarm_remark(*calibration))
    return lines


def threshold_remark(level: float, calibration: tuple[Calibration, Threshold] | None) -> Remark:
    """How rare a frame must be for an event to begin."""
    after = " normal frames, or rarer"
    if calibration is not None:
        seen = frames_seen(calibration[0])
        if 10**level > seen:
            after += f"; this is an estimate, for only {seen:,} normal frames have been seen"
    return Remark("An event begins with a frame as rare as ", odds(level), f"{after}.")


def false_alarm_remark(learned: Calibration, chosen: Threshold) -> Remark:
    """How many false alarms to expect at the threshold, and how sure that is."""
    low, high = chosen.interval
    expected = rate(chosen.expected)
    if chosen.counted:
        interval = f" of normal video (95 % interval: {rate(low)} to {rate(high)})."
        return Remark("False alarms to expect at this threshold: ", expected, interval)
    between = f"anything from {rate(low)} to {rate(high)}"
    if low <= LEAST_RATE:
        between = f"anything up to {rate(high)}"
    hours = COUNTED / chosen.asked
    enough = f"{max(hours * 60, 1):.0f} minutes"
    if hours >= 2:
        enough = f"{hours:.0f} hours"
    after = (
        f" of normal video, but it may really be {between}: "
        f"{duration(learned.hours * 3600)} of normal "
        f"video cannot show a rate as low as was asked for ({rate(chosen.asked)}). To be surer, "
        "learn "
        f"from {enough} of it, or ask for {rate(chosen.supported)}."
    )
    return Remark("False alarms to expect at this threshold: about ", expected, after)


def frames_seen(learned: Calibration) -> int:
    """Normal frames from which rarities were learned: none rarer than one of them was ever seen."""
    return sum(len(scores) for scores in learned.scores)


def calibration_words(learned: Calibration | None) -> str:
    """What the plot of the calibration shows; empty without one."""
    if learned is None:
        return ""
    return (
        "False alarms per hour to expect of normal video at each threshold, from "
        f"{duration(learned.hours * 3600)} of it that the detector had not seen ({learned.how}). "
        "A higher threshold is quieter, and misses more."
    )


def page_pictures(pictures: Mapping[str, Path]) -> list[Picture]:
    """Pictures as data URIs; films by their names beside the page."""
    shown = []
    for title, path in pictures.items():
        kind = PICTURE_TYPES.get(path.suffix)
        address = relative_url(Path(path.name))
        if kind:
            data = base64.b64encode(path.read_bytes()).decode()
            address = f"data:image/{kind};base64,{data}"
        shown.append(Picture(browser_text(title), address, film=kind is None))
    return shown


def page_template() -> Any:
    """The Jinja template of the page; what is filled in is escaped unless the template says
    otherwise.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["fact"] = fact_text
    environment.filters["printable"] = browser_text
    environment.filters["without_folders"] = without_local_folders
    return environment.from_string(shipped_text("report.html"))


def inert_json(value: Any) -> str:
    """JSON that cannot end the script element which it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def shipped_text(name: str) -> str:
    """A text file of this package."""
    return files("oddframe.visualization").joinpath(name).read_text("utf-8")
