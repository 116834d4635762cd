"""Frames to clips. Overlapping clips are views of one strip of frames: nothing is copied but what two strips share."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from oddframe.types import Bytes, Clips, ClipSpec, Floats, Frame, Ints


def clips_of(
    frames: Iterable[Frame], spec: ClipSpec, video: str, batch: int = 32
) -> Iterator[Clips]:
    """Cut a stream of frames into batches of at most `batch` clips.

    Memory is that of one strip of `spec.span + (batch - 1) * spec.hop` frames. A stream shorter than a clip gives none,
    unless the spec fills the start: then the first clip speaks for the first frame, and so a clip whose future is
    missing at the stream's end is still not made up.
    """
    if batch < 1:
        raise ValueError(f"a batch holds at least one clip, got {batch}")
    room = spec.span + (batch - 1) * spec.hop
    shared = max(
        0, spec.span - spec.hop
    )  # frames that a batch's last clip has in common with the next batch's first
    between = max(
        0, spec.hop - spec.span
    )  # frames that lie between those two and belong to no clip
    strip: Bytes | None = (
        None  # (room, H, W, C): channels last, as the decoder writes and convolutions like it
    )
    index, times = np.zeros(room, np.int64), np.zeros(room)
    filled = skip = 0
    for frame in frames:
        if skip:
            skip -= 1
            continue
        if strip is None:
            strip = np.empty((room, *frame.pixels.shape), np.uint8)
            if spec.pad_start:
                filled = spec.target_index
                strip[:filled], index[:filled], times[:filled] = frame.pixels, frame.index, np.nan
        strip[filled], index[filled], times[filled] = frame.pixels, frame.index, frame.seconds
        filled += 1
        if filled == room:
            yield _cut(strip, index, times, spec, video)
            fresh = np.empty_like(strip)  # for the clips that were given out must not change
            if shared:
                fresh[:shared] = strip[-shared:]
                index[:shared], times[:shared] = index[-shared:].copy(), times[-shared:].copy()
            strip, filled, skip = fresh, shared, between
    if strip is not None and filled >= spec.span:
        yield _cut(strip[:filled], index[:filled], times[:filled], spec, video)


def _cut(strip: Bytes, index: Ints, times: Floats, spec: ClipSpec, video: str) -> Clips:
    # torch warns of arrays that cannot be written to, and each network would have to copy them
    windows = sliding_window_view(strip, spec.span, axis=0, writeable=True)
    pixels = windows[:: spec.hop, ..., :: spec.stride]  # (N, H, W, C, T)
    spoken = np.arange(len(pixels)) * spec.hop + spec.target_index
    return Clips(
        pixels=pixels.transpose(0, 3, 4, 1, 2),  # (N, C, T, H, W)
        video=video,
        frame_index=index[spoken],
        seconds=times[spoken],
        times=sliding_window_view(times, spec.span)[:: spec.hop, :: spec.stride].copy(),
    )
