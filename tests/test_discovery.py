"""One search finds the videos for every command, as recorders, cameras and people leave them."""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from films import film, numbered
from oddframe import score
from oddframe.datasets.discovery import collect_videos, videos_under
from oddframe.datasets.folder import Folder
from oddframe.errors import BadInput, BadVideo
from oddframe.types import ClipSpec, Video
from oddframe.video.reader import content_hash, read, video_of


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    """A film of five pictures."""
    return film(tmp_path / "clip.mp4", 5, codec="mpeg4").read_bytes()


def tree(root: Path, entries: dict[str, bytes | int]) -> Path:
    """Files of these bytes, and pictures of these numbers, by their paths."""
    for name, content in entries.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            assert cv2.imwrite(str(path), numbered(content))
    return root


def names(videos: list[Video]) -> list[str]:
    return [video.name for video in videos]


def dav(path: Path) -> Path:
    """What a Dahua recorder exports: H.264 in frames of its own."""
    raw = film(path.with_suffix(".h264"), 10, container="h264", options={"bf": "0"})
    out, unit, number = b"", b"", 0
    for nal in re.split(rb"(?=\x00\x00\x01)", raw.read_bytes())[1:]:
        unit += nal
        if nal[3] & 31 not in (1, 5) or not nal[4] & 128:
            continue
        kind = 0xFD if nal[3] & 31 == 5 else 0xFC
        extra = bytes([0x81, 0, 2, 25, 0x80, 0, 8, 6])  # H.264, 25 a second, 64 × 48
        size = 24 + len(extra) + len(unit) + 8
        date = (24 << 26) | (3 << 22) | (5 << 17) | (12 << 12)
        head = struct.pack("<IIIHBB", number, size, date, number * 40 & 0xFFFF, 8, 0)
        out += b"DHAV" + bytes([kind, 0, 0, 0]) + head + extra + unit
        out += b"dhav" + struct.pack("<I", size)
        unit, number = b"", number + 1
    raw.unlink()
    path.write_bytes(out)
    return path


# ---- which entries are videos


def test_pictures_beside_clips_are_snapshots(tmp_path: Path, clip: bytes) -> None:
    today = tree(tmp_path / "today", {"ev1.mp4": clip, "ev1.jpg": 1, "ev2.mp4": clip, "ev2.jpg": 2})
    assert (
        names(collect_videos([today])) == names(Folder().read_split(today).train) == ["ev1", "ev2"]
    )


def test_pictures_above_clips_are_snapshots(tmp_path: Path, clip: bytes) -> None:
    camera = tree(tmp_path / "camera", {"now.jpg": 1, "then.jpg": 2, "monday/a.mp4": clip})
    assert names(collect_videos([camera])) == ["a"]


def test_one_picture_beside_folders_is_no_video(tmp_path: Path) -> None:
    frames = {f"{part}/{k}.png": k for part in ("one", "two") for k in range(3)}
    folder = tree(tmp_path / "set", {"cover.png": 9, **frames})
    assert names(videos_under(folder)) == ["one", "two"]


def test_recordings_by_date_and_hour_are_all_found(tmp_path: Path, clip: bytes) -> None:
    recorder = tree(
        tmp_path / "recorder",
        {
            "2026-03-01/08/00.10.mp4": clip,
            "2026-03-01/08/10.20.mp4": clip,
            "2026-03-01/09/00.05.mp4": clip,
            "stray.mp4": clip,
        },
    )
    assert names(collect_videos([recorder])) == [
        "2026-03-01-08-00.10",
        "2026-03-01-08-10.20",
        "2026-03-01-09-00.05",
        "stray",
    ]
    assert names(collect_videos([recorder / "2026-03-01"])) == ["08-00.10", "08-10.20", "09-00.05"]
    assert names(Folder().read_split(recorder).train) == names(collect_videos([recorder]))


def test_what_ffmpeg_opens_is_a_video_whatever_its_ending(tmp_path: Path, clip: bytes) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    dav(odd / "0.dav")
    tree(odd, {"1.dav": clip, "2.lrv": clip, "no-ending": clip, "3.DAV": b"nothing"})
    tree(odd, {"notes.txt": b"words", "words": b"more words", "x.bin": bytes(9999), "a.mp3": clip})
    found = collect_videos([odd])
    assert [video.source.name for video in found] == [
        "0.dav",
        "1.dav",
        "2.lrv",
        "3.DAV",  # of an ending that others show to be a video's: reading it says what is wrong
        "no-ending",
    ]
    assert len(list(read(found[0], ClipSpec(size=None)))) == 10
    assert names(Folder().read_split(odd / "0.dav").train) == ["0"]
    with pytest.raises(BadInput, match=r"notes.txt is not a video; a video is a file that FFmpeg"):
        Folder().read_split(odd / "notes.txt")


def test_few_files_of_an_unknown_ending_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr("oddframe.datasets.discovery.opens_as_video", opened.append)
    tree(tmp_path / "many", {f"{k}.xyz": bytes(100) for k in range(50)})
    assert videos_under(tmp_path / "many") == []
    assert len(opened) == 5


def test_what_is_left_behind_is_no_video(tmp_path: Path, clip: bytes) -> None:
    junk = {"._a.mp4": b"junk", ".hidden/b.mp4": clip, "Thumbs.db": b"", "__MACOSX/c.mp4": clip}
    assert names(videos_under(tree(tmp_path / "v", {"a.mp4": clip, **junk}))) == ["a"]


def test_what_oddframe_wrote_is_no_video(tmp_path: Path, clip: bytes) -> None:
    written = {
        "out/events.json": b"{}",
        "out/a.overlay.mp4": clip,
        "out/a.timeline.png": 1,
        "out/calibration.png": 2,
        "out/events/a-001.mp4": clip,
        "out/events/a-001.jpg": 3,
        "out/a.overlay/000000.jpg": 4,
        "run/evaluation-street/evaluation.json": b"{}",
        "run/evaluation-street/a.overlay.mp4": clip,
    }
    assert names(videos_under(tree(tmp_path / "v", {"a.mp4": clip, **written}))) == ["a"]


def test_links_that_lead_back_up_are_not_followed_again(tmp_path: Path, clip: bytes) -> None:
    root = tree(tmp_path / "v", {"a.mp4": clip, "b/c.mp4": clip})
    (root / "b" / "up").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    assert names(videos_under(root)) == ["a", "c"]


# ---- names


def test_the_folder_in_which_one_stands_gives_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree(tmp_path / "yard", {f"{k}.png": k for k in range(3)}))
    assert names(collect_videos([Path()])) == names(videos_under(Path())) == ["yard"]
    (Path() / "below").mkdir()
    monkeypatch.chdir("below")
    assert names(collect_videos([Path("..")])) == ["yard"]


def test_no_two_names_are_alike_and_none_is_too_long(tmp_path: Path, clip: bytes) -> None:
    long = [f"{'x' * 246}{k}.mp4" for k in range(2)]
    entries = {"a/v.mp4": clip, "b/V.mp4": clip, **dict.fromkeys(long, clip)}
    root = tree(tmp_path / "v", entries)
    os.rename(root / "a" / "v.mp4", os.fsencode(root / "a") + b"/v\xff.mp4")
    found = collect_videos([root, root / "b" / "V.mp4", root / "b"])
    assert len(found) == 4  # each source once
    assert len({video.name.lower() for video in found}) == 4
    for video in found:
        assert len(f"{video.name}.overlay.mp4".encode()) < 200


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(BadInput, match="frames per second is a number above 0, got"):
        collect_videos([tmp_path], fps)


def test_an_empty_folder_says_what_it_holds(tmp_path: Path) -> None:
    tree(tmp_path / "v", {"a.txt": b"words", "b.txt": b"words"})
    with pytest.raises(BadVideo, match=r"no video in .*v \(2 × \.txt\); a video is a file that"):
        collect_videos([tmp_path / "v"])
    with pytest.raises(BadVideo, match="no such file or folder"):
        collect_videos([tmp_path / "w"])


# ---- one bad entry never ends the others


def fifo(path: Path) -> None:
    os.mkfifo(path)


def broken_link(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, broken_link, device])
def test_a_bad_entry_is_named_and_the_good_ones_are_done(
    make: Callable[[Path], None], fitted: Path, short: Path, tmp_path: Path
) -> None:
    work = tree(tmp_path / "work", {"good.mp4": short.read_bytes()})
    make(work / "bad.mp4")
    found = score(fitted, [work], out=tmp_path / "out", overlay=False, clips=False)
    problem = found.problem()
    assert isinstance(problem, BadVideo)
    assert re.search(r"1 of 2 videos could not be scored.*bad\.mp4", str(problem))
    assert (tmp_path / "out" / "good.npz").is_file()
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_long_name_is_scored_like_any_other(fitted: Path, short: Path, tmp_path: Path) -> None:
    work = tree(tmp_path / "work", {"x" * 251 + ".mp4": short.read_bytes()})
    score(fitted, [work], out=tmp_path / "out", overlay=True, clips=True)
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1


@pytest.mark.parametrize("make", [fifo, broken_link, device])
def test_what_is_no_file_among_pictures_is_named_and_not_opened(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    work = tree(tmp_path / "work", {f"{k}.png": k for k in range(3)})
    without = content_hash(work)
    make(work / "1.5.png")
    (video,) = collect_videos([work])
    assert content_hash(work) != without
    assert len(list(read(video, ClipSpec(size=None), damage := []))) == 4
    assert "1.5.png: not a regular file" in damage[0]


def test_a_folder_named_like_a_picture_is_none(tmp_path: Path) -> None:
    work = tree(tmp_path / "work", {f"{k}.png": k for k in range(3)})
    (work / "thumbs.png").mkdir()
    (video,) = collect_videos([work])
    assert len(list(read(video, ClipSpec(size=None), damage := []))) == 3
    assert not damage
    assert len(content_hash(work)) == 16


def test_a_folder_with_a_pipe_among_its_pictures_is_scored_and_the_pipe_named(
    fitted: Path, short: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for k, frame in enumerate(read(video_of(short), ClipSpec(size=None))):
        cv2.imwrite(str(work / f"{k:03}.png"), frame.pixels)
    fifo(work / "010b.png")
    score(fitted, [work], out=tmp_path / "out", overlay=False, clips=False)
    assert "010b.png: not a regular file" in caplog.text
