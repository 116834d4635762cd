"""The video again with what the detector saw: heat, boxes, and a ribbon of rarity that runs along
underneath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from oddframe.errors import BadVideo, OddframeError
from oddframe.files import aside
from oddframe.progress import track
from oddframe.scoring.components import connected_components
from oddframe.scoring.events import RELEASE, Box
from oddframe.types import Bytes, ClipSpec, Floats, Frame, Scores
from oddframe.video.ignored import for_people
from oddframe.video.reader import facts_of, read
from oddframe.video.writer import video_writer
from oddframe.visualization.palette import NIGHT, ODD, OTHERS, PAPER, QUIET, RARITY, RGB, TRUTH
from oddframe.visualization.timeline import Timeline, clock, plain, rareness

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

RIBBON = 64  # rows
NARROWEST = 320  # pixels: a ribbon's words need room
TALLEST = 1080
STRONGEST = 0.5  # of the picture that heat may hide: what is odd must stay in sight
DIM = 0.42  # brightness of what is still to come
# dark purples would read as shadows on a picture, so heat begins at inferno's red
HEAT = cv2.applyColorMap(
    np.linspace(105, 245, 256).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO
)[:, 0, ::-1]


def overlay(
    path: Path,
    timeline: Timeline,
    *,
    width: int = 640,
    damage: list[str] | None = None,
    on_frame: Callable[[Frame], None] | None = None,
) -> int:
    """Write the overlay video, frame for frame as long as its source; returns the number of frames.

    H.264 that browsers play; small pictures are enlarged to `width`, large ones are made smaller.
    Memory does not grow with the video's length. `damage` receives a line for whatever could not be
    read; `on_frame` is called with every frame, before it is drawn on. Raises BadVideo when nothing
    can be read.
    """
    pictures = overlay_pictures(timeline, width=width, damage=damage, on_frame=on_frame)
    first = next(pictures, None)
    if first is None:
        raise BadVideo(
            f"{timeline.video.source} has no frame between {timeline.video.span} seconds"
        )
    begun, size = first[0], (first[1].shape[0], first[1].shape[1])
    count = 0
    with video_writer(path, rate_of(timeline), size) as writer:
        for seconds, picture in track(chain([first], pictures), f"drawing {timeline.video.name}"):
            writer.write(picture, seconds - begun)
            count += 1
    return count


def overlay_frames(folder: Path, timeline: Timeline, *, width: int = 640) -> int:
    """The same as pictures, NNNNNN.jpg by the frame's index in its source; returns how many."""
    count = 0
    for frame in read(for_people(timeline.video), ClipSpec(length=1, size=width, colour="rgb")):
        picture = draw_on(frame, timeline, enlarged(frame.pixels, width))
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        with aside(folder / f"{frame.index:06d}.jpg") as part:
            part.write_bytes(data.tobytes())  # imwrite does not say why it could not
        count += 1
    return count


def overlay_pictures(
    timeline: Timeline,
    *,
    width: int = 640,
    damage: list[str] | None = None,
    on_frame: Callable[[Frame], None] | None = None,
) -> Iterator[tuple[float, Bytes]]:
    """The overlay's pictures with their seconds in the source: (H, W, 3) RGB with even sides, the
    ribbon below.
    """
    spec = ClipSpec(length=1, size=width, colour="rgb")
    ribbon: Ribbon | None = None
    for frame in read(for_people(timeline.video), spec, damage):
        if on_frame is not None:
            on_frame(frame)
        picture = draw_on(frame, timeline, enlarged(frame.pixels, width))
        if ribbon is None:
            ribbon = Ribbon(timeline, max(picture.shape[1], NARROWEST) // 2 * 2)
        yield frame.seconds, _stacked(picture, ribbon(frame))


def draw_on(frame: Frame, timeline: Timeline, picture: Bytes) -> Bytes:
    """`picture` with heat, boxes, and a red rim while an event lasts. Draws on the array that it is
    given.
    """
    at = timeline.at(frame.index)
    odd = in_event(timeline, frame.seconds)
    if at is not None:
        level = timeline.threshold
        if odd:
            level *= RELEASE  # what keeps an event open is worth a box too
        if timeline.scores.map is not None:
            heat(picture, plain(timeline.scores.map[at]), timeline.threshold)
        for x1, y1, x2, y2 in places(timeline.scores, at, level):
            outline(picture, (x1, y1, x2, y2))
    if odd:
        thick = max(2, picture.shape[1] // 160)
        picture[:thick] = ODD
        picture[-thick:] = ODD
        picture[:, :thick] = ODD
        picture[:, -thick:] = ODD
    return picture


def places(scores: Scores, at: int, level: float) -> list[Box]:
    """Where a score is at least `level`: the method's own boxes, or else the connected parts of its
    map.
    """
    if scores.boxes is not None:
        found = scores.boxes[at][scores.boxes[at][:, 4] >= level]
    elif scores.map is not None:
        found = connected_components(plain(scores.map[at]), level)
    else:
        return []
    return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in found[:, :4]]


def heat(picture: Bytes, where: Floats, threshold: float) -> None:
    """Colour (H, W, 3) by a map (h, w) of rarity, in place: nothing below half the threshold, most
    at twice of it.
    """
    level = 3.0
    if np.isfinite(threshold) and threshold > 0:
        level = threshold
    relative = where.astype(np.float32) / level
    warmth = np.clip((relative - 0.5) / 1.5, 0, 1)  # (h, w): a third at the threshold
    rows = np.flatnonzero(warmth.any(1))
    columns = np.flatnonzero(warmth.any(0))
    if not len(rows):
        return
    H, W = picture.shape[:2]
    warm = cv2.resize(warmth, (W, H), interpolation=cv2.INTER_LINEAR)  # (H, W)
    # only where there is heat, with the neighbour into which it fades: most of most pictures is
    # cold
    top, bottom = _reach(rows, len(warmth), H)
    left, right = _reach(columns, warmth.shape[1], W)
    part = picture[top:bottom, left:right]
    warm = warm[top:bottom, left:right]
    colour = HEAT[(warm * 255).astype(np.uint8)]  # (H', W', 3)
    alpha = (STRONGEST * np.minimum(warm * 2.2, 1))[:, :, None]
    part[:] = (part + (colour.astype(np.float32) - part) * alpha).astype(np.uint8)


def outline(picture: Bytes, box: Box, colour: RGB = ODD) -> None:
    """Draw a box (fractions of the picture) in place, with a thin pale rim that shows on any
    ground.
    """
    H, W = picture.shape[:2]
    sides = np.clip(box, 0, 1) * (W - 1, H - 1, W - 1, H - 1)
    left, top, right, bottom = np.rint(sides).astype(int).tolist()
    thick = max(2, round(min(H, W) / 280))
    cv2.rectangle(picture, (left, top), (right, bottom), PAPER, thick + 2)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thick)


def in_event(timeline: Timeline, seconds: float) -> bool:
    """Whether an event lasts at that time."""
    return any(event.start <= seconds <= event.end for event in timeline.events)


class Ribbon:
    """The whole video's rarity as a strip `wide` pixels across: bright up to now, dim from there
    on.
    """

    def __init__(self, timeline: Timeline, wide: int) -> None:
        self.timeline = timeline
        self.wide = wide
        self.rarity = timeline.rarity
        level = 0.0
        if np.isfinite(timeline.threshold):
            level = float(timeline.threshold)
        self.ceiling = max(timeline.highest * 1.08, level * 1.5)
        self.past = self._background()
        self.coming = (self.past * DIM + np.array(NIGHT) * (1 - DIM)).astype(np.uint8)

    def __call__(self, frame: Frame) -> Bytes:
        """(RIBBON, wide, 3) at a frame."""
        now = self._column(frame.seconds)
        strip = np.concatenate([self.past[:, :now], self.coming[:, now:]], axis=1)
        cv2.line(strip, (now, 17), (now, RIBBON - 1), PAPER, 1)
        at = self.timeline.at(frame.index)
        words = "no score"
        if at is not None:
            words = rareness(float(self.rarity[at]), self.timeline.seen)
        odd = in_event(self.timeline, frame.seconds)
        ink = OTHERS
        if odd:
            ink = PAPER
        write(strip, clock(frame.seconds), (6, 1), PAPER)
        write(strip, words, (self.wide - 6, 1), ink, right=True)
        if odd:
            cv2.circle(strip, (74, 9), 4, ODD, -1, cv2.LINE_AA)
            if self.wide > NARROWEST:  # the words on the right may be long
                write(strip, "unusual", (83, 1), PAPER)
        return strip

    def _background(self) -> Bytes:
        top = 18
        bottom = RIBBON - 1
        if self.timeline.truth is not None:
            bottom = RIBBON - 6
        strip = np.empty((RIBBON, self.wide, 3), np.uint8)
        strip[:] = NIGHT
        for event in self.timeline.events:
            first = self._column(event.start)
            last = self._column(event.end)
            strip[top:bottom, first : last + 1] = np.array(ODD) * 0.45 + np.array(NIGHT) * 0.55
        heights = self._heights() / self.ceiling  # (wide,)
        tops = np.rint(bottom - np.minimum(heights, 1) * (bottom - top)).astype(int)
        level = bottom - self.timeline.threshold / self.ceiling * (bottom - top)
        rows = np.arange(RIBBON)[:, None]
        bars = (rows >= tops) & (rows < bottom)  # (RIBBON, wide)
        strip[bars] = np.array(RARITY) * 0.8 + np.array(PAPER) * 0.2
        if np.isfinite(level):
            strip[bars & (rows < level)] = ODD
            strip[max(round(level), top), np.arange(self.wide) % 6 < 3] = PAPER
        for start, end in self.timeline.odd_seconds():
            first = self._column(start)
            last = self._column(end)
            strip[RIBBON - 5 : RIBBON - 1, first : last + 1] = TRUTH
        strip[17] = np.array(QUIET) * 0.5
        return strip

    def _heights(self) -> Floats:
        """(wide,) the highest rarity in each column, held from one score to the next."""
        highest = np.zeros(self.wide)
        if not len(self.rarity):
            return highest
        columns = np.array([self._column(at) for at in self.timeline.scores.seconds])
        np.maximum.at(highest, columns, self.rarity)
        every = np.arange(self.wide)
        before = np.searchsorted(columns, every, side="right") - 1
        nearest = np.clip(before, 0, len(columns) - 1)
        empty = np.setdiff1d(every, columns)
        highest[empty] = self.rarity[nearest[empty]]
        return highest

    def _column(self, seconds: float) -> int:
        part = (seconds - self.timeline.start) / max(self.timeline.length, 1e-9)
        part = min(max(part, 0.0), 1.0)
        return int(part * (self.wide - 1))


def write(
    picture: Bytes, words: str, at: tuple[int, int], colour: RGB, *, right: bool = False
) -> None:
    """Put words on a picture, in place: `at` is their upper left corner, or their upper right
    one.
    """
    ink = _letters(words)  # (h, w) in [0, 1]
    x, y = at
    if right:
        x -= ink.shape[1]
    x = max(x, 0)
    part = picture[y : y + ink.shape[0], x : x + ink.shape[1]]
    ink = ink[: part.shape[0], : part.shape[1], None]
    part[:] = (part + (np.array(colour, np.float32) - part) * ink).astype(np.uint8)


@lru_cache(maxsize=512)
def _letters(words: str) -> Floats:
    """Words as (h, w) ink in matplotlib's own font, for OpenCV's letters are strokes of a
    plotter.
    """
    font = _font()
    left, _, wide, _ = font.getbbox(words)
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (int(wide - min(left, 0)) + 1, 16))
    ImageDraw.Draw(canvas).text((-min(left, 0), 0), words, font=font, fill=255)
    return np.asarray(canvas, np.float32) / 255


@lru_cache(maxsize=1)
def _font() -> FreeTypeFont:
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 12)


def enlarged(pixels: Bytes, width: int) -> Bytes:
    """A writable copy as wide as asked for, unless that would be too tall; sides are even for
    H.264.
    """
    H, W = pixels.shape[:2]
    scale = min(width / W, TALLEST / H)
    wide = max(2, round(W * scale / 2) * 2)
    high = max(2, round(H * scale / 2) * 2)
    if (high, wide) == (H, W):
        return pixels.copy()
    how = cv2.INTER_LINEAR
    if scale < 1:
        how = cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, (wide, high), interpolation=how))


def _stacked(picture: Bytes, ribbon: Bytes) -> Bytes:
    """The picture over the ribbon, in the middle where it is the narrower one."""
    H, W = picture.shape[:2]
    page = np.empty((H + len(ribbon), ribbon.shape[1], 3), np.uint8)
    page[:] = NIGHT
    left = (ribbon.shape[1] - W) // 2
    page[:H, left : left + W] = picture
    page[H:] = ribbon
    return page


def _reach(lit: np.ndarray, cells: int, pixels: int) -> tuple[int, int]:
    """[first, last) pixel that enlarging touches when these cells of a side are lit."""
    first = max(lit[0] - 1, 0) * pixels / cells
    last = min(lit[-1] + 2, cells) * pixels / cells
    return int(first), int(last) + 1


def rate_of(timeline: Timeline) -> float:
    """Frames per second of a timeline's video."""
    try:
        fps = timeline.video.fps or facts_of(timeline.video).fps
    except OddframeError:
        fps = 1 / timeline.step
    return min(max(fps, 0.1), 240.0)
