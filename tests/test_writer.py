"""Frames that are written can be played, are as many as were written, and are there whole or not at all."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from oddframe.errors import BadInput
from oddframe.types import Bytes, ClipSpec, Video
from oddframe.video.reader import read, times_of
from oddframe.video.writer import video_writer


def write(
    path: Path, size: tuple[int, int], *, frames: int = 12, channels: int = 3, fps: float = 10
) -> Bytes:
    """A bright square that moves to the right."""
    film = np.full((frames, *size, channels), 40, np.uint8)
    with video_writer(path, fps, size, crf=10) as video:
        for index, picture in enumerate(film):
            picture[: size[0] // 2, index : index + size[1] // 2] = 200
            video.write(picture)
    return film


@pytest.mark.parametrize("size", [(48, 64), (49, 64), (48, 65), (17, 33), (2, 2), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    film = write(tmp_path / "a.mp4", size, channels=channels)
    back = np.stack(
        [frame.pixels for frame in read(Video("a", tmp_path / "a.mp4"), ClipSpec(size=None))]
    )
    height, width = size
    assert back.shape == (len(film), height + height % 2, width + width % 2, 3)
    assert np.abs(back[:, :height, :width].astype(int) - film).mean() < 6


def test_browsers_play_it(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", (48, 64))
    with av.open(str(tmp_path / "a.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # it starts before it is loaded


@pytest.mark.parametrize(
    ("fps", "exact"),
    [(10, "10"), (12.5, "25/2"), (29.97, "30000/1001"), (25, "25"), (7.3, "73/10")],
)
def test_the_rate_is_kept(tmp_path: Path, fps: float, exact: str) -> None:
    write(tmp_path / "a.mp4", (16, 16), fps=fps)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert str(container.streams.video[0].average_rate) == exact


def test_frames_come_when_they_are_due(tmp_path: Path) -> None:
    due = [0.0, 0.1, 0.5, 0.52, 2.0]
    with video_writer(tmp_path / "a.mp4", 25, (16, 16)) as video:
        for seconds in due:
            video.write(np.zeros((16, 16, 3), np.uint8), seconds)
    read_at = [frame.seconds for frame in read(Video("a", tmp_path / "a.mp4"), ClipSpec(size=None))]
    assert read_at == pytest.approx(due, abs=1e-3)


@pytest.mark.parametrize(
    ("fps", "size"),
    [(0, (8, 8)), (-1, (8, 8)), (float("nan"), (8, 8)), (10, (0, 8)), (10, (8, 99999))],
)
def test_what_cannot_be_filmed_is_said(tmp_path: Path, fps: float, size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="got"), video_writer(tmp_path / "a.mp4", fps, size):
        pass
    assert not list(tmp_path.iterdir())


def test_no_frame_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no frame"), video_writer(tmp_path / "a.mp4", 10, (8, 8)):
        pass
    assert not list(tmp_path.iterdir())


def fails(path: Path, error: BaseException | None) -> None:
    """Write one good frame, and then an error or a frame that does not fit."""
    with video_writer(path, 10, (8, 8)) as video:
        video.write(np.zeros((8, 8, 3), np.uint8))
        if error:
            raise error
        video.write(np.zeros((8, 9, 3), np.uint8))


def test_a_frame_of_another_shape_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got"):
        fails(tmp_path / "a.mp4", None)
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_survives_a_failure(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", (16, 16))
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        fails(tmp_path / "a.mp4", KeyboardInterrupt())
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from oddframe.errors import BadInput
from oddframe.video.writer import video_writer
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
random = np.random.default_rng(0)
try:
    with video_writer(Path(sys.argv[1]), 10, (120, 160)) as video:
        for _ in range(60):
            video.write(random.integers(0, 255, (120, 160, 3), dtype=np.uint8))
except BadInput as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write {path}: ")
    assert not list(tmp_path.iterdir())


def test_a_pause_of_days_is_shortened_and_what_follows_keeps_its_step(tmp_path: Path) -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    with video_writer(tmp_path / "a.mp4", 25, (16, 16)) as film:
        for seconds in (0, 1, 86_001, 86_002, 250_000, 400_000):
            film.write(frame, float(seconds))
    most = 20_000
    assert times_of(Video("a", tmp_path / "a.mp4")) == pytest.approx(
        [0, 1, 1 + most, 2 + most, 2 + 2 * most, 2 + 3 * most]
    )
