"""Whatever is done to a file: one clear line, or the frames that can be read, in a few seconds; never a traceback."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from films import B_FRAMES, HEVC, film, number_of, numbered
from oddframe.errors import BadVideo
from oddframe.types import ClipSpec, Frame
from oddframe.video.reader import facts_of, frames_at, read, times_of, video_of

FRAMES = 24
SPEC = ClipSpec(size=None)
H264 = {"options": B_FRAMES}
WHOLE: dict[str, dict[str, Any]] = {
    "a.mp4": H264,
    "faststart.mp4": {**H264, "container_options": {"movflags": "faststart"}},
    "a.mkv": H264,
    "a.avi": {"codec": "mpeg4"},
    "a.ts": H264,
    "a.flv": H264,
    "raw.h264": {**H264, "container": "h264"},
    "h265.mp4": {"codec": "libx265", "options": HEVC},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1"},
    "wmv2.wmv": {"codec": "wmv2"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {name: film(folder / name, FRAMES, **how).read_bytes() for name, how in WHOLE.items()}


def read_all(path: Path) -> tuple[list[Frame], list[str]] | None:
    """What can be read; None where the file is refused, in one line that names it."""
    lost: list[str] = []
    try:
        frames = list(read(video_of(path), SPEC, lost))
    except BadVideo as error:
        one_line(error, path)
        return None
    assert len(lost) <= 4
    assert all(line.startswith(path.name) and "\n" not in line for line in lost)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert (np.diff([frame.seconds for frame in frames]) > 0).all()
    assert len({frame.pixels.shape for frame in frames}) <= 1
    return frames, lost


def one_line(error: BadVideo, path: Path) -> None:
    assert path.name in str(error)
    assert "\n" not in str(error)


def flipped(data: bytearray, random: np.random.Generator) -> None:
    for at in random.integers(len(data), size=random.integers(1, 40)):
        data[at] ^= 1 << random.integers(8)


def cut(data: bytearray, random: np.random.Generator) -> None:
    del data[random.integers(len(data)) :]


def zeroed(data: bytearray, random: np.random.Generator) -> None:
    at, length = random.integers(len(data)), random.integers(1, len(data) // 4)
    data[at : at + length] = bytes(len(data[at : at + length]))


def swapped(data: bytearray, random: np.random.Generator) -> None:
    size = len(data) // 16
    one, other = random.integers(16, size=2) * size
    data[one : one + size], data[other : other + size] = (
        data[other : other + size],
        data[one : one + size],
    )


def removed(data: bytearray, random: np.random.Generator) -> None:
    at = random.integers(len(data))
    del data[at : at + random.integers(1, 500)]


def repeated(data: bytearray, random: np.random.Generator) -> None:
    one, other = sorted(random.integers(len(data), size=2))
    data[other:other] = data[one:other]


@pytest.mark.parametrize("hurt", [flipped, cut, zeroed, swapped, removed, repeated])
@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_film_gives_what_is_readable(
    tmp_path: Path,
    whole: dict[str, bytes],
    name: str,
    hurt: Callable[[bytearray, np.random.Generator], None],
) -> None:
    random = np.random.default_rng([len(name), len(hurt.__name__)])
    for number in range(5):
        data = bytearray(whole[name])
        hurt(data, random)
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(data)
        begun = time.monotonic()
        result = read_all(path)
        if result is not None and number % 2:
            frames, _ = result
            times = times_of(video_of(path))
            wanted = [int(random.integers(len(times))), len(times) - 1]
            try:
                assert frames_at(video_of(path), SPEC, sorted(wanted)).shape == (
                    2,
                    *frames[0].pixels.shape,
                )
                assert facts_of(video_of(path)).width > 0
            except BadVideo as error:
                one_line(error, path)
        assert time.monotonic() - begun < 5


LENGTH_AHEAD = [
    "faststart.mp4",
    "a.mkv",
    "a.avi",
    "a.flv",
    "mjpeg.avi",
    "ffv1.mkv",
]  # of what follows


@pytest.mark.parametrize("name", [*LENGTH_AHEAD, "a.ts", "raw.h264"])
def test_a_film_that_breaks_off_gives_what_came_before(tmp_path: Path, name: str) -> None:
    even = {"options": {"qmin": "3", "qmax": "3"}} if name == "a.avi" else {}
    path = film(tmp_path / name, grainy(60), **WHOLE[name] | even)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    result = read_all(path)
    assert result is not None
    frames, lost = result
    assert 20 <= len(frames) <= 50
    assert [number_of(frame.pixels) for frame in frames[:-4]] == list(range(len(frames) - 4))
    assert any("breaks off after 1." in line for line in lost) == (name in LENGTH_AHEAD), lost


def grainy(count: int) -> list[np.ndarray]:
    """Pictures that make up most of their file, as real ones do."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 60, (count, 96, 128, 3), dtype=np.uint8)
    return [np.clip(numbered(k, 96, 128), 0, 190) + noise[k] for k in range(count)]


def test_a_film_without_its_index_says_so(tmp_path: Path, whole: dict[str, bytes]) -> None:
    (tmp_path / "a.mp4").write_bytes(whole["a.mp4"][:-600])
    with pytest.raises(BadVideo, match=r"a\.mp4 is not a video .*'moov' box, is missing"):
        list(read(video_of(tmp_path / "a.mp4"), SPEC))


def test_damage_in_the_middle_is_counted_in_one_line(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", grainy(60), options=B_FRAMES)
    data = bytearray(path.read_bytes())
    start, end = len(data) // 3, len(data) // 2
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    result = read_all(path)
    assert result is not None
    frames, lost = result
    assert 30 < len(frames) < 60
    assert number_of(frames[0].pixels) == 0
    assert number_of(frames[-1].pixels) == 59
    assert any("damaged packets skipped" in line for line in lost), lost


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"These are the minutes of a meeting.\n" * 50),
        ("notes.txt", b"These are the minutes of a meeting.\n" * 50),
        ("subtitles.mkv", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 50),
        ("list.avi", b"ffconcat version 1.0\nfile other.mp4\n"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("zeros.mp4", bytes(100_000)),
        ("noise.mkv", np.random.default_rng(0).bytes(300_000)),
        ("noise.h264", np.random.default_rng(1).bytes(300_000)),
        ("noise.mpg", np.random.default_rng(2).bytes(300_000)),
        ("archive.avi", b"PK\x03\x04" + np.random.default_rng(3).bytes(50_000)),
        ("page.webm", b"<!doctype html><html><title>Not found</title></html>"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    film(tmp_path / "other.mp4", 3)
    film(tmp_path / "other.ts", 3)
    (tmp_path / name).write_bytes(content)
    begun = time.monotonic()
    assert read_all(tmp_path / name) is None
    with pytest.raises(BadVideo):
        facts_of(video_of(tmp_path / name))
    with pytest.raises(BadVideo):
        times_of(video_of(tmp_path / name))
    assert time.monotonic() - begun < 5


def test_the_content_counts_and_not_the_ending(tmp_path: Path, whole: dict[str, bytes]) -> None:
    for name, ending in (
        ("a.mp4", "avi"),
        ("a.mkv", "mp4"),
        ("a.ts", "mov"),
        ("a.avi", "txt"),
        ("vp9.webm", "bin"),
    ):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(whole[name])
        result = read_all(path)
        assert result is not None
        assert [number_of(frame.pixels) for frame in result[0]] == list(range(FRAMES))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(BadVideo, match="neither a file nor a folder"):
        list(read(video_of(tmp_path / "pipe.mp4"), SPEC))


@pytest.mark.parametrize("size", [(16, 16), (2160, 3840)])
def test_small_large_and_single_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    path = film(tmp_path / "a.mp4", 1, size=size, options={"preset": "ultrafast"})
    assert read_all(path) is not None
    (frame,) = read(video_of(path), ClipSpec(size=(120, 160)))
    assert number_of(frame.pixels) == 0
    assert times_of(video_of(path)).tolist() == [0]
    assert frames_at(video_of(path), ClipSpec(size=(8, 8)), [0]).shape == (1, 8, 8, 3)


def test_one_picture_is_a_film_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a%d.png"), numbered(7))
    result = read_all(tmp_path / "a%d.png")
    assert result is not None
    assert [number_of(frame.pixels) for frame in result[0]] == [7]


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])
def test_damaged_pictures_keep_their_place(tmp_path: Path, ending: str) -> None:
    random = np.random.default_rng(len(ending))
    folder = tmp_path / "v"
    folder.mkdir()
    for number in range(30):
        path = folder / f"{number}.{ending}"
        cv2.imwrite(str(path), numbered(number))
        if number % 3 == 1:
            data = bytearray(path.read_bytes())
            (flipped, cut, zeroed)[number % 9 // 3](data, random)
            path.write_bytes(data)
    lost: list[str] = []
    frames = list(read(video_of(folder), SPEC, lost))
    assert len(frames) == 30
    assert [number_of(frame.pixels) for frame in frames[::3]] == list(range(0, 30, 3))
    assert len(lost) <= 1


def test_ffmpeg_prints_nothing_and_nothing_waits_for_ever(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """A decoding thread that reports an error must not want Python's lock: whoever closes a film holds that."""
    (tmp_path / "whole.mp4").write_bytes(whole["a.mp4"])
    for number, name in enumerate(["a.mp4", "raw.h264", "a.ts"]):
        data = bytearray(whole[name])
        flipped(data, np.random.default_rng(number))
        zeroed(data, np.random.default_rng(number))
        (tmp_path / name).write_bytes(data)
    script = (
        "import sys, pathlib\n"
        "from oddframe.errors import BadVideo\n"
        "from oddframe.types import ClipSpec, Video\n"
        "from oddframe.video import reader\n"
        "reader.WORTH_SEEKING = 0.01\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    for k in range(24):\n"
        "        try:\n"
        "            list(reader.read(Video('v', path, span=(k / 25, k / 25 + 0.15)), ClipSpec()))\n"
        "        except BadVideo:\n"
        "            pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
