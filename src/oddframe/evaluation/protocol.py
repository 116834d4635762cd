"""From what was scored to the table. Knows no method and decodes nothing; docs: Evaluation says what numbers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from oddframe.errors import BadInput, Leak
from oddframe.evaluation import metrics
from oddframe.evaluation.evaluated_video import EvaluatedVideo, every_frame
from oddframe.evaluation.event_metrics import detection_by_kind
from oddframe.evaluation.localization import Localization, find_places
from oddframe.evaluation.region_metrics import area
from oddframe.scoring.events import frame_ends, segments
from oddframe.types import Bools, Event, Floats

__all__ = [
    "EvaluatedVideo",
    "by_kind",
    "by_part",
    "curves",
    "every_frame",
    "find_places",
    "refuse_leak",
    "table",
]


def refuse_leak(fitted: Mapping[str, str], tested: Mapping[str, str]) -> None:
    """Raises Leak when a content hash is on both sides. Both are content hash → the video's name."""
    both = sorted(fitted.keys() & tested.keys(), key=lambda key: tested[key])
    if both:
        names = [
            tested[key]
            if tested[key] == fitted[key]
            else f"{tested[key]} (fitted as {fitted[key]})"
            for key in both
        ]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise Leak(
            f"{len(both)} of {len(tested)} test videos were also learned from: {', '.join(names[:5])}{more}; "
            "fit without them, or test on others"
        )


def table(
    judged: Sequence[EvaluatedVideo],
    *,
    lookahead: int,
    false_alarms_per_hour: float | None,
    seed: int = 0,
    places: Localization | None = None,
) -> dict[str, Any]:
    """Every number of docs: Evaluation, ready for JSON. `false_alarms_per_hour` is of held-out normal video.

    `places` saves finding them again when `curves` is asked for too.
    """
    _some(judged)
    places = places or find_places(judged)
    odd, value = [video.truth.frame for video in judged], [video.value for video in judged]
    all_odd, all_value = np.concatenate(odd), np.concatenate(value)
    aucs = [metrics.auc(video.truth.frame, video.value) for video in judged]
    matches = [metrics.match_events(_spans(video.events), _odd_seconds(video)) for video in judged]
    precision, recall, f1 = metrics.precision_recall_f1(matches)
    rbdc, tbdc = (
        (None, None)
        if (c := places.curve) is None
        else (area(c.false, c.regions), area(c.false, c.tracks))
    )
    micro_published, macro_published = metrics.as_published(odd, [video.raw for video in judged])
    honest = {
        "micro_auc": metrics.auc(all_odd, all_value),
        "micro_auc_interval": metrics.interval(odd, value, seed),
        "macro_auc": _mean(aucs),
        "macro_videos": sum(auc is not None for auc in aucs),
        "ap": metrics.average_precision(all_odd, all_value) if not all_odd.all() else None,
        "eer": metrics.equal_error_rate(all_odd, all_value),
        "rbdc": rbdc,
        "tbdc": tbdc,
        "pixel_auc": places.pixel_auc,
        "event_precision": precision,
        "event_recall": recall,
        "event_f1": f1,
        "delay_seconds": metrics.median_delay(matches),
        "false_alarms_per_hour": false_alarms_per_hour,
        "lookahead": lookahead,
    }
    published = {"micro_auc": micro_published, "macro_auc": macro_published}
    peak = {"peak_in_region": places.peak_in_region, "frames": places.peak_frames}
    reasons = _reasons(judged) | places.why
    null = {key: reasons[key] for key, number in (honest | peak).items() if number is None}
    null |= {
        f"as_published.{key}": reasons[key] for key, number in published.items() if number is None
    }
    return {
        "frames": len(all_odd),
        "honest": honest,
        "as_published": published,
        "place": peak,
        "parts": by_part(judged),
        "kinds": by_kind(judged),
        "videos": {video.video: auc for video, auc in zip(judged, aucs, strict=True)},
        "one_class_videos": [
            video.video for video, auc in zip(judged, aucs, strict=True) if auc is None
        ],
        "events": sum(len(video.events) for video in judged),
        "segments": sum(len(match.delay) for match in matches),
        "notes": [
            *places.notes,
            *_partless(judged),
            *(f"{video.video}: {video.truth.note}" for video in judged if video.truth.note),
        ],
        "why_null": null,
    }


def by_part(judged: Sequence[EvaluatedVideo]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For each part of the score that all videos have, its micro and macro AUC, honest and as published."""
    odd = [video.truth.frame for video in judged]
    found = {}
    for name in judged[0].parts:
        if not all(name in video.parts for video in judged):
            continue
        value = [video.parts[name] for video in judged]
        honest = {
            "micro_auc": metrics.auc(np.concatenate(odd), np.concatenate(value)),
            "macro_auc": _mean(
                [metrics.auc(flags, scores) for flags, scores in zip(odd, value, strict=True)]
            ),
        }
        micro, macro = metrics.as_published(odd, [video.raw_parts[name] for video in judged])
        found[name] = {"honest": honest, "as_published": {"micro_auc": micro, "macro_auc": macro}}
    return found


def by_kind(judged: Sequence[EvaluatedVideo]) -> dict[str, dict[str, float | int | None]]:
    """For each kind of anomaly, the AUC of its frames against all normal ones, how many frames it has, how many
    segments, and how many of these an event overlaps."""
    told = [video for video in judged if video.truth.kind is not None]
    if not told:
        return {}
    normal = np.concatenate([video.value[~video.truth.frame] for video in judged])
    kind = np.concatenate(
        [np.where(video.truth.frame, np.asarray(video.truth.kind, str), "") for video in told]
    )
    value = np.concatenate([video.value for video in told])
    detected = detection_by_kind(told)
    found: dict[str, dict[str, float | int | None]] = {}
    for name in sorted(set(kind.tolist()) - {""}):
        odd = value[kind == name]
        flags = np.repeat([True, False], [len(odd), len(normal)])
        found[name] = {
            "auc": metrics.auc(flags, np.concatenate([odd, normal])),
            "frames": len(odd),
            **asdict(detected[name]),
        }
    return found


def curves(judged: Sequence[EvaluatedVideo], places: Localization | None = None) -> dict[str, Any]:
    """For plots, at most 500 points each: ROC of all frames and of each video (None for one class), and detection rates
    against false regions per frame (None without places).
    """
    _some(judged)
    curve = (places or find_places(judged)).curve
    odd = np.concatenate([video.truth.frame for video in judged])
    return {
        "roc": _roc(odd, np.concatenate([video.value for video in judged])),
        "roc_videos": {video.video: _roc(video.truth.frame, video.value) for video in judged},
        "detection": None
        if curve is None
        else {
            "false_per_frame": curve.false.tolist(),
            "regions": curve.regions.tolist(),
            "tracks": curve.tracks.tolist(),
        },
    }


def _partless(judged: Sequence[EvaluatedVideo]) -> list[str]:
    """A note where the parts of the score are known of some videos only."""
    without = [video.video for video in judged if not video.parts]
    if not without or len(without) == len(judged):
        return []
    more = f" and {len(without) - 4} more" if len(without) > 4 else ""
    return [
        f"the parts of the score were not kept of {', '.join(without[:4])}{more}: none is measured"
    ]


def _mean(aucs: Sequence[float | None]) -> float | None:
    """Of those that are defined."""
    known = [auc for auc in aucs if auc is not None]
    return float(np.mean(known)) if known else None


def _reasons(judged: Sequence[EvaluatedVideo]) -> dict[str, str]:
    """Why a number is None, if it is."""
    odd = np.concatenate([video.truth.frame for video in judged])
    one = "every test frame is odd" if odd.all() else "no test frame is odd"
    both = odd.any() and not odd.all()
    return {
        **dict.fromkeys(("micro_auc", "ap", "eer"), one),
        "micro_auc_interval": "the interval is over videos, and there is only one" if both else one,
        "macro_auc": "no video holds both normal and odd frames",
        "event_precision": "there was no event",
        **dict.fromkeys(("event_recall", "event_f1"), one),
        "delay_seconds": "no event met a true segment" if odd.any() else one,
        "false_alarms_per_hour": "there was no normal video to measure it on that the detector had not fitted",
    }


def _roc(odd: Bools, value: Floats) -> dict[str, Any] | None:
    if (auc := metrics.auc(odd, value)) is None:
        return None
    x, y = metrics.thinned(*metrics.roc(odd, value))
    return {"false_positive_rate": x, "true_positive_rate": y, "auc": auc}


def _odd_seconds(video: EvaluatedVideo) -> Floats:
    """The true segments, (S, 2) seconds [start, end)."""
    runs = segments(video.truth.frame)
    return np.stack([video.seconds[runs[:, 0]], frame_ends(video.seconds)[runs[:, 1] - 1]], axis=1)


def _spans(events: Sequence[Event]) -> Floats:
    return np.array([(event.start, event.end) for event in events], float).reshape(-1, 2)


def _some(judged: Sequence[EvaluatedVideo]) -> None:
    if not judged:
        raise BadInput("there is no video with truth to evaluate on")
