"""Pictures of what was found: films as long as their source, thumbnails, cuts and plots that show something."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from oddframe.errors import BadInput, BadVideo
from oddframe.scoring.calibration import Threshold, calibrate
from oddframe.types import Bools, Bytes, ClipSpec, Event, Scores, Truth, Video
from oddframe.video.reader import facts_of, read
from oddframe.video.writer import video_writer
from oddframe.visualization.overlay import RIBBON, heat, overlay, overlay_pictures, places
from oddframe.visualization.palette import ODD
from oddframe.visualization.plots import (
    Curve,
    cost,
    roc_curves,
    shown_interval,
    write_calibration_png,
    write_detection_png,
    write_roc_png,
    write_timeline_png,
)
from oddframe.visualization.thumbnails import (
    save_picture,
    thumbnail,
    write_event_clip,
    write_event_pictures,
)
from oddframe.visualization.timeline import Timeline, odds, plain, rareness, thin

FPS = 10.0
FilmOf = Callable[..., Video]


@pytest.fixture
def film_of(tmp_path: Path) -> FilmOf:
    """Writes a film in which frame k is grey k·4, and returns it as a Video."""

    def make(frames: int = 50, size: tuple[int, int] = (48, 64), name: str = "film") -> Video:
        path = tmp_path / f"{name}.mp4"
        with video_writer(path, FPS, size, crf=10) as writer:
            for k in range(frames):
                writer.write(np.full((*size, 3), k * 4 % 256, np.uint8))
        return Video(name, path)

    return make


def timeline_of(
    video: Video, frames: int, *, map: bool = True, event: bool = True, hop: int = 1
) -> Timeline:
    """Rarity 1, and 4 in the upper left quarter during frames 20 to 29, over a threshold of 2."""
    frame = np.arange(0, frames, hop)
    odd = (frame >= 20) & (frame < 30)
    where = np.full((len(frame), 8, 8), 0.2, np.float32)
    where[odd, :4, :4] = 4
    events = [Event(video.name, 2.0, 3.0, 4.0, 2.5, box=(0.0, 0.0, 0.5, 0.5))] if event else []
    scores = Scores(
        video.name, frame, frame / FPS, np.where(odd, 4.0, 1.0), map=where if map else None
    )
    truth = np.arange(frames)
    return Timeline(video, scores, events, 2.0, Truth((truth >= 20) & (truth < 32)))


def pictures_in(path: Path) -> tuple[list[Bytes], av.VideoStream]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [
            np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
            for picture in container.decode(stream)
        ]
        return frames, stream


def picture_in(path: Path) -> Bytes:
    """(H, W, 3) RGB."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.uint8)


def is_near(colour: Bytes, wanted: tuple[int, int, int], within: int = 60) -> Bools:
    return np.asarray((np.abs(colour.astype(int) - wanted) < within).all(axis=-1), np.bool_)


def test_an_overlay_is_as_long_as_its_source_and_plays_in_browsers(
    tmp_path: Path, film_of: FilmOf
) -> None:
    path = tmp_path / "overlay.mp4"
    assert overlay(path, timeline_of(film_of(50), 50), width=128) == 50
    pictures, stream = pictures_in(path)
    assert len(pictures) == 50
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), (
        "a browser would have to fetch it all before it plays"
    )


def test_an_overlay_keeps_the_times_of_its_source(tmp_path: Path) -> None:
    source, times = tmp_path / "uneven.mp4", [0.0, 0.1, 0.2, 1.0, 1.1, 2.0]
    with video_writer(source, FPS, (32, 32)) as writer:
        for seconds in times:
            writer.write(np.zeros((32, 32, 3), np.uint8), seconds)
    video = Video("uneven", source)
    overlay(tmp_path / "overlay.mp4", timeline_of(video, 6))
    drawn = [
        frame.seconds for frame in read(Video("", tmp_path / "overlay.mp4"), ClipSpec(length=1))
    ]
    assert drawn == pytest.approx(times, abs=0.01)


def test_an_overlay_shows_when_and_where(film_of: FilmOf) -> None:
    pictures = [picture for _, picture in overlay_pictures(timeline_of(film_of(50), 50), width=320)]
    calm, odd = pictures[10], pictures[25]
    assert calm.shape == odd.shape == (240 + RIBBON, 320, 3)
    assert np.ptp(calm[:240].astype(int), axis=(0, 1)).max() <= 2, (
        "nothing is drawn on a normal frame"
    )
    assert is_near(odd[[0, 239], 5:-5], ODD).all(), "a red rim while an event lasts"
    quarter, rest = odd[20:100, 20:140], odd[140:220, 180:300]
    assert (quarter[..., 0].astype(int) - quarter[..., 2]).mean() > 50, "heat where the map is high"
    assert np.ptp(rest.astype(int), axis=(0, 1)).max() <= 2, "and none where it is not"
    assert is_near(odd[116:124, 20:140], ODD, 30).any(0).mean() > 0.9, "the box's lower side"


def test_the_ribbon_runs_along(film_of: FilmOf) -> None:
    ribbons = [
        picture[-RIBBON:]
        for _, picture in overlay_pictures(timeline_of(film_of(50), 50), width=320)
    ]
    cursors = [
        int((strip[18:60] > 240).all(-1).sum(0).argmax())
        for strip in (ribbons[5], ribbons[25], ribbons[45])
    ]
    assert cursors[0] < cursors[1] < cursors[2]
    assert is_near(ribbons[-1][20:40, 128:190], ODD, 40).any(), (
        "rarity over the threshold stands out"
    )
    assert (ribbons[0][25:50, 140:180].mean()) < ribbons[-1][25:50, 140:180].mean(), (
        "what is to come is dim"
    )


@pytest.mark.parametrize("cells", [(12, 20), (7, 9), (48, 72)])
def test_heat_follows_a_moving_thing_to_the_cell(cells: tuple[int, int], film_of: FilmOf) -> None:
    """One hot cell wanders over the picture: the hottest pixels are in it, the box is around it."""
    h, w = cells
    frame, where = np.arange(30), np.zeros((30, h, w), np.float32)
    row, column = frame * (h - 1) // 29, frame * (w - 1) // 29
    where[frame, row, column] = 6.0
    video = film_of(30, size=(90, 150))
    timeline = Timeline(
        video, Scores("film", frame, frame / FPS, np.full(30, 6.0), map=where), [], 3.0
    )
    for k, (_, picture) in enumerate(overlay_pictures(timeline, width=600)):
        warm = picture[:360, :, 0].astype(int) - picture[:360, :, 2]  # (360, 600)
        inside = warm[
            row[k] * 360 // h : (row[k] + 1) * 360 // h,
            column[k] * 600 // w : (column[k] + 1) * 600 // w,
        ]
        assert inside.max() == warm.max()
        ys, xs = np.nonzero(is_near(picture[:360], ODD, 25))  # the box's sides
        middle = (ys.min() + ys.max()) / 2, (xs.min() + xs.max()) / 2
        assert middle == pytest.approx(
            ((row[k] + 0.5) * 360 / h, (column[k] + 0.5) * 600 / w), abs=8
        )


def test_a_map_is_held_until_the_next_one(film_of: FilmOf) -> None:
    pictures = [
        picture for _, picture in overlay_pictures(timeline_of(film_of(50), 50, hop=5), width=320)
    ]
    for k in range(20, 30):
        assert pictures[k][20:100, 20:140].std() > 5, f"frame {k} shows no heat"


@pytest.mark.parametrize(("map", "event"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("size", [(17, 33), (33, 17), (16, 16)])
def test_odd_sizes_without_map_or_event(
    tmp_path: Path, film_of: FilmOf, size: tuple[int, int], map: bool, event: bool
) -> None:
    timeline = timeline_of(film_of(4, size), 4, map=map, event=event)
    assert overlay(tmp_path / "overlay.mp4", timeline, width=64) == 4
    assert len(pictures_in(tmp_path / "overlay.mp4")[0]) == 4


def test_a_single_frame(tmp_path: Path, film_of: FilmOf) -> None:
    video = film_of(1)
    timeline = replace(
        timeline_of(video, 1), events=[Event("film", 0.0, 0.1, 4.0, 0.0, box=(0.2, 0.2, 0.4, 0.4))]
    )
    assert overlay(tmp_path / "overlay.mp4", timeline) == 1
    (event,) = write_event_pictures(tmp_path, timeline)
    assert event.picture is not None
    assert picture_in(event.picture).shape[1] == 240
    write_timeline_png(tmp_path / "t.png", timeline)
    assert plot_of(tmp_path / "t.png").shape[1] > 1000


def test_a_video_too_short_for_one_clip_has_a_picture_all_the_same(
    tmp_path: Path, film_of: FilmOf
) -> None:
    nothing = Scores("film", np.zeros(0, int), np.zeros(0), np.zeros(0))
    timeline = Timeline(film_of(3), nothing, [], 2.0)
    assert overlay(tmp_path / "overlay.mp4", timeline) == 3
    write_timeline_png(tmp_path / "t.png", timeline)
    assert timeline.length == 0


def test_scores_that_are_no_numbers_are_drawn_as_usual(film_of: FilmOf) -> None:
    timeline = timeline_of(film_of(30), 30)
    value, where = timeline.scores.value.copy(), np.array(timeline.scores.map)
    value[3], value[5], where[4], where[25, 0, 0] = np.nan, np.inf, np.nan, np.inf
    broken = replace(timeline, scores=replace(timeline.scores, value=value, map=where))
    pictures = [picture for _, picture in overlay_pictures(broken, width=320)]
    assert np.ptp(pictures[4][:240].astype(int)) <= 2
    assert pictures[25][20:100, 20:140].std() > 5


def test_a_span_of_a_video_is_drawn_alone(film_of: FilmOf) -> None:
    video = replace(film_of(50), span=(2.0, 4.0))
    frame = np.arange(20, 40)
    timeline = Timeline(video, Scores("film", frame, frame / FPS, np.ones(20)), [], 2.0)
    assert [round(seconds, 2) for seconds, _ in overlay_pictures(timeline)] == [
        round(k / FPS, 2) for k in range(20, 40)
    ]
    assert [timeline.start, timeline.end] == pytest.approx([2.0, 4.0])


def test_nothing_to_read_is_said(tmp_path: Path, film_of: FilmOf) -> None:
    timeline = timeline_of(film_of(5), 5)
    with pytest.raises(BadVideo, match="no frame"):
        overlay(
            tmp_path / "o.mp4", replace(timeline, video=replace(timeline.video, span=(90.0, 95.0)))
        )
    with pytest.raises(BadVideo, match="no such file"):
        overlay(tmp_path / "o.mp4", replace(timeline, video=Video("x", tmp_path / "x.mp4")))
    assert not (tmp_path / "o.mp4").exists()


def test_boxes_of_a_method_come_before_those_of_its_map() -> None:
    boxes = (np.array([[0.1, 0.1, 0.2, 0.2, 3.0], [0.5, 0.5, 0.6, 0.6, 1.0]]),)
    scores = Scores(
        "v",
        np.array([0]),
        np.array([0.0]),
        np.array([3.0]),
        map=np.full((1, 4, 4), 9.0),
        boxes=boxes,
    )
    assert places(scores, 0, 2.0) == [(0.1, 0.1, 0.2, 0.2)]
    assert places(replace(scores, boxes=None), 0, 2.0) == [(0.0, 0.0, 1.0, 1.0)]
    assert places(replace(scores, boxes=None, map=None), 0, 2.0) == []


def test_heat_begins_at_half_the_threshold() -> None:
    picture = np.full((40, 40, 3), 100, np.uint8)
    heat(picture, np.full((4, 4), 0.99), 2.0)
    assert (picture == 100).all()
    heat(picture, np.full((4, 4), 2.0), 2.0)
    assert (picture != 100).any(-1).all()


def test_a_thumbnail_is_the_peak_with_its_box(tmp_path: Path, film_of: FilmOf) -> None:
    timeline = timeline_of(film_of(50), 50)
    thumbnail(tmp_path / "t.png", timeline, timeline.events[0], width=64)
    picture = picture_in(tmp_path / "t.png")
    assert picture.shape == (180, 240, 3)
    assert abs(int(picture[170, 230].mean()) - 25 * 4) <= 4, "frame 25 is at the peak"
    assert is_near(picture[10:80, 119 - 4 : 119 + 4], ODD, 25).any(axis=1).all(), (
        "the box's right side"
    )


def test_a_cut_has_what_came_before_and_after(tmp_path: Path, film_of: FilmOf) -> None:
    video = film_of(60)
    write_event_clip(
        tmp_path / "cut.mp4", video, Event("film", 2.0, 3.0, 4.0, 2.5), before=1.0, after=1.5
    )
    pictures, _ = pictures_in(tmp_path / "cut.mp4")
    assert len(pictures) == 35
    assert facts_of(Video("", tmp_path / "cut.mp4")).seconds == pytest.approx(3.5, abs=0.11)
    assert abs(int(pictures[0].mean()) - 40) <= 4, "begins with frame 10"
    write_event_clip(
        tmp_path / "edge.mp4", video, Event("film", 0.5, 5.8, 4.0, 2.5), before=2.0, after=2.0
    )
    assert len(pictures_in(tmp_path / "edge.mp4")[0]) == 60
    with pytest.raises(BadInput, match="no frame between"):
        write_event_clip(tmp_path / "late.mp4", video, Event("film", 50.0, 51.0, 4.0, 50.5))


def test_illustrated_events_have_files_that_exist(tmp_path: Path, film_of: FilmOf) -> None:
    timeline = timeline_of(replace(film_of(50), name="a/b <c>"), 50)
    (event,) = write_event_pictures(tmp_path / "events", timeline, before=0.5, after=0.5)
    assert event.picture is not None
    assert event.clip is not None
    assert event.picture.parent == event.clip.parent == tmp_path / "events"
    assert len(pictures_in(event.clip)[0]) == 20
    assert replace(event, picture=None, clip=None) == timeline.events[0]


def test_cuts_can_be_left_out(tmp_path: Path, film_of: FilmOf) -> None:
    (event,) = write_event_pictures(tmp_path / "events", timeline_of(film_of(50), 50), clips=False)
    assert (event.picture is not None, event.clip) == (True, None)
    assert [path.suffix for path in (tmp_path / "events").iterdir()] == [".jpg"]


def test_a_thumbnail_of_a_damaged_video_is_found_by_reading(
    tmp_path: Path, film_of: FilmOf
) -> None:
    timeline = timeline_of(film_of(12), 50)  # scored, it was whole
    thumbnail(tmp_path / "t.jpg", timeline, timeline.events[0])
    assert abs(int(picture_in(tmp_path / "t.jpg")[-5:, -5:].mean()) - 44) <= 4, "its last frame"


def test_a_picture_needs_an_ending_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\.jpg or \.png"):
        save_picture(tmp_path / "picture.xyz", np.zeros((4, 4, 3), np.uint8))


def plot_of(path: Path) -> Bytes:
    picture = picture_in(path)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20, "an empty sheet"
    return picture


def test_the_timeline_plot_shows_rarity_events_and_truth(tmp_path: Path, film_of: FilmOf) -> None:
    timeline = timeline_of(film_of(50), 50)
    write_timeline_png(tmp_path / "with.png", timeline)
    write_timeline_png(tmp_path / "without.png", replace(timeline, events=[], truth=None))
    whole, bare = plot_of(tmp_path / "with.png"), plot_of(tmp_path / "without.png")
    truth = (31, 145, 128)
    assert is_near(whole, truth, 12).sum() > 500
    assert is_near(bare, truth, 12).sum() == 0
    pink = is_near(whole, (249, 229, 225), 8).sum()
    assert pink > 10_000
    assert is_near(bare, (249, 229, 225), 8).sum() < pink / 100


def test_an_hour_with_a_dollar_sign_is_plotted(tmp_path: Path) -> None:
    frame = np.arange(90_000)
    scores = Scores("x", frame, frame / 25, np.abs(np.sin(frame / 500)))
    write_timeline_png(
        tmp_path / "hour.png", Timeline(Video("$x_{$", tmp_path), scores, [], np.inf)
    )
    plot_of(tmp_path / "hour.png")


def test_curves_are_plotted(tmp_path: Path) -> None:
    one = {
        "false_positive_rate": [0.0, 0.2, 1.0],
        "true_positive_rate": [0.0, 0.9, 1.0],
        "auc": 0.85,
    }
    curves = roc_curves({"roc": one, "roc_videos": {"a": one, "b": None}})
    assert [(curve.name, curve.pooled) for curve in curves] == [("all frames", True), ("a", False)]
    write_roc_png(tmp_path / "roc.png", curves)
    line = np.linspace(0, 1, 50_000)
    write_detection_png(tmp_path / "detection.png", [Curve("RBDC", line, line**0.5, 0.667)])
    for name in ("roc.png", "detection.png"):
        assert is_near(plot_of(tmp_path / name), (59, 110, 168), 12).sum() > 500


def test_what_a_threshold_costs_is_plotted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    normal = [
        Scores(str(k), np.arange(3000), np.arange(3000) / 25, random.exponential(size=3000))
        for k in range(3)
    ]
    calibration = calibrate(normal, "leave one video out")
    threshold = calibration.threshold(1.0)
    write_calibration_png(tmp_path / "calibration.png", calibration, threshold)
    assert is_near(plot_of(tmp_path / "calibration.png"), ODD, 12).sum() > 50
    level, per_hour = cost(calibration, threshold)
    assert level[0] <= threshold.rarity <= level[-1]
    assert (np.diff(per_hour) <= 1e-9).all()


def test_thinning_loses_no_peak() -> None:
    value = np.random.default_rng(0).random(100_003)
    value[54_321] = 9
    seconds, kept = thin(np.arange(len(value)) / 25, value, 4000)
    assert len(kept) == 4000
    assert kept.max() == 9
    assert seconds[kept.argmax()] == pytest.approx(54_321 / 25)
    assert (np.diff(seconds) > 0).all()


def test_truth_is_put_on_the_scores_clock(tmp_path: Path) -> None:
    scores = Scores("v", np.array([10, 20, 30]), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    truth = Truth(np.isin(np.arange(50), [0, 1, 25, 48, 49]))
    spans = Timeline(Video("v", tmp_path), scores, [], 1.0, truth).odd_seconds()
    assert np.allclose(spans, [(0.0, 0.2), (2.5, 2.6), (4.8, 5.0)])


@pytest.mark.parametrize(
    ("rarity", "words"),
    [
        (0.0, "most"),
        (np.nan, "most"),
        (1.0, "1 in 10"),
        (2.0, "1 in 100"),
        (1.99999, "1 in 100"),
        (9.0, "1 in a billion"),
    ],
)
def test_rarity_in_words(rarity: float, words: str) -> None:
    assert odds(rarity) == words


@pytest.mark.parametrize(
    ("peak", "threshold", "highest"),
    [
        (0.3, 0.5, 1.0),
        (4.0, 2.0, 4.0),
        (12.0, 2.0, 6.0),
        (12.0, 5.0, 7.0),
        (3.0, 9.0, 9.0),
        (12.0, np.inf, 6.0),
    ],
)
def test_what_is_as_good_as_never_does_not_squash_the_rest(
    peak: float, threshold: float, highest: float
) -> None:
    scores = Scores("film", np.arange(3), np.arange(3) / FPS, np.array([0.1, peak, 0.2]))
    assert Timeline(Video("film", Path("film.mp4")), scores, [], threshold).highest == highest


@pytest.mark.parametrize(
    ("rarity", "seen", "words"),
    [
        (0.1, 1000, "like most normal frames"),
        (np.nan, None, "like most normal frames"),
        (3.0, 1000, "1 in 1,000 normal frames"),
        (3.1, 1000, "rarer than all 1,000 normal frames"),
        (np.inf, 1000, "rarer than all 1,000 normal frames"),
        (8.0, None, "1 in 100 million normal frames"),
    ],
)
def test_words_claim_no_more_than_was_seen(rarity: float, seen: int | None, words: str) -> None:
    assert rareness(rarity, seen) == words


def test_the_interval_is_drawn_on_an_axis_that_ends() -> None:
    threshold = Threshold(4.0, 1.0, 0.9, (0.0, 6.0), counted=False, supported=90.0, note="")
    assert shown_interval(threshold) == (0.01, 6.0)


def test_plain_rarities_can_be_drawn() -> None:
    assert plain(np.array([np.nan, 2.0, np.inf, -np.inf])).tolist() == [0.0, 2.0, 3.0, 0.0]
    assert np.isfinite(plain(np.array([np.nan, np.inf]))).all()
