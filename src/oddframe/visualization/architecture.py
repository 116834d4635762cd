"""A network seen from outside: its layers with their shapes, a drawing of them, and how training
went.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.detector import Detector
from oddframe.files import aside
from oddframe.types import Clips, Floats, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read
from oddframe.visualization.palette import FAINT, INK, QUIET, RARITY, css
from oddframe.visualization.plots import axes_to_png

MOST_LAYERS = 40  # layers in a drawing: more are not told apart
UPSAMPLING = "#8fb3d9"  # transposed convolutions, paler than the others
CRITERION = {"loss": "training", "held_out": "held-out normal video"}


@dataclass(frozen=True)
class Layer:
    """One layer as the first batch met it."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of what comes out, without the batch
    trainable: int
    total: int  # with running statistics


def layers(detector: Detector, clips: Clips | None = None) -> list[Layer]:
    """The layers that clips pass, in their order; each once. Empty for a method without a network.

    Without clips it is a black one, of a shape that not every method takes.
    """
    import torch

    found: dict[str, Layer] = {}
    hooks: list[Any] = []
    if not isinstance(detector, torch.nn.Module):
        return []
    for name, module in detector.named_modules():
        # attention calls none of its own children
        leaf = isinstance(module, torch.nn.MultiheadAttention) or not list(module.children())
        if name and leaf:
            hooks.append(module.register_forward_hook(layer_noter(found, name)))
    try:
        detector.score(clips or empty_clip(detector))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def write_layers_csv(path: Path, rows: Sequence[Layer]) -> None:
    """A table of layers: name, kind, shape, parameters."""
    with aside(path) as part, part.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["layer", "kind", "output", "trainable", "parameters"])
        for row in rows:
            shape = " × ".join(map(str, row.shape))
            table.writerow([row.name, row.kind, shape, row.trainable, row.total])
        trainable = sum(row.trainable for row in rows)
        total = sum(row.total for row in rows)
        table.writerow(["all", "", "", trainable, total])


def one_of_copies(rows: Sequence[Layer]) -> Sequence[Layer]:
    """The layers of the first network where a method has several alike, `nets.0.…` and so on; else
    all.
    """
    copies: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {}
    for row in rows:
        head, number, rest = (*row.name.split(".", 2), "", "")[:3]
        copies.setdefault(f"{head}.{number}.", []).append((rest, row.kind, row.shape))
    first = next(iter(copies.values()), [])
    if len(copies) < 2 or len(first) < 2:
        return rows
    if all(copy == first for copy in copies.values()):
        return rows[: len(first)]
    return rows


def write_architecture_png(path: Path, rows: Sequence[Layer], title: str) -> None:
    """Layers with weights as blocks from left to right: as high as their pictures are large, as
    wide as channels.
    """
    once = one_of_copies(rows)
    shown = drawable_layers(once)
    if not shown:
        return
    tallest = max(block_height(row) for row in shown)
    with axes_to_png(path, max(6.0, 0.75 * len(shown)), 3.8) as axes:
        axes.axis("off")
        x = 0.0
        for row in shown:
            x += draw_layer(axes, row, x, tallest)
        axes.set(xlim=(-0.3, x), ylim=(-tallest / 2 - 3.2, tallest / 2 + 0.8))
        words = f"{sum(row.total for row in once):,} parameters"
        if len(once) < len(rows):
            words = f"{len(rows) // len(once)} × {words}"
        axes.set_title(f"{title}: {words}", loc="left", fontsize=10, color=css(INK))
        axes.set_title("channels above, pictures below", loc="right", fontsize=8, color=css(QUIET))


def drawable_layers(rows: Sequence[Layer]) -> list[Layer]:
    """Layers with weights that give pictures, without normalisations, as many as can be told
    apart.
    """
    shown = []
    for row in rows:
        if row.total and len(row.shape) > 1 and "Norm" not in row.kind:
            shown.append(row)
    return shown[:MOST_LAYERS]


def block_height(row: Layer) -> float:
    """How high a layer is drawn, by the larger side of its pictures."""
    return float(np.log2(2 + max(row.shape[-2:])))


def draw_layer(axes: Any, row: Layer, x: float, tallest: float) -> float:
    """A block with its channels above, its picture's size below and its kind; returns the width
    taken.
    """
    height = block_height(row)
    width = 0.25 + 0.12 * np.log2(1 + row.shape[0])
    middle = x + width / 2
    colour = css(RARITY)
    if "Transpose" in row.kind:
        colour = UPSAMPLING
    axes.bar(middle, height, width, -height / 2, color=colour, edgecolor="white", linewidth=1)
    channels = str(row.shape[0])
    axes.text(middle, height / 2 + 0.15, channels, ha="center", fontsize=7, color=css(INK))
    size = "×".join(map(str, row.shape[1:]))
    below = {"ha": "center", "va": "top", "fontsize": 6}
    axes.text(middle, -height / 2 - 0.15, size, color=css(QUIET), **below)
    axes.text(middle, -tallest / 2 - 1.1, row.kind, rotation=35, color=css(INK), **below)
    return float(max(width, 0.9) + 0.3)


def write_training_png(path: Path, log: Path) -> bool:
    """Loss and rate over the epochs, from the CSV of a training. False where it holds no finished
    epoch.
    """
    rows = list(csv.DictReader(log.read_text().splitlines()))
    if not rows:
        return False
    epochs = training_column(rows, "epoch")
    marker = ""
    if len(rows) < 30:
        marker = "o"
    with axes_to_png(path, 6.4, 3.4) as axes:
        for (key, words), colour in zip(CRITERION.items(), (css(RARITY), css(INK)), strict=True):
            if key in rows[0]:
                values = training_column(rows, key)
                look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3}
                axes.plot(epochs, values, label=words, **look)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend(fontsize=8, frameon=False)
        rates = axes.twinx()
        rates.plot(epochs, training_column(rows, "lr"), color=css(FAINT), linewidth=1, zorder=0)
        rates.set_ylim(0)
        rates.set_ylabel("learning rate", fontsize=8, color=css(QUIET))
        rates.tick_params(colors=css(QUIET), labelsize=7, length=0)
        for side in ("top", "left", "right", "bottom"):
            rates.spines[side].set_visible(False)
        seconds = training_column(rows, "seconds").sum()
        words = f"{len(rows)} epochs, {seconds:.0f} s in steps"
        axes.set_title(words, loc="left", fontsize=10, color=css(INK))
    return True


def training_column(rows: Sequence[dict[str, str]], name: str) -> Floats:
    """One column of a training's CSV."""
    return np.array([float(row[name]) for row in rows])


def draw_run(folder: Path, detector: Detector, video: Video) -> None:
    """Everything above, into a run folder, the layers as a clip of this video passes them.

    A run without a network gets nothing.
    """
    for log in sorted((folder / "logs").glob("*.csv")):
        write_training_png(folder / f"{log.stem}.loss.png", log)
    if detector.core() is None:
        return
    spec = detector.spec
    clips = next(clips_of(read(video, spec), spec, video.name, batch=1), None)
    if clips is None:
        return
    rows = layers(detector, clips)
    if rows:
        write_layers_csv(folder / "layers.csv", rows)
        write_architecture_png(folder / "architecture.png", rows, detector.name)


def run_pictures(folder: Path) -> dict[str, Path]:
    """What `draw_run` left in a run folder, by title."""
    pictures = {}
    for path in sorted(folder.glob("*.loss.png")):
        pictures[f"Training: {path.name.removesuffix('.loss.png')}"] = path
    network = folder / "architecture.png"
    if network.is_file():
        pictures["Network"] = network
    return pictures


def layer_noter(found: dict[str, Layer], name: str) -> Any:
    """A hook that notes the first thing that a layer makes."""

    def note(module: Any, _given: Any, made: Any) -> None:
        if isinstance(made, tuple):
            made = made[0]
        if name in found or not hasattr(made, "shape"):
            return
        parameters = list(module.parameters())
        total = trainable = 0
        for parameter in parameters:
            total += parameter.numel()
            trainable += parameter.numel() * parameter.requires_grad
        for buffer in module.buffers():
            total += buffer.numel() * buffer.is_floating_point()
        shape = tuple(made.shape[1:])
        found[name] = Layer(name, type(module).__name__, shape, trainable, total)

    return note


def empty_clip(detector: Detector) -> Clips:
    """A black clip as the detector's spec asks for."""
    spec = detector.spec
    size = (240, 320)
    if isinstance(spec.size, tuple):
        size = spec.size
    elif spec.size:
        size = (240, spec.size)
    channels = 1
    if spec.colour == "rgb":
        channels = 3
    pixels = np.zeros((1, channels, spec.length, *size), np.uint8)
    times = np.arange(spec.length)[None] / (spec.fps or 25.0)
    return Clips(pixels, "empty", np.zeros(1, int), np.zeros(1), times)
