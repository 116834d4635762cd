"""A source is opened once and remembered, until it changes."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from films import B_FRAMES, film, number_of, numbered
from oddframe.errors import BadVideo
from oddframe.types import ClipSpec, Event, Scores, Video
from oddframe.video import source as source_module
from oddframe.video.reader import facts_of, frames_at, read, read_frames, read_spans, video_of
from oddframe.video.source import content_hash, open_source
from oddframe.workflows.fit import fit
from oddframe.workflows.score import score

AS_IT_IS = ClipSpec(size=None)


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often FFmpeg has opened each file to read it, by name; nothing is remembered at the start."""
    counts: Counter[str] = Counter()
    open_file = av.open

    def counted(file: str, mode: str = "r", **how: Any) -> Any:
        if mode == "r":
            counts[Path(file).name] += 1
        return open_file(file, mode, **how)

    monkeypatch.setattr(av, "open", counted)
    source_module.memory.forget()
    yield counts
    source_module.memory.forget()


def test_fit_opens_a_film_at_most_five_times(
    opens: Counter[str], street: Path, tmp_path: Path
) -> None:
    fit("flowgrid", "simulated", root=street, out=tmp_path / "run")
    assert len(opens) == 3
    assert max(opens.values()) <= 5, opens


@pytest.fixture
def four_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is scored has an event every 2.5 seconds."""

    def find(scores: Scores, threshold: float) -> list[Event]:
        box = (0.2, 0.2, 0.6, 0.9)
        starts = (1.0, 3.5, 6.0, 8.5)
        return [Event(scores.video, t, t + 1, threshold, t + 0.5, box) for t in starts]

    monkeypatch.setattr("oddframe.visualization.outputs.find_events", find)


@pytest.mark.usefixtures("four_events")
def test_score_with_four_events_opens_a_film_at_most_five_times(
    opens: Counter[str], fitted: Path, street: Path, tmp_path: Path
) -> None:
    score(fitted, [street / "test" / "test01.mp4"], out=tmp_path / "a")
    events = sorted(path.suffix for path in (tmp_path / "a" / "events").glob("test01-00?.*"))
    assert events == [".jpg"] * 4 + [".mp4"] * 4
    assert (tmp_path / "a" / "test01.overlay.mp4").is_file()
    assert opens.pop("test01.mp4") <= 5
    assert max(opens.values()) <= 2, "of training films, for pictures of normal examples"


@pytest.mark.usefixtures("four_events")
def test_pictures_of_events_do_not_depend_on_the_overlay(
    opens: Counter[str], fitted: Path, street: Path, tmp_path: Path
) -> None:
    video = street / "test" / "test01.mp4"
    for name, overlay in (("a", True), ("b", False)):
        score(fitted, [video], out=tmp_path / name, overlay=overlay)
    assert opens["test01.mp4"] <= 9
    pictures = sorted(path.name for path in (tmp_path / "a" / "events").iterdir())
    assert len(pictures) >= 8
    for name in pictures:
        one, other = (tmp_path / folder / "events" / name for folder in "ab")
        assert one.read_bytes() == other.read_bytes(), name


def test_questions_are_answered_from_one_opening(opens: Counter[str], tmp_path: Path) -> None:
    video = video_of(film(tmp_path / "a.mp4", 60, options=B_FRAMES))
    threads = [threading.Thread(target=facts_of, args=(video,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opens["a.mp4"] == 1
    pixels = read_frames(video, AS_IT_IS, [2, 55, 3, 20])
    assert {k: number_of(picture) for k, picture in pixels.items()} == {2: 2, 3: 3, 20: 20, 55: 55}
    assert opens["a.mp4"] == 2
    spans = [(0.0, 0.12), (2.0, 2.2), (0.4, 0.5)]
    shown = [
        [number_of(frame.pixels) for frame in part] for part in read_spans(video, AS_IT_IS, spans)
    ]
    assert shown == [[0, 1, 2], [50, 51, 52, 53, 54], [10, 11, 12]]
    assert opens["a.mp4"] == 3


def test_what_changes_on_disk_is_looked_at_again(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 10)
    first, name = open_source(path), content_hash(path)
    assert open_source(path) is first
    film(path, 12)
    assert len(open_source(path).seconds) == 12
    assert content_hash(path) != name
    folder = tmp_path / "v"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), numbered(k))
    name = content_hash(folder)
    cv2.imwrite(str(folder / "1.png"), numbered(99))  # which leaves the folder's own date alone
    assert content_hash(folder) != name
    (folder / "2.png").unlink()
    assert len(open_source(folder).seconds) == 2


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MOST_REMEMBERED", 25)
    paths = [film(tmp_path / f"{k}.mp4", 10) for k in range(4)]
    sources = [open_source(path) for path in paths]
    assert [open_source(path) is one for path, one in zip(paths[2:], sources[2:], strict=True)] == [
        True,
        True,
    ]
    assert open_source(paths[0]) is not sources[0]


# ---- which stream is the film, and what headers say


def with_preview(path: Path, container: str | None = None) -> Path:
    """A film of 30 pictures after a stream of one JPEG that is not marked as a cover."""
    with av.open(str(path), "w", format=container) as out:
        preview: Any = out.add_stream("mjpeg", rate=25)
        stream: Any = out.add_stream("libx264", rate=25)
        for one, pixels in ((preview, "yuvj420p"), (stream, "yuv420p")):
            one.height, one.width, one.pix_fmt = 48, 64, pixels
        for k in range(30):
            picture = av.VideoFrame.from_ndarray(numbered(k), format="rgb24")
            if k == 0:
                out.mux(
                    [*preview.encode(picture.reformat(format="yuvj420p")), *preview.encode(None)]
                )
            picture = picture.reformat(format="yuv420p")
            picture.pts, picture.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_a_preview_before_the_film_is_not_the_film(tmp_path: Path, ending: str) -> None:
    video = video_of(with_preview(tmp_path / f"a.{ending}"))
    assert [number_of(frame.pixels) for frame in read(video, AS_IT_IS)] == list(range(30))
    assert facts_of(video).codec == "h264"


@pytest.mark.parametrize(
    "duration", ["9" * 400 + ":00:00.0", "nan:00:00", "-5:00:00", "9999999:0:0"]
)
def test_lengths_that_no_film_has_are_ignored(tmp_path: Path, duration: str) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format="matroska") as out:
        stream: Any = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["DURATIOX"] = duration
        for k in range(30):
            picture = av.VideoFrame.from_ndarray(numbered(k), format="rgb24")
            picture.pts, picture.time_base = k, Fraction(1, 10)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    data = path.read_bytes().replace(b"DURATION", b"DURATIOY", 1).replace(b"DURATIOX", b"DURATION")
    path.write_bytes(data)
    damage: list[str] = []
    assert len(list(read(video_of(path), AS_IT_IS, damage))) == 30
    assert damage == []
    seconds = facts_of(video_of(path)).seconds
    assert seconds is None or seconds == pytest.approx(3.0, abs=0.2)


# ---- pixels


def anamorphic(path: Path, size: tuple[int, int], aspect: Fraction, **how: Any) -> Video:
    """A film of 25 pictures whose pixels are `aspect` times as wide as high."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.height, stream.width = size
        stream.pix_fmt, stream.codec_context.sample_aspect_ratio = "yuv420p", aspect
        if how:
            stream.set_display_rotation(how["turn"])
        for k in range(25):
            picture = av.VideoFrame.from_ndarray(numbered(k, *size), format="rgb24")
            picture = picture.reformat(format="yuv420p")
            picture.pts, picture.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return video_of(path)


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((24, 64), Fraction(1, 2), (48, 64)),  # half the lines, as recorders store fields
        ((48, 32), Fraction(2, 1), (48, 64)),
        ((48, 64), Fraction(12, 11), (48, 70)),  # PAL
        ((48, 64), Fraction(1, 1), (48, 64)),
        ((48, 64), Fraction(201, 200), (48, 64)),  # rounding of somebody's scaler
        ((48, 64), Fraction(1, 200), (48, 64)),  # no pixel is like that
    ],
)
def test_pixels_that_are_not_square_are_shown_as_they_should_be(
    tmp_path: Path, size: tuple[int, int], aspect: Fraction, shown: tuple[int, int]
) -> None:
    video = anamorphic(tmp_path / "a.mp4", size, aspect)
    facts = facts_of(video)
    assert (facts.height, facts.width) == shown
    frames = list(read(video, AS_IT_IS))
    assert frames[0].pixels.shape == (*shown, 3)
    assert [number_of(frame.pixels) for frame in frames] == list(range(25))
    assert next(read(video, ClipSpec(size=32))).pixels.shape[:2] == (
        round(32 * shown[0] / shown[1]),
        32,
    )
    assert np.array_equal(frames_at(video, AS_IT_IS, [7])[0], frames[7].pixels)


def test_pixels_that_are_not_square_are_turned_too(tmp_path: Path) -> None:
    video = anamorphic(tmp_path / "a.mp4", (24, 64), Fraction(1, 2), turn=90)
    assert next(read(video, AS_IT_IS)).pixels.shape == (64, 48, 3)


@pytest.mark.parametrize("tag", [3, 8, 10, 11, 12, 13, 14, 15, 99])
@pytest.mark.parametrize(
    "kind", ["matrix_coefficients", "colour_primaries", "transfer_characteristics"]
)
def test_colour_tags_that_nothing_can_be_done_with_are_taken_as_unspecified(
    tmp_path: Path, kind: str, tag: int
) -> None:
    plain = film(tmp_path / "plain.mp4", 5)
    with av.open(str(plain)) as came, av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = came.streams.video[0]
        to = out.add_stream_from_template(stream)
        tagging: Any = av.bitstream.BitStreamFilterContext(
            f"h264_metadata={kind}={tag}", stream, to
        )
        for packet in came.demux(stream):
            for tagged in tagging.filter(packet if packet.dts is not None else None):
                tagged.stream = to
                out.mux(tagged)
    for colour in ("grey", "rgb"):
        spec = replace(AS_IT_IS, colour=colour)
        frames = list(read(video_of(tmp_path / "a.mp4"), spec))
        assert len(frames) == 5
        if colour == "grey":
            for one, other in zip(read(video_of(plain), spec), frames, strict=True):
                assert np.array_equal(one.pixels, other.pixels)


def test_pictures_of_several_pages_are_reported_and_floats_need_levels(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "v"
    folder.mkdir()
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None], 48, 0)
    pages = [Image.fromarray(ramp), Image.fromarray(255 - ramp)]
    pages[0].save(folder / "0.tif", save_all=True, append_images=pages[1:])
    (frame,) = read(video_of(folder), ClipSpec(size=None, colour="grey"), damage := [])
    assert np.array_equal(frame.pixels[:, :, 0], ramp)
    assert damage == ["v: 1 picture of several pages; the first page of each is read"]
    floats = tmp_path / "w"
    floats.mkdir()
    Image.fromarray((280 + ramp / 4).astype(np.float32)).save(floats / "0.tif")
    with pytest.raises(BadVideo, match="floating-point pictures are read only at the levels that"):
        list(read(video_of(floats), AS_IT_IS))
    shown = replace(video_of(floats), levels=(280.0, 280.0 + 255 / 4))
    (frame,) = read(shown, ClipSpec(size=None, colour="grey"))
    assert np.array_equal(frame.pixels[:, :, 0], ramp)


def test_only_regular_files_are_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(BadVideo, match="is not a regular file"):
        content_hash(tmp_path / "x.mp4")
