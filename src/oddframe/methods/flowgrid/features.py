"""What FlowGrid keeps of a video: numbers of the cells that move, and small pictures. No pixels.

M frames; H × W pixels; a grid of h × w cells, A of them active, each described by six numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from oddframe.cache import key
from oddframe.progress import logger
from oddframe.run import Arrays, Run
from oddframe.types import Bytes, Clips, ClipSpec, Floats, Ints, Video
from oddframe.video.background import shrink
from oddframe.video.clips import clips_of
from oddframe.video.kept_features import (
    are_kept,
    opened_features,
    refuse_gone,
    save_features,
)
from oddframe.video.motion import Flow, MotionGrid, motion_cells
from oddframe.video.reader import content_of, read
from oddframe.video.side_by_side import watch_each

METHOD = "flowgrid"  # under whose name features are kept


@dataclass(frozen=True)
class MotionFeatures:
    """What is kept of one video: all that learning and scoring need. About 130 MB an hour."""

    frame: Ints  # (M,) index in the source
    seconds: Floats  # (M,)
    spoken: Ints  # (M,) 0 where there is no earlier frame to compare with
    first: Ints  # (M + 1,) where each frame's active cells begin in the next two
    cell: Ints  # (A,) which cell of the grid
    vector: Floats  # (A, 6)
    small: Bytes  # (M, h, w) the frame itself, a pixel a cell

    def cells(self, m: int) -> tuple[Ints, Floats]:
        """The active cells of frame m, (a,), and their numbers, (a, 6)."""
        first = int(self.first[m])
        end = int(self.first[m + 1])
        vector = self.vector[first:end].astype(np.float32)
        return self.cell[first:end], vector


@dataclass(frozen=True)
class Describer:
    """How video is described: everything that the features depend on besides the video."""

    spec: ClipSpec  # of the pairs of frames that are compared
    grid: MotionGrid
    flow: Flow

    def keep_all(self, videos: Sequence[Video], run: Run) -> None:
        """See to it that the features of each whole video lie beside its `kept`. Raises BadRun where
        they do not and the video is gone.
        """
        waiting = [video for video in videos if not self.is_kept(video)]
        for video in waiting:
            refuse_gone(video, METHOD, "of another grid")

        def keep(video: Video, stop: Event) -> None:
            save_features(video, METHOD, key(self), self.describe(video, stop))

        watch_each(waiting, run.threads, keep)

    def is_kept(self, video: Video) -> bool:
        """Whether features of a video, described in this way, lie beside its `kept`."""
        return are_kept(video, METHOD, key(self))

    def kept_features(self, videos: Sequence[Video]) -> dict[Path, MotionFeatures]:
        """The features of whole videos that are kept, by path. Raises BadRun."""
        found: dict[Path, MotionFeatures] = {}
        for video in videos:
            if video.kept is not None and video.kept not in found and self.is_kept(video):
                with opened_features(video, METHOD) as arrays:
                    parts = {field.name: arrays[field.name] for field in fields(MotionFeatures)}
                found[video.kept] = MotionFeatures(**parts)
        return found

    def describe_all(self, videos: Sequence[Video], run: Run) -> list[MotionFeatures]:
        """The features of each video; from disk where they were computed before."""
        kept = self.kept_features(videos)

        def describe(video: Video, stop: Event) -> MotionFeatures:
            if video.kept in kept:
                return cut_features(kept[video.kept], video.span, self.grid.frame_step)
            name = f"flowgrid-{self.key_of(video)}"
            return MotionFeatures(**run.remember(name, lambda: self.describe(video, stop)))

        return watch_each(videos, run.threads, describe)

    def key_of(self, video: Video) -> str:
        """A name for everything that the features of a video depend on."""
        return key(content_of(video), self)

    def describe(self, video: Video, stop: Event | None = None) -> Arrays:
        """The features of one video by their names. Raises CancelledError once `stop` is set."""
        damage: list[str] = []
        frames = read(video, self.spec, damage, threads=1)
        stream = clips_of(frames, self.spec, video.name)
        if stop is not None:
            stream = until_stopped(stop, stream)
        arrays = self.describe_clips(stream)
        for line in damage:
            logger.warning("damaged: %s", line)
        return arrays

    def describe_clips(self, stream: Iterable[Clips]) -> Arrays:
        """The same of clips of two frames."""
        parts: dict[str, list[Any]] = {field.name: [] for field in fields(MotionFeatures)}
        # frames in which nothing moves add nothing to these two
        parts["cell"].append(np.zeros(0, np.int32))
        parts["vector"].append(np.zeros((0, 6), np.float16))
        count = 0
        for clips in stream:
            pixels = clips.pixels[:, 0]  # (N, 2, H, W)
            shape = self.grid.grid(pixels.shape[-2:])
            for n, (before, now) in enumerate(pixels):
                earlier, seconds = clips.times[n]
                spoken = not np.isnan(earlier)
                parts["first"].append(count)
                if spoken:
                    cell, vector = motion_cells(
                        before, now, seconds - earlier, self.grid, self.flow
                    )
                    parts["cell"].append(cell.astype(np.int32))
                    parts["vector"].append(vector.astype(np.float16))
                    count += len(cell)
                parts["frame"].append(clips.frame_index[n])
                parts["seconds"].append(seconds)
                parts["spoken"].append(spoken)
                parts["small"].append(shrink(now, shape))
        parts["first"].append(count)
        arrays: Arrays = {}
        for name, part in parts.items():
            if name in ("cell", "vector"):
                arrays[name] = np.concatenate(part)
            else:
                arrays[name] = np.asarray(part)
        return arrays


def cut_features(
    whole: MotionFeatures, span: tuple[float, float] | None, frame_step: int
) -> MotionFeatures:
    """The features of a span of a video, as if nothing before it had been seen: its first frames
    have no earlier one to be compared with.
    """
    if span is None:
        return whole
    start, end = np.searchsorted(whole.seconds, span).tolist()
    spoken = whole.spoken[start:end].copy()
    spoken[:frame_step] = False
    first = whole.first[start : end + 1]
    begins = int(whole.first[min(start + frame_step, end)])
    ends = int(whole.first[end])
    return MotionFeatures(
        frame=whole.frame[start:end],
        seconds=whole.seconds[start:end],
        spoken=spoken,
        first=np.maximum(first - begins, 0),
        cell=whole.cell[begins:ends],
        vector=whole.vector[begins:ends],
        small=whole.small[start:end],
    )


def until_stopped(stop: Event, stream: Iterable[Clips]) -> Iterator[Clips]:
    """The same clips; an error once stopped, for a part must not be taken for the whole."""
    for clips in stream:
        if stop.is_set():
            raise CancelledError
        yield clips
