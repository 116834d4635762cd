"""What is known of one camera: its still background, and how large things are at which height.

A frame's foreground is where it differs from the background, or moved against both the past and the
future of a clip.

T frames in a clip, H × W pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.types import Bytes, ClipSpec, Floats, Video
from oddframe.video.background import (
    CHANGED_SCENE,
    connected_parts,
    median_picture,
    noise_of,
    scene_changed,
    softened,
)
from oddframe.video.motion import USUAL_HEIGHT
from oddframe.video.reader import frames_at
from oddframe.video.sampling import frames_at_rate

# MIN_CHANGE, NOISE_FACTOR and HEIGHT_PERCENTILE so that boxes agree best with a detector's on
# Ped2's *training* clips
MIN_CHANGE = 10.0  # grey levels by which the foreground differs, at least
NOISE_FACTOR = 4.0  # times a pixel's own noise level
SAMPLED_FRAMES = 160  # from which the background and the sizes are learned

SMALLEST_BOX = 10  # pixels of a box's longer side (main.py of the published code)
USUAL_ASPECT = 0.5  # width / height of a thing where nothing is learned
STRIPES = 12  # of the picture, in which heights are read
MIN_PARTS = 5  # by which a stripe is judged
MIN_PART_SHARE = 0.01  # of all parts, as well: a few strays at the edge would bend the line
MIN_ALL_PARTS = 8  # without so many no heights are learned
# of the heights in a stripe, the usual one: people who stick together look larger
HEIGHT_PERCENTILE = 40


@dataclass(frozen=True)
class Scene:
    """What is known of one camera."""

    background: Bytes | None  # (H, W) grey; None where the camera moves, or there are several
    noise_level: Floats | None  # (H, W) grey levels by which a still pixel differs from it
    # rows of a thing's lower edge, from the top down, with its height there; linear between them,
    # constant beyond
    height_by_row: tuple[tuple[float, float], ...]
    aspect: float  # width / height of a thing

    def height(self, lower_edge: float) -> float:
        """How high a thing is whose lower edge is in this row."""
        rows, heights = zip(*self.height_by_row, strict=True)
        height = np.interp(lower_edge, rows, heights)
        return max(float(SMALLEST_BOX), float(height))


def learn_scene(videos: Sequence[Video], spec: ClipSpec) -> Scene:
    """Background by the median of frames from all over the videos, sizes from isolated parts.

    Raises BadInput when videos differ in shape.
    """
    pictures: list[Bytes] = []
    medians: list[Bytes] = []
    each = max(8, SAMPLED_FRAMES // max(1, len(videos)))
    for video in videos:
        frames = list(sample_frames(video, spec, each))
        if frames:
            pictures += frames
            medians.append(median_picture(frames).astype(np.uint8))
    if not pictures:
        raise BadInput(
            "the training videos hold no frame that can be read, so there is nothing to learn from"
        )
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) > 1:
        raise BadInput(
            f"the training videos differ in shape ({shapes}); fit one detector for each camera"
        )
    stack = np.stack(pictures)
    background = median_picture(stack).astype(np.uint8)
    noise_level = noise_of(stack.astype(np.int16), background).astype(np.float32)
    unlike: list[float] = []
    for median in medians:
        differs = cv2.absdiff(median, background) > 2 * MIN_CHANGE
        unlike.append(float(differs.mean()))
    scene = Scene(background, noise_level, ((0.0, USUAL_HEIGHT),), USUAL_ASPECT)
    if np.median(unlike) > CHANGED_SCENE / 2:  # several cameras, or one that moves
        return replace(scene, background=None, noise_level=None)
    return with_sizes(scene, pictures)


def foreground(clip: Bytes, scene: Scene) -> Bytes:
    """(H, W) 0 or 1: where the middle frame of a grey clip (T, H, W) shows what is not background.

    Raises BadVideo for pictures of another size than the scene's.
    """
    first = softened(clip[0], 3)
    middle = softened(clip[len(clip) // 2], 3)
    last = softened(clip[-1], 3)
    moved = cv2.min(cv2.absdiff(middle, first), cv2.absdiff(middle, last))
    mask = (moved > MIN_CHANGE).astype(np.uint8)
    if scene.background is not None and scene.noise_level is not None:
        if scene.background.shape != clip.shape[1:]:
            H, W = scene.background.shape
            raise BadVideo(
                f"the pictures are {clip.shape[2]}×{clip.shape[1]} where those learned from were "
                f"{W}×{H}; fit a detector on normal video of this camera"
            )
        threshold = np.maximum(MIN_CHANGE, NOISE_FACTOR * scene.noise_level)
        change = cv2.absdiff(middle, softened(scene.background, 3))
        unlike = np.asarray(change > threshold)
        # else the light or the camera has changed, and the background says nothing
        if not scene_changed(unlike):
            mask |= unlike.astype(np.uint8)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, ellipse)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(opened, np.uint8)


def with_sizes(scene: Scene, pictures: Sequence[Bytes]) -> Scene:
    """The same scene with heights by row: a line through stripes, from parts that stand alone."""
    H = pictures[0].shape[0]
    parts = isolated_parts(scene, pictures)
    if len(parts) < MIN_ALL_PARTS:
        return scene
    lower, heights, widths = np.array(parts).T
    stripe = np.minimum((lower / H * STRIPES).astype(int), STRIPES - 1)
    rows: list[float] = []
    levels: list[float] = []
    weights: list[float] = []
    for number in range(STRIPES):
        inside = stripe == number
        if inside.sum() >= max(MIN_PARTS, MIN_PART_SHARE * len(lower)):
            rows.append(float(np.median(lower[inside])))
            levels.append(float(np.percentile(heights[inside], HEIGHT_PERCENTILE)))
            weights.append(float(inside.sum()) ** 0.5)
    height_by_row = [(0.0, float(np.percentile(heights, HEIGHT_PERCENTILE)))]
    if len(rows) >= 3:
        line = np.polyfit(np.array(rows), levels, 1, w=weights)
        # things nearer the camera stand lower and look larger; the other way round is chance
        if line[0] > 0:
            ends = [rows[0], rows[-1]]
            height_by_row = list(zip(ends, np.polyval(line, ends).tolist(), strict=True))
    aspect = float(np.clip(np.percentile(widths / heights, 40), 0.25, 1.5))
    return replace(scene, height_by_row=tuple(height_by_row), aspect=aspect)


def isolated_parts(scene: Scene, pictures: Sequence[Bytes]) -> list[tuple[float, float, float]]:
    """Lower edge, height and width of foreground parts that may be one whole thing each."""
    H, W = pictures[0].shape
    found: list[tuple[float, float, float]] = []
    for picture in pictures:
        mask = foreground(np.stack([picture] * 3), scene)
        for part in connected_parts(mask):
            usual_height = SMALLEST_BOX <= part.h < H / 2
            # wider ones are crowds that stick together, thin ones edges
            usual_width = 0.2 * part.h <= part.w < 1.2 * part.h
            solid = part.area >= 0.35 * part.w * part.h
            inside = part.is_within((H, W), 0)
            if inside and usual_height and usual_width and solid:
                found.append((float(part.y + part.h), float(part.h), float(part.w)))
    return found


def sample_frames(video: Video, spec: ClipSpec, count: int) -> Iterator[Bytes]:
    """(H, W) grey frames from all over a video, at most so many."""
    single = ClipSpec(length=1, size=spec.size, colour="grey", fps=spec.fps)
    frames = frames_at_rate(video, single)
    if not len(frames):
        return
    places = np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int)
    wanted = frames[np.unique(places)]
    try:
        yield from frames_at(video, single, wanted.tolist())[..., 0]
    except BadVideo:  # damaged somewhere; the other frames will do
        for index in wanted:
            with suppress(BadVideo):
                yield frames_at(video, single, [int(index)])[0, ..., 0]
