"""Frames to clips. Overlapping clips are views of one strip of frames.

Nothing is copied but what two strips share.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from oddframe.types import Bytes, Clips, ClipSpec, Frame, Ints
from oddframe.video.filmed_time import StreamClock


def clips_of(
    frames: Iterable[Frame], spec: ClipSpec, video: str, batch: int = 32
) -> Iterator[Clips]:
    """Cut a stream of frames into batches of at most `batch` clips.

    Memory is that of one strip of `spec.span + (batch - 1) * spec.hop` frames. No clip joins frames
    over a jump of the clock (`video.filmed_time.StreamClock`): behind it cutting begins anew. A stretch
    shorter than a clip gives none, unless the spec pads the start: then the first clip's target is
    the first frame, and so a clip whose future is missing at the stream's end is still not made up;
    or unless it resamples short streams: then all frames give one clip, some of them repeated,
    whose target is the last.
    """
    cutter = ClipCutter(spec, video, batch)
    for frame in frames:
        yield from cutter.push(frame)
    yield from cutter.finish()


class ClipCutter:
    """Cuts frames that are given one by one. Clips that were given out do not change any more."""

    def __init__(self, spec: ClipSpec, video: str, batch: int = 32) -> None:
        if batch < 1:
            raise ValueError(f"a batch holds at least one clip, got {batch}")
        self.spec = spec
        self.video = video
        self.room = spec.span + (batch - 1) * spec.hop
        # frames that a batch's last clip has in common with the next batch's first
        self.shared = max(0, spec.span - spec.hop)
        # frames that lie between those two and belong to no clip
        self.between = max(0, spec.hop - spec.span)
        self.index = np.zeros(self.room, np.int64)
        self.times = np.zeros(self.room)
        self.clock = StreamClock()
        self.any_clip = False
        self._begin()

    def push(self, frame: Frame) -> list[Clips]:
        """The batches that this frame completes: one when the strip is full, or what was left
        before a jump.
        """
        done: list[Clips] = []
        if self.clock.jumps_to(frame.seconds):
            done += self.finish()
        self.clock = self.clock.at(frame.seconds)
        if self.skip:
            self.skip -= 1
            return done
        if self.strip is None:
            self._pad(frame)
        assert self.strip is not None
        at = self.filled
        self.strip[at] = frame.pixels
        self.index[at] = frame.index
        self.times[at] = frame.seconds
        self.filled += 1
        if self.filled == self.room:
            done.append(self._cut())
            self.any_clip = True
            self._keep_shared()
        return done

    def finish(self) -> list[Clips]:
        """The clips that are left, when no more frames follow these; the next frame begins anew."""
        done = []
        spec = self.spec
        if self.strip is not None and self.filled >= spec.span:
            done.append(self._cut())
        elif self.filled and spec.resample_short and not self.any_clip:
            done.append(self.resample())
        self.any_clip = self.any_clip or bool(done)
        self._begin()
        return done

    def resample(self) -> Clips:
        """One clip of frames sampled from the few that there are."""
        assert self.strip is not None
        rows = resampled(self.filled, self.spec.length)
        last = slice(self.filled - 1, self.filled)
        clip = self.strip[rows].transpose(3, 0, 1, 2)  # (C, T, H, W)
        return Clips(
            pixels=np.ascontiguousarray(clip[None]),
            video=self.video,
            frame_index=self.index[last].copy(),
            seconds=self.times[last].copy(),
            times=self.times[rows][None],
        )

    def _begin(self) -> None:
        # (room, H, W, C): channels last, as the decoder writes and convolutions like it
        self.strip: Bytes | None = None
        self.filled = 0
        self.skip = 0  # frames to come that belong to no clip

    def _pad(self, frame: Frame) -> None:
        """A new strip, whose missing past is this frame repeated where the spec asks for that."""
        self.strip = np.empty((self.room, *frame.pixels.shape), np.uint8)
        if self.spec.pad_start:
            self.filled = self.spec.target_index
            self.strip[: self.filled] = frame.pixels
            self.index[: self.filled] = frame.index
            self.times[: self.filled] = np.nan

    def _keep_shared(self) -> None:
        """A new strip, for the clips that were given out must not change."""
        assert self.strip is not None
        fresh = np.empty_like(self.strip)
        shared = self.shared
        if shared:
            fresh[:shared] = self.strip[-shared:]
            self.index[:shared] = self.index[-shared:].copy()
            self.times[:shared] = self.times[-shared:].copy()
        self.strip = fresh
        self.filled = shared
        self.skip = self.between

    def _cut(self) -> Clips:
        assert self.strip is not None
        spec = self.spec
        frames = self.strip[: self.filled]
        index = self.index[: self.filled]
        times = self.times[: self.filled]
        # torch warns of arrays that cannot be written to, and each network would have to copy them
        windows = sliding_window_view(frames, spec.span, axis=0, writeable=True)
        pixels = windows[:: spec.hop, ..., :: spec.stride]  # (N, H, W, C, T)
        targets = np.arange(len(pixels)) * spec.hop + spec.target_index
        times_of_clips = sliding_window_view(times, spec.span)[:: spec.hop, :: spec.stride]
        return Clips(
            pixels=pixels.transpose(0, 3, 4, 1, 2),  # (N, C, T, H, W)
            video=self.video,
            frame_index=index[targets],
            seconds=times[targets],
            times=times_of_clips.copy(),
        )


def resampled(count: int, length: int) -> Ints:
    """(length,) positions at equal distances from the first of `count` frames to the last, repeated
    where fewer.

    >>> resampled(3, 5).tolist(), resampled(5, 3).tolist()
    ([0, 0, 1, 1, 2], [0, 2, 4])
    """
    return np.linspace(0, count - 1, length).astype(np.int64)
