"""Pictures of clips in classes: how many there are, how far from normal, how they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.files import aside
from oddframe.types import Floats
from oddframe.visualization.palette import ODD, OTHERS, QUIET, RARITY, TRUTH, css

ACCENT, GREY = css(ODD), css(OTHERS)
PARTS_COLOURS = {"train": css(RARITY), "val": css(TRUTH), "test": css(QUIET), "anomaly": css(ODD)}
Groups = Mapping[str, Mapping[str, Floats]]  # by panel, by box


def boxes_png(path: Path, groups: Groups, what: str) -> None:
    """Box plots, each panel a part and each box a class; of one panel, each box a part. With every clip as a dot."""
    from matplotlib.figure import Figure

    shown = {
        panel: {name: values for name, values in boxes.items() if len(values)}
        for panel, boxes in groups.items()
    }
    shown = {panel: boxes for panel, boxes in shown.items() if boxes} or {"": {}}
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    widest = max(len(boxes) for boxes in shown.values())
    figure = Figure(
        figsize=(columns * max(4.5, 0.75 * widest + 2), 3.8 * lines), layout="constrained"
    )
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, (panel, boxes) in zip(axes.flat, shown.items(), strict=False):
        if boxes:
            axis.boxplot(
                list(boxes.values()), widths=0.55, showfliers=False, medianprops={"color": ACCENT}
            )
        for k, (name, values) in enumerate(boxes.items(), 1):
            spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
            colour = PARTS_COLOURS.get(name, PARTS_COLOURS.get(panel.partition(":")[0], GREY))
            axis.plot(k + spread, np.asarray(values), ".", color=colour, alpha=0.5, markersize=4)
        names = [f"{name}\n{len(values)}" for name, values in boxes.items()]
        axis.set_xticks(
            range(1, len(boxes) + 1), names, rotation=0 if widest < 5 else 30, fontsize=8
        )
        axis.set_title(panel, fontsize=10)
        axis.set_ylabel(what)
        axis.grid(axis="y", alpha=0.3)
    _save(figure, path)


def counts_png(
    path: Path, counts: Mapping[str, Mapping[str, int]], seconds: Mapping[str, Floats]
) -> None:
    """How many clips of each class each part has, and how long clips are."""
    from matplotlib.figure import Figure

    parts = [part for part in counts if counts[part]]
    classes = list(dict.fromkeys(label for part in parts for label in counts[part]))
    figure = Figure(figsize=(11, max(3.2, 0.42 * len(classes) + 1.6)), layout="constrained")
    left, right = figure.subplots(1, 2)
    start = np.zeros(len(classes))
    for part in parts:
        width = np.array([counts[part].get(label, 0) for label in classes])
        left.barh(
            classes,
            width,
            left=start,
            color=PARTS_COLOURS.get(part, GREY),
            label=f"{part} {width.sum()}",
        )
        start += width
    left.invert_yaxis()
    left.set_xlabel("clips")
    left.legend(fontsize=8)
    longest = max((float(values.max()) for values in seconds.values() if len(values)), default=1.0)
    bins = np.linspace(0, longest * 1.001, 25)
    held = [part for part in parts if len(seconds[part])]
    right.hist(
        [seconds[part] for part in held],
        bins,
        stacked=True,
        color=[PARTS_COLOURS.get(part, GREY) for part in held],
    )
    right.set_xlabel("seconds")
    right.set_ylabel("clips")
    _save(figure, path)


def tsne(points: Floats, seed: int = 0) -> Floats | None:
    """(M, 2) from (M, D): neighbours stay near (van der Maaten & Hinton, 2008); None with fewer than five points."""
    from sklearn.manifold import TSNE

    if len(points) < 5:
        return None
    perplexity = min(30.0, (len(points) - 1) / 3)
    made = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        points.astype(np.float32)
    )
    return np.asarray(made)


def scatter_png(path: Path, flat: Floats, labels: Sequence[str], title: str) -> None:
    """Points in the plane, a colour for each class."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axis = figure.subplots()
    names = list(dict.fromkeys(labels))
    for k, name in enumerate(names):
        mine = [n for n, label in enumerate(labels) if label == name]
        axis.scatter(
            flat[mine, 0],
            flat[mine, 1],
            s=16,
            color=colormaps["tab20"](k % 20),
            label=f"{name} ({len(mine)})",
        )
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_xticks([])
    axis.set_yticks([])
    _save(figure, path)


def scatter_html(
    path: Path, flat: Floats, labels: Sequence[str], names: Sequence[str], title: str
) -> None:
    """The same to move about in, with each clip's name; one file, no network."""
    from plotly import graph_objects

    figure = graph_objects.Figure(layout={"title": title, "template": "simple_white"})
    for label in dict.fromkeys(labels):
        mine = [n for n, other in enumerate(labels) if other == label]
        figure.add_scatter(
            x=flat[mine, 0],
            y=flat[mine, 1],
            mode="markers",
            name=label,
            text=[names[n] for n in mine],
            hoverinfo="text+name",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    with aside(path) as part:
        figure.write_html(part, include_plotlyjs=True)


def learning_png(path: Path, epochs: Sequence[Mapping[str, float]]) -> None:
    """Loss and held-out criterion over epochs, and the rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    at = [row["epoch"] for row in epochs]
    for name, colour in (("loss", PARTS_COLOURS["train"]), ("held_out", PARTS_COLOURS["val"])):
        if name in epochs[0]:
            axis.plot(at, [row[name] for row in epochs], color=colour, label=name.replace("_", " "))
    axis.set_xlabel("epoch")
    axis.set_ylabel("squared error of an embedding")
    rate = axis.twinx()
    rate.plot(at, [row["lr"] for row in epochs], ":", color=GREY, label="rate")
    rate.set_yscale("log")
    rate.set_ylabel("rate")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with aside(path) as part:
        figure.savefig(part, dpi=110)
