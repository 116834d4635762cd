"""From what was scored to the table. Knows no method and decodes nothing; docs: Evaluation says
what numbers mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from oddframe.errors import Leak
from oddframe.evaluation import metrics
from oddframe.evaluation.evaluated_video import EvaluatedVideo, event_spans, rankings, truth_frames
from oddframe.evaluation.event_metrics import detection_by_kind
from oddframe.evaluation.localization import Localization
from oddframe.evaluation.metric_registry import METRICS, Column, MetricValue, mean_of_known
from oddframe.evaluation.video_set import VideoSet
from oddframe.types import Bools, Floats
from oddframe.video.filmed_time import filmed_seconds

COVERING = 0.95  # share of a video's time from which on one event covers it
MOSTLY = 0.5  # share of odd frames below which a video is mostly normal


def refuse_leak(fitted: Mapping[str, str], tested: Mapping[str, str]) -> None:
    """Raises Leak when a content hash is on both sides. Both are content hash → the video's
    name.
    """
    both = sorted(fitted.keys() & tested.keys(), key=lambda key: tested[key])
    if both:
        names = []
        for key in both:
            name = tested[key]
            if fitted[key] != name:
                name += f" (fitted as {fitted[key]})"
            names.append(name)
        raise Leak(
            f"{len(both)} of {len(tested)} test videos were also learned from: "
            f"{first_names(names, 5)}; "
            "fit without them, or test on others"
        )


@dataclass(frozen=True)
class Evaluation:
    """Every number of docs: Evaluation: measured on the test videos, but for `expected`."""

    frames: int
    honest: Mapping[str, MetricValue]
    as_published: Mapping[str, MetricValue]
    place: Mapping[str, MetricValue]
    expected: Mapping[str, float | None]  # what calibration on normal video promises
    parts: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    kinds: Mapping[str, Mapping[str, float | int | None]]
    videos: Mapping[str, float | None]  # the AUC of each
    one_class_videos: Sequence[str]
    events: int
    segments: int
    notes: Sequence[str]
    why_null: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        found = {}
        for field in fields(self):
            found[field.name] = plain_data(getattr(self, field.name))
        return found


def measure(
    judged: Sequence[EvaluatedVideo],
    *,
    lookahead: int,
    expected_false_alarms: float | None = None,
    seed: int = 0,
    places: Localization | None = None,
) -> Evaluation:
    """Every metric of the registry on evaluated videos.

    `expected_false_alarms` (per hour) is the calibration's word; it stands apart from what is
    measured. `places` saves finding them again when `curves` is asked for too. Raises BadInput
    without videos.
    """
    test = VideoSet(judged, lookahead, seed, places)
    numbers: dict[Column, dict[str, MetricValue]] = {"honest": {}, "as_published": {}, "place": {}}
    why_null: dict[str, str] = {}
    for one in METRICS:
        number = one.compute(test)
        numbers[one.column][one.key] = number
        if number is None:
            why_null[one.path] = one.undefined(test)
    numbers["place"]["frames"] = test.localization.peak_frames
    aucs = {}
    one_class_videos = []
    for video, auc in zip(judged, test.aucs, strict=True):
        aucs[video.video] = auc
        if auc is None:
            one_class_videos.append(video.video)
    return Evaluation(
        frames=len(test.anomalous),
        honest=numbers["honest"],
        as_published=numbers["as_published"],
        place=numbers["place"],
        expected={"false_alarms_per_hour": expected_false_alarms},
        parts=by_part(judged),
        kinds=by_kind(judged),
        videos=aucs,
        one_class_videos=one_class_videos,
        events=sum(len(video.events) for video in judged),
        segments=sum(len(match.delay) for match in test.matches),
        notes=notes_on(test),
        why_null=why_null,
    )


def notes_on(test: VideoSet) -> list[str]:
    """What a reader of the numbers must know."""
    notes = list(test.localization.notes)
    notes += notes_on_parts(test.videos)
    notes += notes_on_long_events(test)
    for video in test.videos:
        if video.truth.note:
            notes.append(f"{video.video}: {video.truth.note}")
    return notes


def notes_on_long_events(test: VideoSet) -> list[str]:
    """A note where one event covers a video that is mostly normal: event precision counts it as
    right.
    """
    covered = []
    for video in test.videos:
        filmed = filmed_seconds(video.seconds)
        starts, ends = event_spans(video.events).T
        longest = (ends - starts).max(initial=0.0)
        anomalous = float(video.truth.frame.mean())
        if longest >= COVERING * filmed and 0 < anomalous < MOSTLY:
            covered.append(video.video)
    if not covered:
        return []
    return [
        f"one event covers all of {first_names(covered)}: it meets every odd stretch, "
        "so event precision, recall and delay say nothing there; read event time precision"
    ]


def by_part(judged: Sequence[EvaluatedVideo]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For each part of the score that all videos have, its micro and macro AUC, honest and as
    published.
    """
    odd = truth_frames(judged)
    found = {}
    for name in judged[0].parts:
        if not all(name in video.parts for video in judged):
            continue
        values = []
        raw = []
        aucs = []
        for video in judged:
            values.append(video.parts[name])
            raw.append(video.raw_parts[name])
            aucs.append(metrics.auc(video.truth.frame, video.parts[name]))
        honest = {
            "micro_auc": metrics.auc(np.concatenate(odd), np.concatenate(values)),
            "macro_auc": mean_of_known(aucs),
        }
        micro, macro = metrics.as_published(odd, raw)
        found[name] = {"honest": honest, "as_published": {"micro_auc": micro, "macro_auc": macro}}
    return found


def by_kind(judged: Sequence[EvaluatedVideo]) -> dict[str, dict[str, float | int | None]]:
    """For each kind of anomaly, the AUC of its frames against all normal ones, how many frames it
    has, how many
    segments, and how many of these an event overlaps."""
    told = []
    kinds = []
    for video in judged:
        if video.truth.kind is not None:
            told.append(video)
            kinds.append(np.where(video.truth.frame, np.asarray(video.truth.kind, str), ""))
    if not told:
        return {}
    normal = np.concatenate(rankings(judged))[~np.concatenate(truth_frames(judged))]
    kind = np.concatenate(kinds)
    value = np.concatenate(rankings(told))
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
    """For plots, at most 500 points each: ROC of all frames and of each video (None for one class),
    and detection rates against false regions per frame (None without places).
    """
    test = VideoSet(judged, places=places)
    roc_videos = {}
    for video in judged:
        roc_videos[video.video] = roc_points(video.truth.frame, video.ranking)
    detection = None
    curve = test.localization.curve
    if curve is not None:
        detection = {
            "false_per_frame": curve.false.tolist(),
            "regions": curve.regions.tolist(),
            "tracks": curve.tracks.tolist(),
        }
    return {
        "roc": roc_points(test.anomalous, test.ranking),
        "roc_videos": roc_videos,
        "detection": detection,
    }


def notes_on_parts(judged: Sequence[EvaluatedVideo]) -> list[str]:
    """A note where the parts of the score are known of some videos only."""
    without = []
    for video in judged:
        if not video.parts:
            without.append(video.video)
    if not without or len(without) == len(judged):
        return []
    return [f"the parts of the score were not kept of {first_names(without)}: none is measured"]


def first_names(names: Sequence[str], most: int = 4) -> str:
    """The first of the names, and how many more there are."""
    listed = ", ".join(names[:most])
    if len(names) > most:
        listed += f" and {len(names) - most} more"
    return listed


def plain_data(value: Any) -> Any:
    """Mappings as dictionaries and sequences as lists, all the way down."""
    if isinstance(value, Mapping):
        return {name: plain_data(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(one) for one in value]
    return value


def roc_points(odd: Bools, value: Floats) -> dict[str, Any] | None:
    """The ROC curve as lists, with its area; None where the frames are of one class."""
    auc = metrics.auc(odd, value)
    if auc is None:
        return None
    x, y = metrics.thin_curve(*metrics.roc(odd, value))
    return {"false_positive_rate": x, "true_positive_rate": y, "auc": auc}
