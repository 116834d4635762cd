"""Clips are what stacking frames by hand gives, and cost no copy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddframe.types import Clips, ClipSpec, Frame
from oddframe.video.clips import clips_of


def stream(frames: int, height: int = 2, width: int = 3) -> list[Frame]:
    """Frames whose source index is not their position, as after thinning."""
    random = np.random.default_rng(frames)
    shape = (height, width, 3)
    return [
        Frame(3 * k, k / 10, random.integers(0, 256, shape, dtype=np.uint8)) for k in range(frames)
    ]


def by_hand(frames: list[Frame], spec: ClipSpec) -> list[tuple[np.ndarray, Frame, list[float]]]:
    """The definition: each clip's pixels (C, T, H, W), the frame that it speaks for, and its frames' times."""
    padded = [(frame, frame.seconds) for frame in frames]
    if spec.pad_start and frames:
        padded = [(frames[0], np.nan)] * spec.target_index + padded
    found = []
    for start in range(0, len(padded) - spec.span + 1, spec.hop):
        clip = padded[start : start + spec.span : spec.stride]
        pixels = np.stack([frame.pixels for frame, _ in clip]).transpose(3, 0, 1, 2)
        found.append(
            (pixels, padded[start + spec.target_index][0], [seconds for _, seconds in clip])
        )
    return found


specs = st.builds(
    ClipSpec,
    length=st.integers(1, 5),
    stride=st.integers(1, 3),
    hop=st.integers(1, 17),
    target=st.sampled_from(["first", "centre", "last"]),
    pad_start=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(frames=st.integers(0, 45), spec=specs, batch=st.integers(1, 6))
def test_clips_are_stacks_of_frames(frames: int, spec: ClipSpec, batch: int) -> None:
    films = stream(frames)
    wanted = by_hand(films, spec)
    batches = list(
        clips_of(iter(films), spec, "v", batch)
    )  # kept: what was given out must not change later
    assert [len(one) for one in batches[:-1]] == [batch] * (len(batches) - 1)
    assert sum(map(len, batches)) == len(wanted)
    got = [(one, k) for one in batches for k in range(len(one))]
    for (one, k), (pixels, spoken, times) in zip(got, wanted, strict=True):
        assert np.array_equal(one.pixels[k], pixels)
        assert (one.frame_index[k], one.seconds[k]) == (spoken.index, spoken.seconds)
        assert np.array_equal(one.times[k], times, equal_nan=True)


def test_with_the_start_filled_every_frame_up_to_the_lookahead_has_a_clip() -> None:
    for target, lookahead in (("last", 0), ("centre", 4), ("first", 8)):
        spec = ClipSpec(length=5, stride=2, target=target, pad_start=True)
        spoken = [
            int(index) for one in clips_of(stream(20), spec, "v", 4) for index in one.frame_index
        ]
        assert spec.lookahead == lookahead
        assert spoken == [3 * k for k in range(20 - lookahead)], target


def test_overlapping_clips_share_one_strip() -> None:
    spec = ClipSpec(length=8, stride=2, hop=1)
    for one in clips_of(stream(60, 10, 12), spec, "v", batch=16):
        low, high = np.lib.array_utils.byte_bounds(one.pixels)
        assert high - low <= (spec.span + 15) * 10 * 12 * 3
        assert one.pixels[1, :, 0].ctypes.data == one.pixels[0, :, 0].ctypes.data + 10 * 12 * 3


def test_clips_are_channels_last_in_memory() -> None:
    one = next(clips_of(stream(20), ClipSpec(length=4), "v"))
    assert one.pixels.strides[1] == 1
    assert one.pixels.dtype == np.uint8


def test_a_stream_is_read_no_further_than_the_batch_needs() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for frame in stream(50):
            taken += 1
            yield frame

    first: Clips = next(clips_of(counted(), ClipSpec(length=4, hop=2), "v", batch=3))  # type: ignore[arg-type]
    assert len(first) == 3
    assert taken == 4 + 2 * 2


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        next(clips_of(stream(5), ClipSpec(length=1), "v", batch=0))
