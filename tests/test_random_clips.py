"""Random clips are the clips that reading in order gives, and the same ones however they are fetched."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from films import B_FRAMES, film, number_of
from oddframe.errors import BadInput
from oddframe.training.random_clips import RandomClips, Sample, clip_at
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read, video_of
from oddframe.video.sampling import clip_windows

SPEC = ClipSpec(length=4, stride=2, hop=3, size=None)

# Python 3.12 warns of forking a process that has threads, which a DataLoader does
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("films")
    paths = [
        film(folder / "a.mp4", 60, options=B_FRAMES),
        film(
            folder / "b.mkv",
            30,
            options=B_FRAMES,
            stamps=lambda k: k * 40 + k % 3 * 10,
            clock=None,
            fps=1000,
        ),
        film(folder / "c.avi", 20, options=B_FRAMES),
    ]
    return [
        replace(video_of(path), truth=lambda count: Truth(np.zeros(count, bool))) for path in paths
    ]


@pytest.mark.parametrize(
    "spec", [SPEC, replace(SPEC, fps=9, stride=1), replace(SPEC, length=1, colour="grey")]
)
@pytest.mark.parametrize("span", [None, (0.3, 1.1)])
def test_windows_are_the_clips_of_reading_in_order(
    videos: list[Video], spec: ClipSpec, span: tuple[float, float] | None
) -> None:
    for video in videos:
        part = replace(video, span=span)
        batches = list(clips_of(read(part, spec), spec, part.name, batch=5))
        windows = clip_windows(part, spec)
        assert windows[:, -1].tolist() == [index for one in batches for index in one.frame_index]
        if batches:
            last = clip_at(part, spec, windows[-1].tolist())
            assert np.array_equal(last.numpy(), batches[-1].pixels[-1])


def test_an_item_is_a_clip_of_the_video_that_it_names(videos: list[Video]) -> None:
    spec = replace(SPEC, fps=12.5, stride=1)
    clips = RandomClips(videos, spec, count=20, seed=3)
    assert len(clips) == 20
    for item in range(20):
        pixels, number, start = clips[item]
        window = next(
            one for one in clip_windows(videos[number], replace(spec, hop=1)) if one[0] == start
        )
        assert pixels.shape == (3, 4, 48, 64)
        assert pixels.dtype == torch.uint8
        assert [
            number_of(picture.permute(1, 2, 0).numpy()) for picture in pixels.unbind(1)
        ] == window.tolist()
    with pytest.raises(IndexError):
        clips[20]


def test_items_depend_on_seed_epoch_and_number_alone(videos: list[Video]) -> None:
    clips = RandomClips(videos, SPEC, count=12, seed=1)
    first = [clips[item] for item in range(12)]
    clips.set_epoch(1)
    second = [clips[item] for item in range(12)]
    again = pickle.loads(pickle.dumps(RandomClips(videos[:], SPEC, count=99, seed=1)))
    assert all(same(again[item], first[item]) for item in reversed(range(12)))
    again.set_epoch(1)
    assert all(same(again[item], second[item]) for item in (5, 0, 11))
    assert not all(same(*pair) for pair in zip(first, second, strict=True))
    other = RandomClips(videos, SPEC, count=12, seed=2)
    assert not all(same(other[item], first[item]) for item in range(12))


def same(one: Sample, other: Sample) -> bool:
    return one[1:] == other[1:] and torch.equal(one.pixels, other.pixels)


def test_workers_change_nothing(videos: list[Video]) -> None:
    clips = RandomClips(videos, SPEC, count=10, seed=5)
    seen = []
    for epoch in range(2):
        clips.set_epoch(epoch)
        alone = list(DataLoader(clips, batch_size=4))
        together = list(DataLoader(clips, batch_size=4, num_workers=2))
        assert [len(batch.video) for batch in alone] == [4, 4, 2]
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one.pixels, other.pixels)
            assert torch.equal(one.video, other.video)
            assert torch.equal(one.start, other.start)
        seen.append(torch.cat([batch.start for batch in alone]).tolist())
    assert seen[0] != seen[1]


def test_every_clip_is_equally_likely(videos: list[Video]) -> None:
    spec = replace(SPEC, length=2, stride=1)
    clips = RandomClips(videos, spec, count=600, seed=0)
    numbers, starts = zip(*(clips[item][1:] for item in range(600)), strict=True)
    expected = np.array([59, 29, 19]) / 107 * 600
    assert np.abs(np.bincount(numbers) - expected).max() < 4 * np.sqrt(expected.max())
    long = [start for number, start in zip(numbers, starts, strict=True) if number == 0]
    assert set(range(0, 59, 7)) <= set(long) | {start + 1 for start in long} | {
        start - 1 for start in long
    }
    assert max(long) <= 58


def test_videos_too_short_are_named(videos: list[Video], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing that moves")
    short = video_of(film(tmp_path / "short.mp4", 6))
    clips = RandomClips([short, *videos, video_of(tmp_path / "bad.mp4")], SPEC, count=4)
    assert {clips[item].video for item in range(4)} <= {1, 2, 3}
    assert [entry.video for entry in clips.skipped] == ["short", "bad"]
    assert clips.skipped[0].reason == "has 6 frames, a clip needs 7"
    with pytest.raises(
        BadInput, match=r"none of 1 videos gives a clip of 7 frames \(short: has 6 frames"
    ):
        RandomClips([short], SPEC, count=4)
    with pytest.raises(BadInput, match="none of 0 videos"):
        RandomClips([], SPEC, count=4)


def test_a_damaged_spot_is_drawn_again(tmp_path: Path) -> None:
    path = film(tmp_path / "hurt.mp4", 100, options=B_FRAMES)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    lost: list[str] = []
    assert len(list(read(video_of(path), SPEC, lost))) < 100
    assert lost
    clips = RandomClips([video_of(path)], SPEC, count=40, seed=0)
    for item in range(40):
        numbers = [
            number_of(picture.permute(1, 2, 0).numpy()) for picture in clips[item].pixels.unbind(1)
        ]
        assert numbers == list(range(numbers[0], numbers[0] + 8, 2))
        assert same(clips[item], clips[item])
