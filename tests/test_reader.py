"""What is read is what was filmed: every container, codec and clock that people have, frame by frame."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from films import (
    B_FRAMES,
    HEVC,
    OPEN_GOP,
    film,
    number_of,
    numbered,
    sound_only,
    with_another_stream,
)
from oddframe.errors import BadVideo
from oddframe.types import ClipSpec, Frame, IgnoredArea, Video
from oddframe.video import reader
from oddframe.video.decoder import StampClock
from oddframe.video.reader import (
    content_hash,
    content_of,
    facts_of,
    frames_at,
    read,
    thinned,
    times_of,
    video_of,
)
from oddframe.video.source import open_source

FRAMES = 40
AS_IT_IS = ClipSpec(size=None)


@dataclass(frozen=True)
class Sort:
    name: str
    how: dict[str, Any] = field(default_factory=dict)
    seconds: Callable[[int], float] = lambda k: k / 25
    seeks: bool = True


H264, INTRA = {"options": B_FRAMES}, {"codec": "mjpeg", "pixel_format": "yuvj420p"}
REFRESH = {"options": {"x264-params": "intra-refresh=1:keyint=10"}}
FIELDS = {"options": {"x264-params": "tff=1:keyint=8", "flags": "+ildct+ilme"}}
VPX = {
    "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime", "cpu-used": "8"}
}
AV1 = {"codec": "libsvtav1", "options": {"preset": "12", "g": "10"}}
X265 = {"codec": "libx265", "options": HEVC}
ASP = {"codec": "mpeg4", "options": {"bf": "2"}}

SORTS = [
    *(Sort(f"h264.{ending}", H264) for ending in ("mp4", "mov", "mkv", "ts", "flv")),
    Sort("h264-without-stamps.avi", H264, seeks=False),
    Sort("raw.h264", {**H264, "container": "h264"}, seeks=False),
    Sort("raw.hevc", {**X265, "container": "hevc"}, seeks=False),
    *(Sort(f"open-gop.{ending}", {"options": OPEN_GOP}) for ending in ("mp4", "ts", "mkv")),
    *(Sort(f"no-key-frames.{ending}", REFRESH) for ending in ("mp4", "ts")),
    Sort("interlaced.ts", FIELDS),
    *(Sort(f"h265.{ending}", X265) for ending in ("mp4", "ts", "mkv")),
    *(Sort(f"mpeg4.{ending}", ASP) for ending in ("avi", "mp4")),
    Sort("mpeg4-plain.avi", {"codec": "mpeg4"}),
    Sort("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
    Sort("vp8.webm", {"codec": "libvpx", **VPX}),
    Sort("vp9.webm", {"codec": "libvpx-vp9", **VPX}),
    *(Sort(f"av1.{ending}", AV1) for ending in ("mp4", "mkv")),
    *(Sort(f"mjpeg.{ending}", INTRA) for ending in ("avi", "mov")),
    *(Sort(f"ffv1.{ending}", {"codec": "ffv1"}) for ending in ("mkv", "avi")),
    Sort("wmv2.wmv", {"codec": "wmv2"}),
    Sort("sorenson.flv", {"codec": "flv"}),
    Sort("prores.mov", {"codec": "prores", "pixel_format": "yuv422p10le"}),
    Sort("raw.y4m", {"codec": "rawvideo", "container": "yuv4mpegpipe"}),
    Sort("ten-bit.mp4", {**H264, "pixel_format": "yuv420p10le"}),
    Sort("ten-bit-h265.mkv", {**X265, "pixel_format": "yuv420p10le"}),
    Sort("grey.mkv", {"codec": "ffv1", "pixel_format": "gray"}),
    Sort("ten-bit-grey.mkv", {"codec": "ffv1", "pixel_format": "gray10le"}),
    Sort("odd-size.mp4", {**H264, "pixel_format": "yuv444p", "size": (17, 33)}),
    Sort("never-two-alike.mp4", {**H264, "stamps": lambda k: k * k + 3 * k, "clock": Fraction(1, 100)},
         lambda k: (k * k + 3 * k) / 100),
    Sort("never-two-alike.mkv", {**H264, "stamps": lambda k: 10 * k * k + 30 * k, "clock": Fraction(1, 1000)},
         lambda k: (k * k + 3 * k) / 100),
    Sort("starts-late.ts", {**H264, "stamps": lambda k: k + 5000}),
    Sort("starts-late.mkv", {**H264, "stamps": lambda k: k + 50}),
    Sort("piped.webm", {"codec": "libvpx-vp9", **VPX, "container_options": {"live": "1"}}),
]  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sort], Video]:
    folder = tmp_path_factory.mktemp("sorts")

    def make(sort: Sort) -> Video:
        path = folder / sort.name
        return video_of(path if path.exists() else film(path, FRAMES, **sort.how))

    return make


@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: sort.name)
def test_every_sort_of_film(
    sort: Sort, made: Callable[[Sort], Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    video, lost = made(sort), []
    frames = list(read(video, AS_IT_IS, lost))
    assert [number_of(frame.pixels) for frame in frames] == list(range(FRAMES))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.seconds for frame in frames] == pytest.approx(
        [sort.seconds(k) for k in range(FRAMES)], abs=1e-6
    )
    assert frames[0].pixels.shape == (*sort.how.get("size", (48, 64)), 3)
    assert lost == []
    assert times_of(video) == pytest.approx([frame.seconds for frame in frames], abs=1e-6)
    assert (open_source(video.source).seek_table is not None) == sort.seeks

    for wanted in ([0], [1, 4], [7], [9, 10, 11], [20, 38], [FRAMES - 1]):
        same(frames_at(video, AS_IT_IS, wanted), [frames[k] for k in wanted])
    assert frames_at(video, AS_IT_IS, [5, 3, 5])[[0, 2]].tobytes() == 2 * frames[5].pixels.tobytes()

    monkeypatch.setattr(reader, "WORTH_SEEKING", 0.01)
    for start, end in (
        (0.5, 1.1),
        (sort.seconds(13), sort.seconds(31)),
        (0.04, 0.2),
        (1.2, 1e9),
        (1e8, 1e9),
    ):
        inside = [frame for frame in frames if start <= frame.seconds < end]
        got = list(read(replace(video, span=(start, end)), AS_IT_IS))
        assert [frame.index for frame in got] == [frame.index for frame in inside]
        assert [frame.seconds for frame in got] == pytest.approx(
            [frame.seconds for frame in inside], abs=1e-6
        )
        if inside:
            same(np.stack([frame.pixels for frame in got]), inside)


def same(pixels: np.ndarray, frames: list[Frame]) -> None:
    assert np.array_equal(pixels, np.stack([frame.pixels for frame in frames]))


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_film_that_says_how_to_turn_it_is_turned(tmp_path: Path, turn: int, ending: str) -> None:
    picture = numbered(0b10110010)
    upright = next(read(video_of(film(tmp_path / f"0.{ending}", [picture])), AS_IT_IS)).pixels
    turned = video_of(film(tmp_path / f"{turn}.{ending}", [picture], rotation=turn))
    assert np.array_equal(next(read(turned, AS_IT_IS)).pixels, np.rot90(upright, turn // 90))
    facts = facts_of(turned)
    assert (facts.height, facts.width) == np.rot90(upright, turn // 90).shape[:2]
    assert next(read(turned, ClipSpec(size=20))).pixels.shape[1] == 20
    assert np.array_equal(frames_at(turned, AS_IT_IS, [0])[0], np.rot90(upright, turn // 90))


@pytest.mark.parametrize("flips", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_film_that_says_how_to_mirror_it_is_mirrored(
    tmp_path: Path, turn: int, flips: tuple[bool, bool]
) -> None:
    picture = numbered(0b10110010)
    upright = next(read(video_of(film(tmp_path / "0.mp4", [picture])), AS_IT_IS)).pixels
    video = video_of(film(tmp_path / "1.mp4", [picture], rotation=turn, flips=flips))
    wanted = np.rot90(upright, turn // 90)[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    assert np.array_equal(next(read(video, AS_IT_IS)).pixels, wanted)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])  # PyAV hides the mirrored ones
def test_photographs_are_shown_as_they_were_held(tmp_path: Path, orientation: int) -> None:
    from PIL import Image, ImageOps

    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(numbered(0b10110010)).save(tmp_path / "0.jpg", exif=exif, quality=95)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "0.jpg")))
    ours = next(read(video_of(tmp_path), AS_IT_IS)).pixels
    assert ours.shape == wanted.shape
    assert np.abs(ours.astype(int) - wanted).mean() < 2


@pytest.mark.parametrize(("turn", "colour_range"), [(0, 1), (0, 2), (90, 1)])
def test_limited_and_full_range_show_the_same_greys(
    tmp_path: Path, turn: int, colour_range: int
) -> None:
    ramp = np.repeat(np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 48, 0), 3, 2)
    video = video_of(
        film(
            tmp_path / "a.mp4",
            [ramp],
            options={"qp": "0"},
            colour_range=colour_range,
            rotation=turn,
        )
    )
    for colour in ("grey", "rgb"):
        pixels = next(read(video, ClipSpec(size=None, colour=colour))).pixels
        assert (
            np.abs(np.rot90(pixels, -turn // 90).astype(int) - ramp[:, :, : pixels.shape[2]]).max()
            <= 2
        )


@pytest.mark.parametrize("matrix", [1, 5], ids=["bt709", "bt601"])
def test_colours_agree_with_pyav(tmp_path: Path, matrix: int) -> None:
    y, x = np.mgrid[:64, :96]
    slope = np.stack([40 + x, 60 + 2 * y, 200 - x - y // 2], -1).astype(
        np.uint8
    )  # smooth: chroma is halved either way
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 96, 64, "yuv420p", {"qp": "1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1
        out.mux(
            stream.encode(
                av.VideoFrame.from_ndarray(slope).reformat(format="yuv420p", dst_colorspace=matrix)
            )
        )
        out.mux(stream.encode(None))
    ours = next(read(video_of(path), AS_IT_IS)).pixels.astype(int)
    with av.open(str(path)) as container:
        theirs = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(ours - theirs).mean() <= 2
    assert np.abs(ours - theirs).max() <= 4  # PyAV rounds down
    assert np.abs(ours - slope).mean() < np.abs(theirs - slope).mean() + 0.1 < 2


def test_real_film_in_grey_at_its_own_size_is_untouched(shared: Path) -> None:
    path = shared / "ucsd" / "UCSDped2" / "Test" / "Test001.mp4"
    ours = read(video_of(path), ClipSpec(size=None, colour="grey"))
    with av.open(str(path)) as container:
        count = 0
        for frame, theirs in zip(ours, container.decode(video=0), strict=True):
            assert np.array_equal(frame.pixels[:, :, 0], theirs.to_ndarray(format="gray"))
            count += 1
    assert count == 180


def test_negative_stamps_before_an_edit_are_cut_off(tmp_path: Path) -> None:
    video = video_of(film(tmp_path / "a.mp4", 40, options=B_FRAMES, stamps=lambda k: k - 10))
    frames = list(read(video, AS_IT_IS, lost := []))
    assert [number_of(frame.pixels) for frame in frames] == list(range(10, 40))
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[0].seconds == 0
    assert len(times_of(video)) == 30
    same(frames_at(video, AS_IT_IS, [0, 11, 29]), [frames[0], frames[11], frames[29]])
    assert lost == []


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        pytest.param([-0.4, -0.36, -0.32], [0, 0.04, 0.08], id="negative"),
        pytest.param([None, None, None], [0, 0.04, 0.08], id="missing"),
        pytest.param([5, None, 5.08], [0, 0.04, 0.08], id="one-missing"),
        pytest.param([0, 0.04, 0.04, 0.08], [0, 0.04, 0.06, 0.08], id="repeated"),
        pytest.param([0, 0.04, 0.02, 0.08], [0, 0.04, 0.06, 0.08], id="back"),
        pytest.param([0, 30, 30.04], [0, 30, 30.04], id="a-pause"),
        pytest.param([7, 7.04, 0, 0.04], [0, 0.04, 0.08, 0.12], id="set-back"),
        pytest.param([0, 0.04, 1e7, 1e7 + 0.04], [0, 0.04, 0.08, 0.12], id="leap"),
    ],
)
def test_clocks_of_all_sorts(stamps: list[float | None], seconds: list[float]) -> None:
    clock = StampClock(25)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(seconds)


@pytest.mark.parametrize("name", ["cover.mp4", "sound.mp4", "sound.mkv", "video.mp4", "video.mkv"])
def test_the_first_stream_that_moves_is_read(tmp_path: Path, name: str) -> None:
    video = video_of(with_another_stream(tmp_path / name, name.split(".", maxsplit=1)[0]))
    frames = list(read(video, AS_IT_IS, lost := []))
    assert [number_of(frame.pixels) for frame in frames] == list(range(20))
    assert frames[0].pixels.shape == (48, 64, 3)
    same(frames_at(video, AS_IT_IS, [12]), [frames[12]])
    assert lost == []


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadVideo, match="holds no video stream, only audio"):
        list(read(video_of(sound_only(tmp_path / "a.mp4")), AS_IT_IS))


@pytest.mark.parametrize("ending", ["h264", "ts"])
def test_frames_keep_the_first_size_when_the_stream_changes_its_own(
    tmp_path: Path, ending: str
) -> None:
    kind = {"container": "h264"} if ending == "h264" else {}
    one = film(tmp_path / f"1.{ending}", 20, size=(48, 64), **kind)
    two = film(
        tmp_path / f"2.{ending}", 20, size=(80, 96), start=20, stamps=lambda k: k + 20, **kind
    )
    joined = tmp_path / f"joined.{ending}"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    frames = list(read(video_of(joined), AS_IT_IS))
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert [number_of(frame.pixels) for frame in frames] == list(range(40))
    assert (np.diff([frame.seconds for frame in frames]) > 0).all()
    same(frames_at(video_of(joined), AS_IT_IS, [3, 30]), [frames[3], frames[30]])


def test_a_recording_whose_clock_was_set_back_goes_on(tmp_path: Path) -> None:
    one, two = film(tmp_path / "1.ts", 40), film(tmp_path / "2.ts", 40, start=40)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    frames = list(read(video_of(joined), AS_IT_IS))
    assert [number_of(frame.pixels) for frame in frames] == list(range(80))
    assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(80)])
    assert times_of(video_of(joined)) == pytest.approx([frame.seconds for frame in frames])
    same(frames_at(video_of(joined), AS_IT_IS, [3, 70]), [frames[3], frames[70]])


def test_a_stream_cut_out_of_another_begins_at_its_first_key_frame(tmp_path: Path) -> None:
    data = film(tmp_path / "whole.ts", 40, options=OPEN_GOP).read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[len(data) // 188 // 3 * 188 :])
    video = video_of(tmp_path / "cut.ts")
    frames = list(read(video, AS_IT_IS))
    numbers = [number_of(frame.pixels) for frame in frames]
    assert len(numbers) > 15
    assert numbers == list(range(numbers[0], 40))
    assert frames[0].index == 0
    assert frames[0].seconds == 0
    assert len(times_of(video)) == len(frames)
    for k in (0, 5, 14):
        same(frames_at(video, AS_IT_IS, [k]), [frames[k]])


def test_a_rate_given_by_hand_counts_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 30, options=B_FRAMES, stamps=lambda k: k * k)
    video = Video("a", path, fps=10)
    assert [frame.seconds for frame in read(video, AS_IT_IS)] == pytest.approx(
        [k / 10 for k in range(30)]
    )
    assert times_of(video) == pytest.approx([k / 10 for k in range(30)])
    assert number_of(frames_at(video, AS_IT_IS, [21])[0]) == 21
    assert facts_of(video).fps == 10


@pytest.mark.parametrize(
    ("filmed", "asked", "every"),
    [
        (30, 30, 1),
        (30, 15, 2),
        (25, 12.5, 2),
        (30, 10, 3),
        (24, 25, 1),
        (30, 5, 6),
        (20, 2, 10),
        (30, 2, 15),
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])  # the latter rounds to milliseconds
def test_thinning_takes_every_nth_frame(
    tmp_path: Path, ending: str, filmed: int, asked: float, every: int
) -> None:
    path = film(tmp_path / f"a.{ending}", 60, fps=filmed, codec="mpeg4")
    kept = [frame.index for frame in read(video_of(path), ClipSpec(size=None, fps=asked))]
    assert kept == list(range(0, 60, every))
    assert kept == thinned(times_of(video_of(path)), asked).tolist()


def test_thinning_does_not_depend_on_where_reading_begins(tmp_path: Path) -> None:
    video, spec = (
        video_of(film(tmp_path / "a.mp4", 100, codec="mpeg4", fps=25)),
        ClipSpec(size=None, fps=7),
    )
    kept = [frame.index for frame in read(video, spec)]
    assert np.diff(kept).min() >= 3
    assert np.diff(kept).max() <= 4
    later = [frame.index for frame in read(replace(video, span=(2.0, 3.5)), spec)]
    assert later[1:] == [index for index in kept if 50 < index < 88][-len(later) + 1 :]


def test_sizes_follow_the_spec(tmp_path: Path) -> None:
    video = video_of(film(tmp_path / "a.mp4", 2, size=(72, 128)))
    for size, shape in ((None, (72, 128)), (64, (36, 64)), (500, (72, 128)), ((20, 30), (20, 30))):
        assert next(read(video, ClipSpec(size=size))).pixels.shape == (*shape, 3)
        assert next(read(video, ClipSpec(size=size, colour="grey"))).pixels.shape == (*shape, 1)


def test_facts_come_from_the_header(tmp_path: Path) -> None:
    facts = facts_of(video_of(film(tmp_path / "a.mp4", 30, fps=30, size=(72, 128))))
    assert (facts.width, facts.height, facts.fps, facts.frames, facts.codec) == (
        128,
        72,
        30,
        30,
        "h264",
    )
    assert facts.seconds == pytest.approx(1)
    assert facts_of(video_of(film(tmp_path / "a.h264", 30, container="h264"))).frames is None


def test_no_index_beyond_the_end(tmp_path: Path) -> None:
    video = video_of(film(tmp_path / "a.mp4", 10))
    for beyond in (10, -1):
        with pytest.raises(BadVideo, match=f"no frame {beyond}; it has 10"):
            frames_at(video, AS_IT_IS, [beyond])


def test_a_name_with_signs_that_mean_something_to_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("10:30.mp4", "a%03d.mp4", "100% #1? *.mp4", "-i.mp4", "größe 日.mp4"):
        os.rename(film(tmp_path / "a.mp4", 3), tmp_path / name)
        assert len(list(read(video_of(name), AS_IT_IS))) == 3, name


def test_what_a_file_holds_has_one_name(tmp_path: Path) -> None:
    one, two = film(tmp_path / "a.mp4", 3), film(tmp_path / "b.mp4", 4)
    (tmp_path / "c.mov").write_bytes(one.read_bytes())
    assert content_hash(one) == content_hash(tmp_path / "c.mov") != content_hash(two)
    assert len(content_hash(one)) == 16
    with pytest.raises(BadVideo, match="no such file"):
        content_hash(tmp_path / "missing.mp4")


# ---- folders of pictures


def folder(path: Path, pictures: dict[str, np.ndarray]) -> Path:
    path.mkdir()
    for name, picture in pictures.items():
        assert cv2.imwrite(str(path / name), picture)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "jpg", "JPG", "tiff", "jpeg"])
def test_a_folder_of_pictures_is_a_film(tmp_path: Path, ending: str) -> None:
    shown = {f"img_{k}.{ending}": numbered(k)[:, :, ::-1] for k in (1, 2, 9, 10, 11, 100)}
    path = folder(tmp_path / "v", shown)
    for junk in (".DS_Store", "._img_1.png", "Thumbs.db", "notes.txt"):
        (path / junk).write_bytes(b"junk")
    frames = list(read(video_of(path), AS_IT_IS, lost := []))
    assert [number_of(frame.pixels) for frame in frames] == [1, 2, 9, 10, 11, 100]
    assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(6)])
    same(frames_at(video_of(path), AS_IT_IS, [4, 1]), [frames[4], frames[1]])
    assert facts_of(video_of(path)).frames == 6
    assert lost == []
    if ending in {"png", "tif", "bmp"}:
        assert np.array_equal(frames[0].pixels, numbered(1))
    inside = read(Video("v", path, fps=2, span=(1.0, 2.0)), AS_IT_IS)
    assert [(frame.index, frame.seconds) for frame in inside] == [(2, 1.0), (3, 1.5)]


def test_pictures_of_every_depth(tmp_path: Path) -> None:
    from PIL import Image

    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 16, 0)
    path = tmp_path / "v"
    path.mkdir()
    Image.fromarray(ramp).save(path / "0.png")
    cv2.imwrite(str(path / "1.png"), ramp.astype(np.uint16) * 257)
    cv2.imwrite(str(path / "2.tif"), ramp.astype(np.uint16) * 257)
    Image.fromarray(ramp).convert("RGBA").save(path / "3.png")
    Image.fromarray(np.stack([ramp] * 3, -1)).quantize(256).save(path / "4.png")
    Image.fromarray(ramp).convert("P").save(path / "5.bmp")
    for frame in read(video_of(path), ClipSpec(size=None, colour="grey"), lost := []):
        assert np.abs(frame.pixels[:, :, 0].astype(int) - ramp).max() <= 1, frame.index
    assert lost == []
    black = tmp_path / "w"
    black.mkdir()
    Image.fromarray(ramp > 127).save(black / "0.tif")
    Image.fromarray(ramp > 127).save(black / "1.png")
    for frame in read(video_of(black), ClipSpec(size=None, colour="grey")):
        assert np.array_equal(frame.pixels[:, :, 0], np.where(ramp > 127, 255, 0))


def test_pictures_of_several_sizes_take_the_first_ones(tmp_path: Path) -> None:
    path = folder(tmp_path / "v", {"0.png": numbered(0, 48, 64), "1.png": numbered(1, 96, 80)})
    assert [frame.pixels.shape for frame in read(video_of(path), AS_IT_IS)] == [(48, 64, 3)] * 2
    assert frames_at(video_of(path), AS_IT_IS, [1])[0].shape == (48, 64, 3)


def test_a_neighbour_stands_in_for_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "v", {f"{k}.png": numbered(k) for k in range(8)})
    for bad in (0, 1, 4):
        (path / f"{bad}.png").write_bytes(b"not a picture")
    (path / "5.png").write_bytes(b"")
    frames = list(read(video_of(path), AS_IT_IS, lost := []))
    assert [number_of(frame.pixels) for frame in frames] == [2, 2, 2, 3, 3, 3, 6, 7]
    assert lost == [
        "v: 4 pictures unreadable (the first is 0.png: no picture in it); a neighbour stands in for each"
    ]
    for k in range(8):
        same(frames_at(video_of(path), AS_IT_IS, [k]), [frames[k]])


def test_a_folder_with_nothing_to_see_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "notes.txt").write_text("nothing")
    with pytest.raises(BadVideo, match="folder without pictures"):
        video_of(tmp_path / "v")
    (tmp_path / "v" / "0.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(BadVideo, match="no frame can be read"):
        list(read(video_of(tmp_path / "v"), AS_IT_IS))
    with pytest.raises(BadVideo, match="no such file or folder"):
        video_of(tmp_path / "w")


def test_what_is_kept_of_a_video_bears_all_that_its_pixels_depend_on(tmp_path: Path) -> None:
    """A new field of Video is either in the name, or said here to change no pixel and no time."""
    others: dict[str, Any] = {
        "fps": 5.0,
        "span": (0.0, 1.0),
        "levels": (0.0, 1.0),
        "ignored": IgnoredArea(polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)),
    }
    changes_nothing = {"name", "label", "group", "truth", "kept"}
    video = Video("a", film(tmp_path / "a.mp4", 5))
    for one in fields(Video):
        if one.name not in {"source", *changes_nothing}:
            other = replace(video, **{one.name: others[one.name]})
            assert content_of(other) != content_of(video), one.name
    film(tmp_path / "b.mp4", 5, start=9)
    assert content_of(replace(video, source=tmp_path / "b.mp4")) != content_of(video)
    shutil.copy(video.source, tmp_path / "c.mp4")
    assert content_of(Video("c", tmp_path / "c.mp4", label="x")) == content_of(video)
