"""A network seen from outside: its layers with their shapes, a drawing of them, and how training went."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.detector import Detector
from oddframe.files import aside
from oddframe.types import Clips, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read
from oddframe.visualization.palette import FAINT, INK, QUIET, RARITY, css
from oddframe.visualization.plots import drawn_axes

LARGEST = 40  # layers in a drawing: more are not told apart
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
    for name, module in detector.named_modules() if isinstance(detector, torch.nn.Module) else ():
        # attention calls none of its own children
        if name and (
            isinstance(module, torch.nn.MultiheadAttention) or not list(module.children())
        ):
            hooks.append(module.register_forward_hook(_note(found, name)))
    try:
        detector.score(clips or _empty_clip(detector))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def layers_csv(path: Path, rows: Sequence[Layer]) -> None:
    """A table of layers: name, kind, shape, parameters."""
    with aside(path) as part, part.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["layer", "kind", "output", "trainable", "parameters"])
        for row in rows:
            table.writerow(
                [row.name, row.kind, " × ".join(map(str, row.shape)), row.trainable, row.total]
            )
        sums = (sum(row.trainable for row in rows), sum(row.total for row in rows))
        table.writerow(["all", "", "", *sums])


def one_of_copies(rows: Sequence[Layer]) -> Sequence[Layer]:
    """The layers of the first network where a method has several alike, `nets.0.…` and so on; else all."""
    copies: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {}
    for row in rows:
        head, number, rest = (*row.name.split(".", 2), "", "")[:3]
        copies.setdefault(f"{head}.{number}.", []).append((rest, row.kind, row.shape))
    first = next(iter(copies.values()), [])
    alike = len(copies) > 1 and len(first) > 1 and all(copy == first for copy in copies.values())
    return rows[: len(first)] if alike else rows


def architecture_png(path: Path, rows: Sequence[Layer], title: str) -> None:
    """Layers with weights as blocks from left to right: as high as their pictures are large, as wide as channels."""
    once = one_of_copies(rows)
    shown = [row for row in once if row.total and len(row.shape) > 1 and "Norm" not in row.kind][
        :LARGEST
    ]
    if not shown:
        return
    high = [np.log2(2 + max(row.shape[-2:])) for row in shown]
    wide = [0.25 + 0.12 * np.log2(1 + row.shape[0]) for row in shown]
    with drawn_axes(path, max(6.0, 0.75 * len(shown)), 3.8) as axes:
        axes.axis("off")
        x = 0.0
        for row, height, width in zip(shown, high, wide, strict=True):
            up = "Transpose" in row.kind
            colour = css(RARITY) if not up else "#8fb3d9"
            axes.bar(
                x + width / 2,
                height,
                width,
                -height / 2,
                color=colour,
                edgecolor="white",
                linewidth=1,
            )
            axes.text(
                x + width / 2,
                height / 2 + 0.15,
                f"{row.shape[0]}",
                ha="center",
                fontsize=7,
                color=css(INK),
            )
            size = "×".join(str(side) for side in row.shape[1:])
            axes.text(
                x + width / 2,
                -height / 2 - 0.15,
                size,
                ha="center",
                va="top",
                fontsize=6,
                color=css(QUIET),
            )
            axes.text(
                x + width / 2, -max(high) / 2 - 1.1, row.kind, ha="center", va="top", rotation=35, fontsize=6,
                color=css(INK),
            )  # fmt: skip
            x += max(width, 0.9) + 0.3
        axes.set(xlim=(-0.3, x), ylim=(-max(high) / 2 - 3.2, max(high) / 2 + 0.8))
        count = sum(row.total for row in once)
        times = f"{len(rows) // len(once)} × " if len(once) < len(rows) else ""
        axes.set_title(
            f"{title}: {times}{count:,} parameters", loc="left", fontsize=10, color=css(INK)
        )
        axes.set_title("channels above, pictures below", loc="right", fontsize=8, color=css(QUIET))


def training_png(path: Path, log: Path) -> bool:
    """Loss and rate over the epochs, from the CSV of a training. False where it holds no finished epoch."""
    rows = list(csv.DictReader(log.read_text().splitlines()))
    if not rows:
        return False
    epochs = np.array([float(row["epoch"]) for row in rows])
    with drawn_axes(path, 6.4, 3.4) as axes:
        for (key, words), colour in zip(CRITERION.items(), (css(RARITY), css(INK)), strict=True):
            if key in rows[0]:
                values = [float(row[key]) for row in rows]
                axes.plot(
                    epochs,
                    values,
                    color=colour,
                    label=words,
                    marker="o" if len(rows) < 30 else "",
                    markersize=3,
                )
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend(fontsize=8, frameon=False)
        rates = axes.twinx()
        rates.plot(
            epochs, [float(row["lr"]) for row in rows], color=css(FAINT), linewidth=1, zorder=0
        )
        rates.set_ylim(0)
        rates.set_ylabel("learning rate", fontsize=8, color=css(QUIET))
        rates.tick_params(colors=css(QUIET), labelsize=7, length=0)
        for side in ("top", "left", "right", "bottom"):
            rates.spines[side].set_visible(False)
        seconds = sum(float(row["seconds"]) for row in rows)
        axes.set_title(
            f"{len(rows)} epochs, {seconds:.0f} s in steps", loc="left", fontsize=10, color=css(INK)
        )
    return True


def draw_run(folder: Path, detector: Detector, video: Video) -> None:
    """Everything above, into a run folder, the layers as a clip of this video passes them.

    A run without a network gets nothing.
    """
    for log in sorted((folder / "logs").glob("*.csv")):
        training_png(folder / f"{log.stem}.loss.png", log)
    if detector.core() is None:
        return
    spec = detector.spec
    clips = next(clips_of(read(video, spec), spec, video.name, batch=1), None)
    rows = layers(detector, clips) if clips is not None else []
    if rows:
        layers_csv(folder / "layers.csv", rows)
        architecture_png(folder / "architecture.png", rows, detector.name)


def drawn_of(folder: Path) -> dict[str, Path]:
    """What `draw_run` left in a run folder, by title."""
    losses = {
        f"Training: {path.name.removesuffix('.loss.png')}": path
        for path in sorted(folder.glob("*.loss.png"))
    }
    network = folder / "architecture.png"
    return losses | ({"Network": network} if network.is_file() else {})


def _note(found: dict[str, Layer], name: str) -> Any:
    def note(module: Any, _given: Any, made: Any) -> None:
        made = made[0] if isinstance(made, tuple) else made
        if name in found or not hasattr(made, "shape"):
            return
        parameters = list(module.parameters())
        trainable = sum(p.numel() for p in parameters if p.requires_grad)
        running = sum(b.numel() for b in module.buffers() if b.is_floating_point())
        total = sum(p.numel() for p in parameters) + running
        found[name] = Layer(name, type(module).__name__, tuple(made.shape[1:]), trainable, total)

    return note


def _empty_clip(detector: Detector) -> Clips:
    """A black clip as the detector's spec asks for."""
    spec = detector.spec
    size = spec.size if isinstance(spec.size, tuple) else (240, spec.size or 320)
    pixels = np.zeros((1, 3 if spec.colour == "rgb" else 1, spec.length, *size), np.uint8)
    times = np.arange(spec.length)[None] / (spec.fps or 25.0)
    return Clips(pixels, "empty", np.zeros(1, int), np.zeros(1), times)
