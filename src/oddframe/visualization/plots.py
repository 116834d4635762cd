"""Pictures for papers and pages without a browser: PNG, drawn by matplotlib without its global
state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from oddframe.files import aside
from oddframe.scoring.calibration import GRID, Calibration, Threshold
from oddframe.types import Floats
from oddframe.visualization.palette import FAINT, INK, ODD, OTHERS, QUIET, RARITY, TRUTH, css
from oddframe.visualization.timeline import Timeline, clock, duration, odds, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 4000  # more than a plot has columns of pixels
# of the rate asked for: an axis of powers of ten has no zero, and nobody asks about less
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Curve:
    """A line to draw, (P,) x against (P,) y, and its area. Pooled curves stand out, those of one
    video stand back.
    """

    name: str
    x: Floats
    y: Floats
    area: float | None = None
    pooled: bool = True

    def thinned(self, most: int) -> tuple[Floats, Floats]:
        """At most `most` of the points: a ROC curve of a million frames has a million corners, and
        a plot fewer.
        """
        points = len(self.x)
        evenly = np.linspace(0, points - 1, min(most, points))
        kept = np.unique(evenly.astype(int))
        return self.x[kept], self.y[kept]


def roc_curves(curves: Mapping[str, Any]) -> list[Curve]:
    """The ROC of all frames, then one of each video that has one, out of what
    `scores.evaluation.curves` gives.
    """
    found = []
    if curves.get("roc") is not None:
        found.append(_roc_curve("all frames", curves["roc"], pooled=True))
    for name, values in (curves.get("roc_videos") or {}).items():
        if values is not None:
            found.append(_roc_curve(name, values, pooled=False))
    return found


def _roc_curve(name: str, values: Mapping[str, Any], *, pooled: bool) -> Curve:
    x = np.array(values["false_positive_rate"])
    y = np.array(values["true_positive_rate"])
    return Curve(name, x, y, values["auc"], pooled)


def detection_curves(curves: Mapping[str, Any]) -> list[Curve]:
    """Regions (RBDC) and tracks (TBDC) found, out of the same; none where truth or method does not
    say where.
    """
    found = curves.get("detection")
    if found is None:
        return []
    x = np.array(found["false_per_frame"], float)
    drawn = []
    for name, key in (("RBDC, regions", "regions"), ("TBDC, tracks", "tracks")):
        y = np.array(found[key], float)
        drawn.append(Curve(name, x, y, float(np.trapezoid(y, x))))
    return drawn


def cost(calibration: Calibration, threshold: Threshold) -> tuple[Floats, Floats]:
    """(P,) thresholds (rarities), (P,) false alarms per hour that each costs; to a little beyond
    what matters.
    """
    per_hour = np.array([calibration.rate(float(level)) for level in GRID])
    known = (threshold.expected, *shown_interval(threshold), threshold.supported)
    least = min(known) / 2
    kept = (per_hour >= least) | (threshold.rarity >= GRID)
    return GRID[kept], per_hour[kept]


def shown_interval(threshold: Threshold) -> tuple[float, float]:
    """Both ends of the interval of false alarms per hour, on an axis that has an end."""
    least = LEAST_SHARE * threshold.asked
    low, high = threshold.interval
    return max(low, least), max(high, least)


def write_timeline_png(path: Path, timeline: Timeline) -> None:
    """The rarity of one video over time, with threshold, events and, where known, truth."""
    from matplotlib.ticker import MultipleLocator

    with axes_to_png(path, 9.6, 3.0) as axes:
        seconds, value = thin(timeline.scores.seconds, timeline.rarity, POINTS)
        value = np.minimum(value, timeline.highest)
        ceiling = timeline.highest * 1.18
        _shade_truth(axes, timeline)
        for event in timeline.events:
            axes.axvspan(event.start, event.end, color=css(ODD), alpha=0.14, linewidth=0, zorder=1)
        # an event of a second in an hour is narrower than a pixel: a mark above it is seen
        peaks = [event.peak_seconds for event in timeline.events]
        axes.plot(
            peaks, [ceiling * 0.97] * len(peaks), "v", color=css(ODD), markersize=4.5, zorder=4
        )
        axes.fill_between(seconds, 0, value, color=css(RARITY), alpha=0.12, linewidth=0)
        marker = ""
        if len(seconds) == 1:
            marker = "o"  # a line through one point is not seen
        axes.plot(seconds, value, color=css(RARITY), linewidth=1.1, marker=marker, label="rarity")
        if np.isfinite(timeline.threshold):
            axes.axhline(timeline.threshold, color=css(INK), linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                f"threshold: {odds(timeline.threshold)}",
                (1, timeline.threshold),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=css(INK),
            )
        start = timeline.start
        end = max(timeline.end, start + timeline.step)
        axes.set(xlim=(start, end), ylim=(0, ceiling), ylabel="how rare")
        axes.yaxis.set_major_locator(MultipleLocator(max(1, int(np.ceil(ceiling / 6)))))
        axes.yaxis.set_major_formatter(_rarity_tick)
        axes.xaxis.set_major_locator(MultipleLocator(_even_step(end - start)))
        axes.xaxis.set_major_formatter(lambda at, _: clock(at))
        axes.set_xlabel("time (mm:ss)")
        if end >= 3600:
            axes.set_xlabel("time (h:mm:ss)")
        axes.set_title(_printable(timeline.video.name), loc="left", fontsize=10, color=css(INK))
        axes.set_title(_event_count(timeline), loc="right", fontsize=9, color=css(QUIET))


def write_regularity_png(path: Path, timeline: Timeline, score: Floats, threshold: float) -> None:
    """Regularity as papers plot it: one less the score (N,) between its lowest and highest in this
    very video.

    That reads the whole video, so it is for looking at beside others' plots; decisions are made on
    rarity. Frames at or above `threshold`, a score, are dots.
    """
    lowest = float(np.nanmin(score))
    spread = max(float(np.nanmax(score)) - lowest, 1e-12)
    regularity = 1 - (np.nan_to_num(score, nan=lowest) - lowest) / spread
    seconds = timeline.scores.seconds
    with axes_to_png(path, 9.6, 3.0) as axes:
        _shade_truth(axes, timeline)
        axes.plot(*thin(seconds, regularity, POINTS), color=css(RARITY), linewidth=1.1)
        flagged = score >= threshold
        axes.plot(
            seconds[flagged], regularity[flagged], ".", color=css(ODD), markersize=3, zorder=4
        )
        axes.axhline(
            1 - (threshold - lowest) / spread, color=css(INK), linewidth=1, linestyle=(0, (4, 3))
        )
        axes.set(
            xlim=(timeline.start, max(timeline.end, timeline.start + timeline.step)),
            ylim=(-0.03, 1.05),
        )
        axes.set(ylabel="regularity", xlabel="time (s)")
        name = _printable(timeline.video.name)
        axes.set_title(
            f"{name}: as published, between this video's extremes",
            loc="left",
            fontsize=10,
            color=css(INK),
        )


def write_roc_png(path: Path, curves: Sequence[Curve]) -> None:
    """True against false positive rate; every video's curve stands back behind the pooled ones."""
    with axes_to_png(path, 5.2, 5.0) as axes:
        axes.plot([0, 1], [0, 1], color=css(OTHERS), linewidth=1, linestyle=(0, (2, 3)))
        _draw(axes, curves)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
        axes.set_title("ROC over frames", loc="left", fontsize=10, color=css(INK))
        _legend(axes, "lower right")


def write_detection_png(path: Path, curves: Sequence[Curve]) -> None:
    """Share of regions or tracks found against false regions per frame (RBDC, TBDC)."""
    with axes_to_png(path, 5.2, 4.4) as axes:
        _draw(axes, curves)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set(xlabel="false positive regions per frame", ylabel="detection rate")
        axes.set_title("Regions and tracks found", loc="left", fontsize=10, color=css(INK))
        _legend(axes, "lower right")


def write_spread_png(path: Path, normal: Floats, odd: Floats, threshold: float) -> None:
    """How the rarities of normal and of odd frames are spread, each as shares of its own, and the
    threshold.
    """
    with axes_to_png(path, 7.0, 3.4) as axes:
        edges = np.linspace(0, max(4.0, threshold, normal.max(initial=0), odd.max(initial=0)), 61)
        for part, shade, what in ((normal, RARITY, "normal"), (odd, ODD, "odd")):
            if len(part):
                shares = np.full(len(part), 1 / len(part))
                label = f"{len(part):,} {what} frames"
                shown = np.clip(part, 0, edges[-1])
                look: dict[str, Any] = {"color": css(shade), "alpha": 0.55, "label": label}
                axes.hist(shown, edges.tolist(), weights=shares, **look)
        axes.axvline(
            threshold, color=css(INK), linewidth=1.2, linestyle=(0, (4, 2)), label="threshold"
        )
        axes.set(xlabel="rarity", ylabel="share of frames", xlim=(0, edges[-1]))
        axes.set_title(
            "Scores of normal and of odd frames", loc="left", fontsize=10, color=css(INK)
        )
        _legend(axes, "upper right")


def write_calibration_png(path: Path, calibration: Calibration, threshold: Threshold) -> None:
    """False alarms per hour to expect at every threshold, which one was taken, and how sure that
    is.
    """
    from matplotlib.ticker import MultipleLocator

    with axes_to_png(path, 6.4, 4.2) as axes:
        x, y = cost(calibration, threshold)
        axes.plot(
            x, y, color=css(RARITY), linewidth=1.6, label="expected on normal video", zorder=3
        )
        low, high = shown_interval(threshold)
        axes.plot(
            [threshold.rarity] * 2,
            [low, high],
            color=css(ODD),
            linewidth=1.6,
            zorder=4,
            label="95 % interval",
        )
        axes.plot(
            threshold.rarity,
            threshold.expected,
            "o",
            color=css(ODD),
            zorder=5,
            label="threshold in use",
        )
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda at, _: f"{at:,g}")
        bottom = min(float(y.min()), threshold.asked, low) / 1.8
        top = max(float(y.max()), threshold.asked, high) * 1.8
        axes.set(xlim=(float(x[0]), float(x[-1])), ylim=(bottom, top))
        if bottom < threshold.supported:
            axes.axhspan(
                bottom, threshold.supported, color=css(OTHERS), alpha=0.16, linewidth=0, zorder=0
            )
            _note(axes, "rarer than could be counted", (0.01, 0.01), "axes fraction")
        axes.axhline(threshold.asked, color=css(INK), linewidth=0.9, linestyle=(0, (1, 2)))
        at = (0.01, threshold.asked)
        _note(
            axes,
            f"asked for: {threshold.asked:g} per hour",
            at,
            ("axes fraction", "data"),
            below=True,
        )
        axes.set(
            xlabel="threshold: as rare as so many normal frames", ylabel="false alarms per hour"
        )
        axes.xaxis.set_major_locator(MultipleLocator(max(1, int(np.ceil((x[-1] - x[0]) / 5)))))
        axes.xaxis.set_major_formatter(lambda rarity, _: odds(rarity))
        axes.set_title("What a threshold costs", loc="left", fontsize=10, color=css(INK))
        note = f"{duration(calibration.hours * 3600)} of normal video, {calibration.how}"
        axes.set_title(note, loc="right", fontsize=9, color=css(QUIET))
        _legend(axes, "upper right")


@contextmanager
def axes_to_png(path: Path, wide: float, high: float, *, solid: bool = False) -> Iterator[Axes]:
    """Empty axes in the house's style, of three dimensions if solid; saved to `path` when the block
    ends well.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide, high), dpi=144, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    projection = None
    if solid:
        projection = "3d"
    axes = figure.add_subplot(projection=projection)
    axes.grid(color=css(FAINT), linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=css(QUIET), labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(css(OTHERS))
    yield axes
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=css(QUIET), fontsize=9)
    with aside(path) as part:
        canvas.print_figure(part, format="png")


def _draw(axes: Axes, curves: Sequence[Curve]) -> None:
    """Pooled curves in colour and in the legend, the rest as thin grey lines with one entry for all
    of them.
    """
    colours = [css(RARITY), css(ODD), css(TRUTH), css(INK)]
    others = [curve for curve in curves if not curve.pooled]
    label: str | None = f"each of {len(others)} videos"
    for curve in others:
        axes.plot(*curve.thinned(POINTS), color=css(OTHERS), linewidth=0.8, alpha=0.8, label=label)
        label = None  # one entry for all of them
    pooled = [curve for curve in curves if curve.pooled]
    for n, curve in enumerate(pooled):
        name = _printable(curve.name)
        if curve.area is not None:
            name += f", area {curve.area:.3f}"
        colour = colours[n % len(colours)]
        axes.plot(*curve.thinned(POINTS), color=colour, linewidth=1.9, label=name)


def _shade_truth(axes: Axes, timeline: Timeline) -> None:
    for start, end in timeline.odd_seconds():
        axes.axvspan(start, end, ymax=0.035, color=css(TRUTH), linewidth=0, zorder=3)
    if timeline.truth is not None and timeline.truth.frame.any():
        _note(axes, "truth", (0.004, 0.035), "axes fraction", colour=css(TRUTH))


def _note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    within: str | tuple[str, str],
    *,
    below: bool = False,
    colour: str = css(QUIET),
) -> None:
    offset = (2, 2)
    side = "bottom"
    if below:
        offset = (2, -3)
        side = "top"
    look: dict[str, Any] = {"fontsize": 8, "color": colour, "va": side}
    axes.annotate(text, at, xycoords=within, xytext=offset, textcoords="offset points", **look)


def _even_step(length: float) -> float:
    """Seconds from tick to tick that a clock's reader would choose, for about eight of them."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)
    least = length / 9
    if least < 0.5:
        return 0.5
    for step in steps:
        if step >= least:
            return step
    return float(np.ceil(least / 86400) * 86400)


def _legend(axes: Axes, where: Literal["lower right", "upper right"]) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=where, fontsize=8, frameon=False, labelcolor=css(INK))


def _event_count(timeline: Timeline) -> str:
    count = len(timeline.events)
    if count == 0:
        return "no unusual event"
    if count == 1:
        return "1 unusual event"
    return f"{count} unusual events"


def _rarity_tick(rarity: float, _: object) -> str:
    if rarity > 0:
        return odds(rarity)
    return "usual"


def _printable(name: str) -> str:
    """A dollar sign in a file's name is not the start of a formula."""
    return name.replace("$", r"\$")
