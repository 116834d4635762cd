"""What was found, as one page that works offline: player, timeline and events, then how far to believe it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import cv2
import numpy as np

from oddframe.evaluation.metric_registry import METRICS
from oddframe.files import aside
from oddframe.scoring.calibration import COUNTED, Calibration, Threshold
from oddframe.scoring.events import Box
from oddframe.types import Bytes, Event, Floats
from oddframe.visualization.plots import (
    POINTS,
    Curve,
    cost,
    detection_curves,
    drawn_interval,
    roc_curves,
)
from oddframe.visualization.timeline import (
    TOP,
    Timeline,
    duration,
    odds,
    place,
    plain,
    rareness,
    thin,
)

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

THUMB = 240  # pixels across: twice what a card shows, for dense screens
LEAST_RATE = 1 / (100 * 24)  # false alarms per hour that nobody would wait for
LEAST_CUT = 0.3  # of the picture that a card shows, so that one sees where in it a small thing is
MARGIN = 1.8  # sides of the part that is shown, in sides of what is odd in it
ALL_POINTS = 400_000  # on the whole page, some 5 MB


@dataclass(frozen=True)
class Reason:
    """Why an event is one, in words, and a picture of the nearest thing that was normal."""

    because: str = ""
    example: Path | None = None
    box: Box | None = None  # where in the example, fractions of the picture


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
) -> None:
    """Write one HTML file with everything in it but the videos, which it looks for beside itself.

    `facts` are the rows of the table at its end: values may be lists or mappings. `evaluation` is what
    `oddframe evaluate --json` prints, `curves` what `scores.evaluation.curves` gives. Pictures of events and reasons
    are taken into the page; their clips are linked to. `pictures`, by title, come after the curves, taken in as well.
    """
    roc, detection = (roc_curves(curves), detection_curves(curves)) if curves else ([], [])
    most = min(POINTS, max(ALL_POINTS // max(len(timelines), 1), 200))
    data = {
        "videos": [_video(timeline, path.parent, most, reasons or {}) for timeline in timelines],
        "curves": {
            "roc": [_curve(curve) for curve in roc],
            "detection": [_curve(curve) for curve in detection],
        },
        "calibration": None if calibration is None else _calibration(*calibration),
    }
    from plotly.offline import get_plotlyjs

    parts = {
        "title": escape(title),
        "verdict": escape(verdict(timelines)),
        "remarks": "".join(
            f'<p class="remark">{remark}</p>' for remark in _remarks(timelines, calibration)
        ),
        "evaluation": _evaluation(evaluation, bool(roc), bool(detection)),
        "calibration": "" if calibration is None else _calibration_part(calibration[0]),
        "pictures": _pictures(pictures or {}),
        "facts": _facts(facts),
        "css": _shipped("report.css"),
        "js": _shipped("report.js"),
        "plotly": get_plotlyjs(),
        "data": _inert(json.dumps(data, allow_nan=False, separators=(",", ":"))),
    }
    # one pass over the template: what is filled in is not looked through again
    page = re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], _shipped("report.html"))
    with aside(path) as part:
        part.write_bytes(
            page.encode("utf-8", "replace")
        )  # file names may hold bytes that are no text


def verdict(timelines: Sequence[Timeline]) -> str:
    """What was found, in one plain sentence."""
    count = sum(len(timeline.events) for timeline in timelines)
    odd = sum(bool(timeline.events) for timeline in timelines)
    length = duration(sum(timeline.length for timeline in timelines))
    found = "Nothing unusual" if count == 0 else f"{count} unusual event{'s' if count > 1 else ''}"
    if len(timelines) == 1:
        return f"{found} in {length}"
    if not timelines:
        return "No video was scored"
    return f"{found} in {odd or len(timelines)} {'of ' + str(len(timelines)) + ' ' if odd else ''}videos ({length})"


def rate(per_hour: float) -> str:
    """False alarms per hour as one would say it.

    >>> rate(1), rate(12.4), rate(0.25), rate(1.46), rate(0.01), rate(1e-6)
    ('1 per hour', '12 per hour', '1 in 4 hours', '1.5 per hour', '1 in 4 days', 'almost none')
    """
    if per_hour <= LEAST_RATE:
        return "almost none"
    if per_hour >= 0.7:
        return f"{per_hour:.0f} per hour" if per_hour >= 10 else f"{round(per_hour, 1):g} per hour"
    hours = 1 / per_hour
    return f"1 in {round(hours)} hours" if hours < 48 else f"1 in {round(hours / 24)} days"


def _remarks(
    timelines: Sequence[Timeline], calibration: tuple[Calibration, Threshold] | None
) -> list[str]:
    """Lines under the verdict, as markup."""
    said = []
    levels = {timeline.threshold for timeline in timelines}
    if len(levels) == 1 and isfinite(level := levels.pop()):
        line = f"An event begins with a frame as rare as <strong>{odds(level)}</strong> normal frames, or rarer"
        if calibration is not None and 10**level > (seen := frames_seen(calibration[0])):
            line += f"; this is an estimate, for only {seen:,} normal frames have been seen"
        said.append(f"{line}.")
    if calibration is None:
        return said
    learned, chosen = calibration
    low, high = chosen.interval
    expected = f"<strong>{rate(chosen.expected)}</strong> of normal video"
    if chosen.counted:
        return [
            *said,
            f"False alarms at this threshold: {expected} (95 % interval: {rate(low)} to {rate(high)}).",
        ]
    hours = COUNTED / chosen.asked
    between = (
        f"anything up to {rate(high)}"
        if low <= LEAST_RATE
        else f"anything from {rate(low)} to {rate(high)}"
    )
    enough = f"{hours:.0f} hours" if hours >= 2 else f"{max(hours * 60, 1):.0f} minutes"
    return [
        *said,
        f"False alarms at this threshold: about {expected}, but it may really be {between}: "
        f"{duration(learned.hours * 3600)} of normal video cannot show a rate as low as was asked for "
        f"({rate(chosen.asked)}). To be surer, learn from {enough} of it, or ask for {rate(chosen.supported)}.",
    ]


def frames_seen(learned: Calibration) -> int:
    """Normal frames from which rarities were learned: none rarer than one of them was ever seen."""
    return sum(len(scores) for scores in learned.scores)


def _video(
    timeline: Timeline, folder: Path, most: int, reasons: Mapping[Event, Reason]
) -> dict[str, Json]:
    seconds, value = thin(timeline.scores.seconds, timeline.rarity, most)
    return {
        "name": _text(timeline.video.name),
        "start": timeline.start,
        "length": timeline.length,
        "lasts": duration(timeline.length),
        "seconds": np.round(seconds.astype(float), 3).tolist(),
        "value": np.round(value, 3).tolist(),
        "threshold": float(timeline.threshold) if isfinite(timeline.threshold) else None,
        "seen": timeline.seen,
        "highest": timeline.highest,
        "overlay": None if timeline.overlay is None else _url(timeline.overlay),
        "events": [
            _event(event, timeline, folder, reasons.get(event, Reason()))
            for event in timeline.events
        ],
        "truth": None
        if timeline.truth is None
        else [[round(a, 3), round(b, 3)] for a, b in timeline.odd_seconds()],
    }


def _event(event: Event, timeline: Timeline, folder: Path, reason: Reason) -> dict[str, Json]:
    peak = float(plain(np.array([event.peak]))[0])
    share = (
        1.0 if event.box is None else _share_shown(event.box)
    )  # the example is shown at the same scale
    beyond = timeline.seen is not None and 10**peak > timeline.seen
    return {
        "start": event.start,
        "end": event.end,
        "at": event.peak_seconds,
        "peak": peak,
        "odds": rareness(event.peak, timeline.seen),
        "estimate": f"estimated {odds(peak) if peak <= TOP else 'under 1 in a million'}"
        if beyond
        else None,
        "place": None if event.box is None else place(event.box),
        "over": event.over,
        "picture": _inline(event.picture, folder, event.box, share),
        "clip": None if event.clip is None else _url(_beside(event.clip, folder)),
        "because": _text(reason.because),
        "example": _inline(reason.example, folder, reason.box, share),
    }


def _curve(curve: Curve) -> dict[str, Json]:
    x, y = curve.thinned(POINTS // 4)
    area = None if curve.area is None or not isfinite(curve.area) else float(curve.area)
    return {
        "name": _text(curve.name),
        "x": _numbers(x),
        "y": _numbers(y),
        "area": area,
        "pooled": curve.pooled,
    }


def _calibration(learned: Calibration, chosen: Threshold) -> dict[str, Json]:
    threshold, per_hour = cost(learned, chosen)
    return {
        "threshold": _numbers(threshold),
        "per_hour": _numbers(per_hour),
        "chosen": chosen.rarity,
        "expected": chosen.expected,
        "interval": list(drawn_interval(chosen)),
        "asked": chosen.asked,
        "supported": chosen.supported,
    }


def _calibration_part(learned: Calibration) -> str:
    text = (
        f"False alarms per hour to expect of normal video at each threshold, from {duration(learned.hours * 3600)} of "
        f"it that the detector had not seen ({learned.how}). A higher threshold is quieter, and misses more."
    )
    return (
        f'<section class="part"><h2>What a threshold costs</h2><p>{escape(text)}</p>'
        '<div class="charts"><div id="calibration-plot" class="chart"></div></div></section>'
    )


def _evaluation(evaluation: Mapping[str, Json] | None, roc: bool, detection: bool) -> str:
    charts = "".join(
        f'<div id="{name}-plot" class="chart"></div>'
        for name, drawn in (("roc", roc), ("detection", detection))
        if drawn
    )
    if evaluation is None and not charts:
        return ""
    lead = (
        "<p>Against ground truth. The honest column is causal and takes nothing from the test videos but their pixels; "
        "<em>as published</em> follows the custom of the field (per-video min–max, padding), for comparing with papers "
        "only.</p>"
    )
    tables = "" if evaluation is None else _tables(evaluation)
    return f'<section class="part"><h2>How good it is</h2>{lead}<div class="charts">{charts}</div>{tables}</section>'


def _tables(evaluation: Mapping[str, Json]) -> str:
    return _metrics(evaluation) + _parts(evaluation) + _kinds(evaluation) + _notes(evaluation)


def _parts(evaluation: Mapping[str, Json]) -> str:
    """What each part of the score is worth alone, such as each puzzle, and below them the score."""
    parts = _mapping(evaluation.get("parts"))
    if not parts:
        return ""
    columns = [
        (column, key) for column in ("honest", "as_published") for key in ("micro_auc", "macro_auc")
    ]
    rows = ""
    for name, told in {**parts, "combined": evaluation}.items():
        numbers = _mapping(told)
        cells = "".join(
            f"<td>{_metric(key, _mapping(numbers.get(column)), {})}</td>" for column, key in columns
        )
        rows += f'<tr><th scope="row">{escape(_text(name))}</th>{cells}</tr>'
    return (
        '<div class="scroll"><table class="numbers"><thead><tr><th scope="col">part of the score</th>'
        '<th scope="col">AUC, honest</th><th scope="col">mean of videos</th><th scope="col">AUC, as published</th>'
        f'<th scope="col">mean of videos</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _kinds(evaluation: Mapping[str, Json]) -> str:
    kinds = _mapping(evaluation.get("kinds"))
    if not kinds:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(_text(name))}</th><td>{_found(_mapping(numbers))}</td>'
        f"<td>{_metric('auc', _mapping(numbers), {})}</td><td>{_fact(_mapping(numbers).get('frames'))}</td></tr>"
        for name, numbers in kinds.items()
    )
    return (
        '<div class="scroll"><table class="numbers"><thead><tr><th scope="col">kind of anomaly</th>'
        '<th scope="col">raised an event</th><th scope="col">AUC against all normal frames '
        f'(0.5 is guessing)</th><th scope="col">frames</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _found(numbers: Mapping[str, Json]) -> str:
    """How many of a kind's stretches met an event at the threshold in use."""
    return f"{numbers['found']} of {numbers['stretches']}" if "found" in numbers else "–"


def _notes(evaluation: Mapping[str, Json]) -> str:
    notes = [str(note) for note in _list(evaluation.get("notes"))]
    if one := _list(evaluation.get("one_class_videos")):
        names = ", ".join(str(name) for name in one)
        notes.append(f"No area of their own, being wholly normal or wholly odd: {names}")
    return "".join(f'<p class="quiet">{escape(_text(note))}</p>' for note in notes)


def _metrics(evaluation: Mapping[str, Json]) -> str:
    """The table: a row a metric; columns for us, for the custom of the field, and for the baselines."""
    why = _mapping(evaluation.get("why_null"))
    place = {
        key: value
        for key, value in _mapping(evaluation.get("place")).items()
        if key == "peak_in_region"
    }
    columns = {"honest": {**_mapping(evaluation.get("honest")), **place}}
    columns["as published"] = dict(_mapping(evaluation.get("as_published")))
    for name, numbers in _mapping(evaluation.get("baselines")).items():
        columns[name] = dict(numbers) if isinstance(numbers, Mapping) else {"micro_auc": numbers}
    reasons = {
        "honest": why,
        "as published": {key.removeprefix("as_published."): why[key] for key in why},
    }
    head = "".join(f'<th scope="col">{escape(_text(name))}</th>' for name in columns)
    rows = []
    for key, name, what in _rows_of_metrics():
        if not any(key in numbers for numbers in columns.values()):
            continue
        cells = "".join(
            f"<td{' class=ours' if column == 'honest' else ''}>{_metric(key, numbers, reasons.get(column, {}))}</td>"
            for column, numbers in columns.items()
        )
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th>{cells}<td class="what">{escape(what)}</td></tr>'
        )
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr><th scope="col">metric</th>{head}'
        f'<th scope="col">what it says</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _rows_of_metrics() -> list[tuple[str, str, str]]:
    """Key, title and meaning of each metric, once; what has no row of its own stands small under another."""
    rows: dict[str, tuple[str, str, str]] = {}
    for one in METRICS:
        if one.key not in ("micro_auc_interval", "macro_videos"):
            rows.setdefault(one.key, (one.key, one.title, one.meaning))
    return list(rows.values())


def _metric(key: str, numbers: Mapping[str, Json], why: Mapping[str, Json]) -> str:
    """One cell, as markup: the number, and small under it what belongs to it."""
    if key not in numbers:
        return ""
    value, small = numbers[key], ""
    if not isinstance(value, int | float) or not isfinite(value):
        text, small = "–", str(why.get(key, "undefined"))
    elif key == "delay_seconds":
        text = f"{value:.1f} s"
    elif key == "false_alarms_per_hour":
        text = f"{value:.3g}"
    else:
        text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if key == "micro_auc" and len(ends := _list(numbers.get("micro_auc_interval"))) == 2:
        small = "95 % interval " + "–".join(f"{end:.3f}" for end in ends if isinstance(end, float))
    if key == "macro_auc" and numbers.get("macro_videos"):
        small = f"over {numbers['macro_videos']} videos"
    return text + (f"<small>{escape(_text(small))}</small>" if small else "")


def _pictures(pictures: Mapping[str, Path]) -> str:
    """Pictures with their titles, each folded away until asked for; films are linked to by name."""
    kinds = {".png": "png", ".jpg": "jpeg"}
    shown = []
    for title, path in pictures.items():
        if kind := kinds.get(path.suffix):
            data = base64.b64encode(path.read_bytes()).decode()
            inside = f'<img loading="lazy" alt="{escape(_text(title))}" src="data:image/{kind};base64,{data}">'
        else:
            inside = (
                f'<video controls preload="none" src="{escape(_url(Path(path.name)))}"></video>'
            )
        shown.append(f"<details><summary>{escape(_text(title))}</summary>{inside}</details>")
    if not shown:
        return ""
    return f'<section class="part pictures"><h2>More pictures</h2>{"".join(shown)}</section>'


def _facts(facts: Mapping[str, Json]) -> str:
    if not facts:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(_text(key))}</th><td>{_fact(value)}</td></tr>'
        for key, value in facts.items()
    )
    return (
        '<section class="part"><h2>This run</h2><div class="scroll"><table class="facts">'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _fact(value: Json) -> str:
    """A fact as markup: mappings as lists of terms, sequences with commas."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if isfinite(value) else "–"
    if isinstance(value, Mapping):
        return (
            "<dl>"
            + "".join(
                f"<dt>{escape(_text(str(k)))}</dt><dd>{_fact(v)}</dd>" for k, v in value.items()
            )
            + "</dl>"
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_fact(part) for part in value) or "–"
    return escape(_text(str(value)))


def _inline(path: Path | None, folder: Path, box: Box | None, share: float) -> str | None:
    """The part of a picture around a box as a data URI, no larger than a card needs; None where none can be read."""
    if path is None:
        return None
    found = next((place for place in (path, folder / path) if place.is_file()), None)
    data = np.zeros(0, np.uint8) if found is None else np.fromfile(found, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if decoded is None:
        return None
    picture = _part(np.asarray(decoded, np.uint8), box, share)
    scale = THUMB / picture.shape[1]
    if scale < 1:
        size = (THUMB, max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, small = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 84])
    return "data:image/jpeg;base64," + base64.b64encode(small.tobytes()).decode()


def _share_shown(box: Box) -> float:
    """How much of each side of the picture a card shows."""
    return float(np.clip(MARGIN * max(box[2] - box[0], box[3] - box[1]), LEAST_CUT, 1.0))


def _part(picture: Bytes, box: Box | None, share: float) -> Bytes:
    """That share of each side of (H, W, 3), with the box in its middle as far as the picture reaches."""
    if box is None or share >= 1:
        return picture
    (H, W), cut = picture.shape[:2], []
    for side, low, high in ((H, box[1], box[3]), (W, box[0], box[2])):
        length = max(1, round(side * share))
        first = min(max(round((low + high) / 2 * side - length / 2), 0), side - length)
        cut.append(slice(first, first + length))
    return picture[cut[0], cut[1]]


def _beside(path: Path, folder: Path) -> Path:
    """The path as seen from the report."""
    return Path(os.path.relpath(path, folder)) if path.is_absolute() or path.exists() else path


def _url(path: Path) -> str:
    """A relative address: percent signs, question marks and colons in file names are part of the name."""
    return quote(os.fsencode(path.as_posix()))


def _numbers(values: Floats) -> list[Json]:
    return [float(f"{value:.5g}") for value in plain(values)]


def _text(words: str) -> str:
    """File names may hold bytes that are no text: a browser is given something that it can show."""
    return words.encode("utf-8", "replace").decode()


def _inert(text: str) -> str:
    """JSON that cannot end the script element which it stands in."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _shipped(name: str) -> str:
    return files("oddframe.visualization").joinpath(name).read_text("utf-8")
