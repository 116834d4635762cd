"""A film of the score growing beside the video: what papers and talks show."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from oddframe.progress import track
from oddframe.types import Bytes, ClipSpec, Video
from oddframe.video.ignored import for_people
from oddframe.video.reader import read
from oddframe.video.writer import video_writer
from oddframe.visualization.overlay import draw_on, enlarged, in_event, rate_of, write
from oddframe.visualization.palette import FAINT, INK, ODD, PAPER, QUIET, RARITY, RGB, TRUTH
from oddframe.visualization.timeline import Timeline, clock, odds

PICTURE_RATE = 25.0  # frames per second of pictures that come without one
MARGIN = 34  # pixels around the curve


def write_score_animation(path: Path, timeline: Timeline, *, width: int = 480) -> None:
    """Write an mp4: the curve of rarity up to now on the left, the frame with its heat on the
    right.
    """
    with_curve = frames_with_curve(timeline, width)
    began, picture = next(with_curve)
    size = (picture.shape[0], picture.shape[1])
    with video_writer(path, rate_of(timeline), size) as film:
        film.write(picture, 0.0)
        for seconds, picture in track(with_curve, f"animating {timeline.video.name}"):
            film.write(picture, seconds - began)


def write_pictures_as_film(path: Path, video: Video) -> None:
    """A folder of pictures as an mp4 of their own size, at the folder's rate."""
    frames = read(for_people(video), ClipSpec(length=1, size=None, colour="rgb"))
    first = next(frames)
    height, width, _ = first.pixels.shape
    with video_writer(path, video.fps or PICTURE_RATE, (height, width)) as film:
        for frame in chain([first], frames):
            film.write(frame.pixels, frame.seconds)


def frames_with_curve(timeline: Timeline, width: int) -> Iterator[tuple[float, Bytes]]:
    """Seconds and picture of every frame, the curve up to it on the left."""
    curve: ScoreCurve | None = None
    for frame in read(for_people(timeline.video), ClipSpec(length=1, size=width, colour="rgb")):
        picture = draw_on(frame, timeline, enlarged(frame.pixels, width))
        curve = curve or ScoreCurve(timeline, (picture.shape[0], width))
        yield frame.seconds, np.concatenate([curve(frame.seconds), picture], axis=1)


class ScoreCurve:
    """The plot on the left, (H, W, 3), drawn once; each frame adds a piece of line to it."""

    def __init__(self, timeline: Timeline, size: tuple[int, int]) -> None:
        self.timeline = timeline
        H, W = size
        self.area = (MARGIN, 24, W - 12, H - MARGIN)  # left, top, right, bottom
        self.ceiling = timeline.highest * 1.1
        self.done = 0
        self.sheet = np.full((H, W, 3), PAPER, np.uint8)
        left, top, right, bottom = self.area
        for start, end in timeline.odd_seconds():
            x, _ = self._at(end, 0)
            cv2.rectangle(self.sheet, self._at(start, 0), (x, bottom + 6), TRUTH, -1)
        cv2.rectangle(self.sheet, (left, top), (right, bottom), FAINT, 1)
        if np.isfinite(timeline.threshold):
            self._draw_threshold(timeline.threshold)
        write(self.sheet, clock(timeline.start), (left, bottom + 10), QUIET)
        write(self.sheet, clock(timeline.end), (right, bottom + 10), QUIET, right=True)

    def __call__(self, seconds: float) -> Bytes:
        """The plot (H, W, 3) with the curve up to these seconds."""
        scores = self.timeline.scores
        while self.done < len(scores) and scores.seconds[self.done] <= seconds + 1e-6:
            if self.done:
                self._draw_piece(self.done)
            self.done += 1
        picture = self.sheet.copy()
        colour: RGB = INK
        if in_event(self.timeline, seconds):
            colour = ODD
        write(picture, f"how rare, up to {clock(seconds)}", (self.area[0], 4), colour)
        return picture

    def _draw_threshold(self, threshold: float) -> None:
        left, _, right, _ = self.area
        row = self._at(0, threshold)[1]
        for x in range(left, right, 8):
            cv2.line(self.sheet, (x, row), (min(x + 4, right), row), INK, 1)
        words = f"threshold, {odds(threshold)}"
        write(self.sheet, words, (right, row - 16), QUIET, right=True)

    def _draw_piece(self, end: int) -> None:
        """The line from the score before `end` to that one."""
        seconds = self.timeline.scores.seconds
        rarity = self.timeline.rarity
        before = self._at(float(seconds[end - 1]), float(rarity[end - 1]))
        now = self._at(float(seconds[end]), float(rarity[end]))
        colour: RGB = RARITY
        if rarity[end] >= self.timeline.threshold:
            colour = ODD
        cv2.line(self.sheet, before, now, colour, 2, cv2.LINE_AA)

    def _at(self, seconds: float, rarity: float) -> tuple[int, int]:
        left, top, right, bottom = self.area
        lasts = max(self.timeline.end - self.timeline.start, 1e-9)
        along = (seconds - self.timeline.start) / lasts
        up = min(rarity / self.ceiling, 1.0)
        x = left + along * (right - left)
        y = bottom - up * (bottom - top)
        return round(x), round(y)
