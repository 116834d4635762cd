"""What a probe found, for the eye: a confusion matrix, and the nearest videos of some queries."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oddframe.errors import BadVideo
from oddframe.files import aside
from oddframe.types import ClipSpec, Floats, Ints, Video
from oddframe.video.reader import frames_at
from oddframe.video.sampling import frames_at_rate
from oddframe.visualization.palette import INK, ODD, QUIET, RARITY, TRUTH, css
from oddframe.visualization.plots import axes_to_png

SHOWN, NEAREST = 24, 6  # queries on a page, and neighbours of each
WIDTH = 150  # pixels of a thumbnail
WRITTEN = 20  # classes up to which each cell shows its number
LEGIBLE = 60  # classes up to which each has its name written

STYLE = f"""
body {{ font: 14px/1.4 system-ui, sans-serif; color: {css(INK)}; margin: 2rem; }}
.row {{ display: flex; gap: 8px; margin-bottom: 14px; }}
figure {{ margin: 0; width: {WIDTH}px; font-size: 12px; color: {css(QUIET)}; }}
img {{ width: {WIDTH}px; border: 4px solid transparent; box-sizing: border-box; display: block; }}
.query {{ margin-right: 24px; }}
.right img {{ border-color: {css(TRUTH)}; }}
.wrong img {{ border-color: {css(ODD)}; }}
figcaption {{ overflow-wrap: anywhere; }}
"""


def write_confusion_png(path: Path, classes: Sequence[str], counts: Ints) -> None:
    """Shares of each class by what was said of it; rows are what they are."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(12.0, max(4.2, 1.6 + 0.32 * len(classes)))
    with axes_to_png(path, side, side) as axes:
        axes.grid(visible=False)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        if len(classes) <= WRITTEN:
            write_counts(axes, counts, share)
        if len(classes) <= LEGIBLE:
            axes.set_xticks(range(len(classes)), classes)
            axes.set_yticks(range(len(classes)), classes)
        if len(classes) > 4:
            axes.tick_params(axis="x", rotation=90)
        axes.set(xlabel="said", ylabel="is")
        right = counts.trace() / max(1, counts.sum())
        words = f"{right:.1%} of {counts.sum()} right"
        axes.set_title(words, loc="left", fontsize=10, color=css(RARITY))


def write_counts(axes: Any, counts: Ints, share: Floats) -> None:
    """The number of each cell, white on dark ones."""
    for row, column in np.ndindex(*share.shape):
        colour = css(INK)
        if share[row, column] > 0.55:
            colour = "white"
        words = str(counts[row, column])
        axes.text(column, row, words, ha="center", va="center", fontsize=8, color=colour)


def write_retrieval_page(
    path: Path,
    queries: Sequence[Video],
    gallery: Sequence[Video],
    nearest: Ints,
    cosine: Floats,
    said: str,
) -> None:
    """Some queries, evenly drawn, with their nearest videos: framed in green when of the same
    class, else in red.
    """
    drawn_from = np.unique(np.linspace(0, len(queries) - 1, min(SHOWN, len(queries))).astype(int))
    rows = []
    for k in drawn_from:
        query = queries[k]
        figures = [_figure(query, "query", f"{query.label}: {query.name}")]
        for position, alike in zip(nearest[k, :NEAREST], cosine[k, :NEAREST], strict=True):
            found = gallery[position]
            kind = "wrong"
            if found.label == query.label:
                kind = "right"
            figures.append(_figure(found, kind, f"{found.label}: {found.name}, cosine {alike:.2f}"))
        rows.append(f'<div class="row">{"".join(figures)}</div>')
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Nearest videos</title><style>{STYLE}</style>'
        f"<h1>Nearest videos</h1><p>{escape(said)}</p><p>Left the query; "
        "then its nearest in the gallery, framed in "
        f"green where they are of its class.</p>{''.join(rows)}</html>\n"
    )
    with aside(path) as part:
        part.write_text(page, encoding="utf-8")


def _figure(video: Video, kind: str, caption: str) -> str:
    frames = frames_at_rate(video, ClipSpec())
    try:
        pixels = frames_at(video, ClipSpec(size=WIDTH), [int(frames[len(frames) // 2])])[0]
    except (BadVideo, IndexError):
        pixels = np.zeros((WIDTH * 3 // 4, WIDTH, 3), np.uint8)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])
    source = base64.b64encode(packed.tobytes()).decode()
    text = escape(caption, quote=True)
    image = f'<img src="data:image/jpeg;base64,{source}" alt="{text}">'
    return f'<figure class="{kind}">{image}<figcaption>{text}</figcaption></figure>'
