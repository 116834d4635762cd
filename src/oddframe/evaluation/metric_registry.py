"""The metrics of the table. One is added in one place: a function here with `@metric` over it.

JSON, the table on the terminal, the report and the comparison of runs take name, meaning and the
reason for an undefined number from it. docs: Evaluation has the definitions; the arithmetic on
plain arrays is in metrics.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from oddframe.evaluation import metrics
from oddframe.evaluation.evaluated_video import event_spans, have_maps, rankings, truth_frames
from oddframe.evaluation.published_smoothing import SMOOTHINGS
from oddframe.evaluation.region_metrics import area
from oddframe.evaluation.video_set import VideoSet, anomalous_seconds

MetricValue = float | int | list[float] | None
Column = Literal["honest", "as_published", "place"]
Compute = Callable[[VideoSet], MetricValue]
WhyUndefined = Callable[[VideoSet], str]


@dataclass(frozen=True)
class Metric:
    """One number of the table."""

    key: str  # in JSON
    title: str  # for people
    meaning: str  # in one line
    column: Column
    compute: Compute
    undefined: WhyUndefined  # why it is None, if it is
    lower_is_better: bool = False
    unit: str = ""

    @property
    def path(self) -> str:
        """The key by which `why_null` gives the reason."""
        if self.column == "as_published":
            return f"as_published.{self.key}"
        return self.key


METRICS: list[Metric] = []  # in the order of the table


def metric(
    title: str,
    undefined: WhyUndefined,
    *,
    column: Column = "honest",
    lower_is_better: bool = False,
    unit: str = "",
) -> Callable[[Compute], Compute]:
    """Put the function below into the table under its own name; its docstring is what people
    read.
    """

    def register(compute: Compute) -> Compute:
        METRICS.append(
            Metric(
                compute.__name__,
                title,
                meaning_of(compute),
                column,
                compute,
                undefined,
                lower_is_better,
                unit,
            )
        )
        return compute

    return register


def meaning_of(compute: Compute) -> str:
    """The docstring's first line, as part of a sentence."""
    line = (compute.__doc__ or "").split("\n")[0].strip().rstrip(".")
    if line[1:2].islower():  # no abbreviation, such as ROC
        return line[:1].lower() + line[1:]
    return line


def metrics_of(column: Column) -> list[Metric]:
    """The metrics of one column, in order."""
    return [one for one in METRICS if one.column == column]


def one_class(test: VideoSet) -> str:
    """Which class is the only one."""
    if test.anomalous.all():
        return "every test frame is odd"
    return "no test frame is odd"


def no_interval(test: VideoSet) -> str:
    """Why there is no bootstrap interval."""
    if test.anomalous.any() and not test.anomalous.all():
        return "the interval is over videos, and there is only one"
    return one_class(test)


def no_segment_met(test: VideoSet) -> str:
    """Why there is no delay."""
    if test.anomalous.any():
        return "no event met a true segment"
    return one_class(test)


def never(_test: VideoSet) -> str:
    """For numbers that are always defined."""
    return ""


def because(reason: str) -> WhyUndefined:
    """The same reason whatever was tested."""

    def say_it(_test: VideoSet) -> str:
        return reason

    return say_it


def no_place(key: str) -> WhyUndefined:
    """The reason that finding places gave."""

    def look_up(test: VideoSet) -> str:
        return test.localization.why.get(key, "")

    return look_up


@metric("micro AUC", one_class)
def micro_auc(test: VideoSet) -> MetricValue:
    """ROC area over the frames of all videos together."""
    return metrics.auc(test.anomalous, test.ranking)


@metric("95 % interval", no_interval)
def micro_auc_interval(test: VideoSet) -> MetricValue:
    """Of the micro AUC, by drawing whole videos."""
    anomalous = truth_frames(test.videos)
    return metrics.interval(anomalous, rankings(test.videos), test.seed)


@metric(
    "macro AUC",
    because("no video holds both normal and odd frames"),
)
def macro_auc(test: VideoSet) -> MetricValue:
    """Mean ROC area of the videos that hold both normal and odd frames."""
    return mean_of_known(test.aucs)


@metric("videos of the macro AUC", never)
def macro_videos(test: VideoSet) -> MetricValue:
    """That hold both normal and odd frames."""
    return len(test.aucs) - test.aucs.count(None)


@metric("average precision", one_class)
def ap(test: VideoSet) -> MetricValue:
    """Area under precision against recall, over all frames."""
    if test.anomalous.all():
        return None
    return metrics.average_precision(test.anomalous, test.ranking)


@metric(
    "equal error rate",
    one_class,
    lower_is_better=True,
)
def eer(test: VideoSet) -> MetricValue:
    """Where misses and false alarms are equally frequent; lower is better."""
    return metrics.equal_error_rate(test.anomalous, test.ranking)


@metric("RBDC", no_place("rbdc"))
def rbdc(test: VideoSet) -> MetricValue:
    """Odd regions found, against false regions per frame up to 1."""
    curve = test.localization.curve
    if curve is None:
        return None
    return area(curve.false, curve.regions)


@metric("TBDC", no_place("tbdc"))
def tbdc(test: VideoSet) -> MetricValue:
    """Odd tracks found, against false regions per frame up to 1."""
    curve = test.localization.curve
    if curve is None:
        return None
    return area(curve.false, curve.tracks)


@metric("pixel AUC", no_place("pixel_auc"))
def pixel_auc(test: VideoSet) -> MetricValue:
    """ROC area over the pixels of the map."""
    return test.localization.pixel_auc


@metric(
    "peak in place",
    no_place("peak_in_region"),
    column="place",
)
def peak_in_region(test: VideoSet) -> MetricValue:
    """Odd frames whose map is highest inside a true region."""
    return test.localization.peak_in_region


@metric(
    "event precision",
    because("there was no event"),
)
def event_precision(test: VideoSet) -> MetricValue:
    """Share of events that are truly odd, at the threshold in use."""
    return metrics.precision_recall_f1(test.matches)[0]


@metric("event recall", one_class)
def event_recall(test: VideoSet) -> MetricValue:
    """Share of odd stretches that raised an event."""
    return metrics.precision_recall_f1(test.matches)[1]


@metric("event F1", one_class)
def event_f1(test: VideoSet) -> MetricValue:
    """Harmonic mean of the two."""
    return metrics.precision_recall_f1(test.matches)[2]


@metric(
    "event time precision",
    because("there was no event"),
)
def event_time_precision(test: VideoSet) -> MetricValue:
    """Share of the events' time that is truly odd: low where one event covers a whole video."""
    inside = 0.0
    lasting = 0.0
    for video in test.videos:
        spans = event_spans(video.events)
        lasting += float((spans[:, 1] - spans[:, 0]).sum())
        inside += metrics.shared_seconds(spans, anomalous_seconds(video))
    if not lasting:
        return None
    return inside / lasting


@metric("delay", no_segment_met, unit="s", lower_is_better=True)
def delay_seconds(test: VideoSet) -> MetricValue:
    """From an odd stretch's start to its alarm, median."""
    return metrics.median_delay(test.matches)


@metric(
    "false alarms per hour",
    because("no test frame is normal"),
    unit="per hour",
    lower_is_better=True,
)
def false_alarms_per_hour(test: VideoSet) -> MetricValue:
    """Events that meet no odd stretch, per hour of normal test video, at the threshold in use."""
    if not test.normal_hours:
        return None
    false = sum(int((~match.right).sum()) for match in test.matches)
    return false / test.normal_hours


@metric("lookahead", never, lower_is_better=True)
def lookahead(test: VideoSet) -> MetricValue:
    """Frames after the one judged that a score reads."""
    return test.lookahead


def mean_of_known(numbers: list[float | None]) -> float | None:
    """The mean of the numbers that are defined."""
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    return float(np.mean(known))


def no_published(smoothing: str) -> WhyUndefined:
    """Why an AUC as published is undefined."""

    def reason(test: VideoSet) -> str:
        if smoothing == "mean_3d" and not have_maps(test.videos):
            return "this method says when, but not where"
        return one_class(test)

    return reason


def register_published(smoothing: str, title: str) -> None:
    """The micro and the macro AUC as published, with one paper's smoothing."""
    ending = words = ""
    if smoothing:
        ending = f"_{smoothing}"
        words = f", {title}"

    def micro(test: VideoSet) -> MetricValue:
        return test.published(smoothing)[0]

    def macro(test: VideoSet) -> MetricValue:
        return test.published(smoothing)[1]

    for name, compute in (("micro", micro), ("macro", macro)):
        METRICS.append(
            Metric(
                f"{name}_auc{ending}",
                f"{name} AUC{words}",
                "each video's scores stretched to [0, 1] by its own lowest and highest" + words,
                "as_published",
                compute,
                no_published(smoothing),
            )
        )


for _smoothing, _title in SMOOTHINGS.items():
    register_published(_smoothing, _title)
