"""How frames lay to each other before a network was trained, and after.

Reads what methods leave in a run's folder: `embeddings/before.npz` and `after.npz` with `video`
(N,), `frame` (N,) and `vector` (N, D).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.files import aside
from oddframe.training.collapse import measure_spread
from oddframe.types import Floats, Ints
from oddframe.visualization.palette import INK, OTHERS, QUIET, css
from oddframe.visualization.plots import axes_to_png

DRAWN = 800  # points of a picture: more hide each other, and t-SNE takes long over them
PERPLEXITY = 30.0  # as the temporal queue's authors drew
FEWEST = 10  # points of which neighbourhoods can be drawn
WHEN = ("before", "after")


@dataclass(frozen=True)
class Points:
    """Embeddings of N frames, drawn evenly from all there are."""

    when: str
    video: NDArray[np.str_]  # (N,)
    frame: Ints  # (N,)
    vector: Floats  # (N, D)

    @property
    def colour(self) -> Floats:
        """(N,) from 0 to 1: which video, or when, where there is one video."""
        names, number = np.unique(self.video, return_inverse=True)
        if len(names) > 1:
            return number / (len(names) - 1)
        return self.frame / max(1, int(self.frame.max()))


def draw_embeddings(folder: Path) -> list[Path]:
    """Draw what is there, into `folder`; returns the pictures made."""
    made: list[Path] = []
    solid = []
    for when in WHEN:
        points = read_points(folder / "embeddings" / f"{when}.npz", when)
        if points is None:
            continue
        for dimensions in (2, 3):
            at = neighbourhood(points.vector, dimensions)
            path = folder / f"embeddings-{when}-{dimensions}d.png"
            write_points_png(path, points, at)
            made.append(path)
        solid.append((points, at))
    if solid:
        page = folder / "embeddings.html"
        write_points_page(page, solid)
        made.append(page)
    return made


def neighbourhood(vectors: Floats, dimensions: int) -> Floats:
    """(N, dimensions): t-SNE by cosine, the same for the same vectors."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    found = TSNE(dimensions, perplexity=perplexity, metric="cosine", init="random", random_state=0)
    return np.asarray(found.fit_transform(np.asarray(vectors, np.float32)))


def read_points(path: Path, when: str) -> Points | None:
    """The embeddings that a training left there; None where there are none, or too few."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as held:
        video, frame, vector = held["video"], held["frame"], held["vector"]
    if len(frame) < FEWEST:
        return None
    kept = np.unique(np.linspace(0, len(frame) - 1, min(DRAWN, len(frame))).astype(int))
    return Points(when, video[kept], frame[kept], vector[kept])


def write_points_png(path: Path, points: Points, at: Floats) -> None:
    """Points at (N, 2) or (N, 3), coloured by video or time."""
    solid = at.shape[1] == 3
    style: dict[str, Any] = {"cmap": "turbo", "s": 9, "linewidths": 0, "alpha": 0.85}
    style["c"] = points.colour
    with axes_to_png(path, 6.0, 5.6, solid=solid) as axes:
        axes.scatter(*at.T, **style)
        axes.set(xticks=[], yticks=[])
        if solid:
            axes.set_zticks([])  # type: ignore[attr-defined]
        axes.set_title(f"{points.when} training", loc="left", fontsize=10, color=css(INK))
        axes.set_title(_summary(points), loc="right", fontsize=8, color=css(QUIET))


def write_points_page(path: Path, solid: list[tuple[Points, Floats]]) -> None:
    """A page that can be turned with the mouse and needs no network."""
    from plotly.graph_objects import Figure, Scatter3d
    from plotly.subplots import make_subplots

    titles = [f"{points.when} training<br>{measure_spread(points.vector)}" for points, _ in solid]
    figure: Figure = make_subplots(
        cols=len(solid), specs=[[{"type": "scene"}] * len(solid)], subplot_titles=titles
    )
    for column, (points, at) in enumerate(solid, 1):
        names = []
        for video, frame in zip(points.video, points.frame, strict=True):
            names.append(f"{video}, frame {frame}")
        marker = {"size": 2.5, "color": points.colour, "colorscale": "Turbo", "line": {"width": 0}}
        x, y, z = at.T
        dots = Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker, text=names, hoverinfo="text")
        figure.add_trace(dots, row=1, col=column)
    figure.update_annotations(font_size=13)
    bare = {axis: {"visible": False} for axis in ("xaxis", "yaxis", "zaxis")}
    figure.update_scenes(**bare)
    figure.update_layout(
        showlegend=False, margin={"l": 10, "r": 10, "t": 60, "b": 10}, font_color=css(INK)
    )
    figure.add_annotation(
        text=f"t-SNE by cosine of {len(solid[0][0].frame)} frames; colours are {_colours(solid[0][0])}",
        xref="paper",
        yref="paper",
        x=0.5,
        y=0,
        showarrow=False,
        font={"color": css(OTHERS), "size": 12},
    )
    with aside(path) as part:
        figure.write_html(str(part), include_plotlyjs=True)


def _colours(points: Points) -> str:
    if len(set(points.video.tolist())) > 1:
        return "videos"
    return "time"


def _summary(points: Points) -> str:
    return f"{len(points.frame)} frames, colours are {_colours(points)}; {measure_spread(points.vector)}"
