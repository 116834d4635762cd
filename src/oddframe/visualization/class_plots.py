"""Pictures of clips in classes: how many there are, how far from normal, how they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.files import aside
from oddframe.types import Floats
from oddframe.visualization.palette import ODD, OTHERS, QUIET, RARITY, TRUTH, css

ACCENT = css(ODD)
GREY = css(OTHERS)
PARTS_COLOURS = {"train": css(RARITY), "val": css(TRUTH), "test": css(QUIET), "anomaly": css(ODD)}
Groups = Mapping[str, Mapping[str, Floats]]  # by panel, by box


def write_boxes_png(path: Path, groups: Groups, what: str) -> None:
    """Box plots, each panel a part and each box a class; of one panel, each box a part. With every
    clip as a dot.
    """
    from matplotlib.figure import Figure

    shown = without_empty(groups)
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    widest = max(len(boxes) for boxes in shown.values())
    size = (columns * max(4.5, 0.75 * widest + 2), 3.8 * lines)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, (panel, boxes) in zip(axes.flat, shown.items(), strict=False):
        draw_boxes(axis, panel, boxes)
        axis.set_ylabel(what)
        if widest >= 5:
            axis.tick_params(axis="x", rotation=30)
    save_figure(figure, path)


def without_empty(groups: Groups) -> dict[str, dict[str, Floats]]:
    """The panels and boxes that hold values; one empty panel where none does."""
    shown: dict[str, dict[str, Floats]] = {}
    for panel, boxes in groups.items():
        for name, values in boxes.items():
            if len(values):
                shown.setdefault(panel, {})[name] = values
    return shown or {"": {}}


def draw_boxes(axis: Any, panel: str, boxes: Mapping[str, Floats]) -> None:
    """One panel: a box for each group, and every value as a dot."""
    axis.set_title(panel, fontsize=10)
    axis.grid(axis="y", alpha=0.3)
    if not boxes:
        return
    values = list(boxes.values())
    axis.boxplot(values, widths=0.55, showfliers=False, medianprops={"color": ACCENT})
    of_panel = PARTS_COLOURS.get(panel.partition(":")[0], GREY)
    names = []
    for k, (name, dots) in enumerate(boxes.items(), 1):
        across = np.full(len(dots), float(k))
        if len(dots) > 1:
            across += np.linspace(-0.18, 0.18, len(dots))
        colour = PARTS_COLOURS.get(name, of_panel)
        axis.plot(across, np.asarray(dots), ".", color=colour, alpha=0.5, markersize=4)
        names.append(f"{name}\n{len(dots)}")
    axis.set_xticks(range(1, len(boxes) + 1), names, fontsize=8)


def write_counts_png(
    path: Path, counts: Mapping[str, Mapping[str, int]], seconds: Mapping[str, Floats]
) -> None:
    """How many clips of each class each part has, and how long clips are."""
    from matplotlib.figure import Figure

    parts = [part for part in counts if counts[part]]
    classes = list(dict.fromkeys(chain(*counts.values())))
    figure = Figure(figsize=(11, max(3.2, 0.42 * len(classes) + 1.6)), layout="constrained")
    left, right = figure.subplots(1, 2)
    start = np.zeros(len(classes))
    for part in parts:
        width = np.array([counts[part].get(label, 0) for label in classes])
        colour = PARTS_COLOURS.get(part, GREY)
        left.barh(classes, width, left=start, color=colour, label=f"{part} {width.sum()}")
        start += width
    left.invert_yaxis()
    left.set_xlabel("clips")
    left.legend(fontsize=8)
    lengths = []
    colours = []
    for part in parts:
        if len(seconds[part]):
            lengths.append(seconds[part])
            colours.append(PARTS_COLOURS.get(part, GREY))
    longest = float(np.max(np.concatenate([[0.0], *lengths]))) or 1.0
    bins = np.linspace(0, longest * 1.001, 25)
    right.hist(lengths, bins, stacked=True, color=colours)
    right.set_xlabel("seconds")
    right.set_ylabel("clips")
    save_figure(figure, path)


def tsne(points: Floats, seed: int = 0) -> Floats | None:
    """(M, 2) from (M, D): neighbours stay near (van der Maaten & Hinton, 2008); None with fewer
    than five points.
    """
    from sklearn.manifold import TSNE

    if len(points) < 5:
        return None
    perplexity = min(30.0, (len(points) - 1) / 3)
    method = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(method.fit_transform(points.astype(np.float32)))


def write_scatter_png(path: Path, flat: Floats, labels: Sequence[str], title: str) -> None:
    """Points in the plane, a colour for each class."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axis = figure.subplots()
    names = list(dict.fromkeys(labels))
    every = np.asarray(labels)
    for k, name in enumerate(names):
        x, y = flat[every == name].T
        colour = colormaps["tab20"](k % 20)
        axis.scatter(x, y, s=16, color=colour, label=f"{name} ({len(x)})")
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_xticks([])
    axis.set_yticks([])
    save_figure(figure, path)


def write_scatter_html(
    path: Path, flat: Floats, labels: Sequence[str], names: Sequence[str], title: str
) -> None:
    """The same to move about in, with each clip's name; one file, no network."""
    from plotly import graph_objects

    figure = graph_objects.Figure(layout={"title": title, "template": "simple_white"})
    every = np.asarray(labels)
    texts = np.asarray(names)
    for label in dict.fromkeys(labels):
        mine = every == label
        x, y = flat[mine].T
        text = texts[mine].tolist()
        figure.add_scatter(x=x, y=y, mode="markers", name=label, text=text, hoverinfo="text+name")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    with aside(path) as part:
        figure.write_html(part, include_plotlyjs=True)


def write_learning_png(path: Path, epochs: Sequence[Mapping[str, float]]) -> None:
    """Loss and held-out criterion over epochs, and the rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()

    def column(name: str) -> list[float]:
        return [row[name] for row in epochs]

    at = column("epoch")
    for name, colour in (("loss", PARTS_COLOURS["train"]), ("held_out", PARTS_COLOURS["val"])):
        if name in epochs[0]:
            axis.plot(at, column(name), color=colour, label=name.replace("_", " "))
    axis.set_xlabel("epoch")
    axis.set_ylabel("squared error of an embedding")
    rate = axis.twinx()
    rate.plot(at, column("lr"), ":", color=GREY, label="rate")
    rate.set_yscale("log")
    rate.set_ylabel("rate")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    save_figure(figure, path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with aside(path) as part:
        figure.savefig(part, dpi=110)
