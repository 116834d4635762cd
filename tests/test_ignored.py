"""Ignored areas: nothing that moves there raises anything, in any method, from a file and from a stream."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from films import film
from oddframe import BadInput, evaluate, fit, info, load, score
from oddframe.cli.completion import words_by_command
from oddframe.cli.main import main
from oddframe.evaluation.ignored_truth import NOTE_OF_PLACES, outside_ignored
from oddframe.methods.jigsaw.boxes import outside_ignored as boxes_outside_ignored
from oddframe.scoring.pipeline import concatenate
from oddframe.scoring.run_folder import outside_of
from oddframe.types import Bytes, ClipSpec, IgnoredArea, Scores, Truth, Video
from oddframe.video.ignored import (
    GREY,
    boxes_inside,
    cells_inside,
    joined,
    share_of,
    touched_pixels,
    with_ignored,
)
from oddframe.video.ignored_files import area_of_facts, area_to_facts, read_area
from oddframe.video.levels import learn_levels
from oddframe.video.reader import content_of, read, read_frames, video_of
from oddframe.video.scene_check import change_of_view, sample_scene
from oddframe.visualization.overlay import overlay_pictures
from oddframe.visualization.timeline import Timeline
from scenes import Block, scene, walkers
from test_changed_run import sign

Refused = Callable[..., str]
TOP = "0,0 1,0 1,0.3 0,0.3"  # the upper 36 of 120 rows, in which nobody walks
QUICK = ("constant", "frame-difference", "flowgrid")
OPTIONS: dict[str, dict[str, Any]] = {"flowgrid": {"bank": 50}, "frame-difference": {"size": 160}}
LATE = [Block(0, 5, 6.0, (18, 18), start=20, bright=250)]  # rushes along the top


def pictures(folder: Path, frames: Bytes) -> Path:
    """A folder of pictures without loss."""
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{k:04d}.png"), frame)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normal recordings, and two of one hour: the second has something that rushes along the top."""
    root = tmp_path_factory.mktemp("place")
    for seed in range(3):
        pictures(root / "train" / f"day{seed}", scene(walkers(seed), 100, seed=seed))
    pictures(root / "calm", scene(walkers(7), 60, seed=7))
    pictures(root / "rush", scene(walkers(7) + LATE, 60, seed=7))
    return root


@pytest.fixture(scope="module")
def runs(place: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each quick method that ignores the top."""
    out = tmp_path_factory.mktemp("runs")
    found = {}
    for method in QUICK:
        made = fit(
            method,
            place / "train",
            out=out / method,
            ignore=TOP,
            frame_rate=10.0,
            options=OPTIONS.get(method, {}),
        )
        found[method] = made.folder
    return found


# ── what every method promises ──


@pytest.mark.parametrize("method", QUICK)
def test_what_moves_in_an_ignored_area_raises_nothing(
    runs: dict[str, Path], place: Path, method: str
) -> None:
    run = load(runs[method])
    calm, rush = (run.score(place / name) for name in ("calm", "rush"))
    np.testing.assert_array_equal(rush.value, calm.value)
    assert run.events(rush) == [replace(event, video="rush") for event in run.events(calm)]
    if rush.map is not None and calm.map is not None:
        h, w = rush.map.shape[1:]
        inside = cells_inside(run.ignored, (h, w))  # type: ignore[arg-type]
        assert inside.any()
        assert not rush.map[:, inside].any()
        np.testing.assert_array_equal(rush.map, calm.map)
        assert rush.map.any()


@pytest.mark.parametrize("method", ["frame-difference", "flowgrid"])
def test_the_same_thing_is_seen_where_nothing_is_ignored(
    place: Path, tmp_path: Path, method: str
) -> None:
    run = fit(
        method, place / "train", out=tmp_path / "run", frame_rate=10.0, options=OPTIONS[method]
    )
    assert run.ignored is None
    calm, rush = (run.score(place / name) for name in ("calm", "rush"))
    assert rush.value.max() > calm.value.max()
    # and what the run does not ignore, one scoring may
    area = read_area(TOP)
    quiet = run.score(with_ignored(video_of(place / "rush"), area))
    np.testing.assert_array_equal(
        quiet.value, run.score(with_ignored(video_of(place / "calm"), area)).value
    )


@pytest.mark.parametrize("method", QUICK)
def test_a_stream_ignores_what_the_run_does(
    runs: dict[str, Path], place: Path, method: str
) -> None:
    run = load(runs[method])
    expected = run.score(place / "rush")
    stream = run.stream("rush")
    parts = []
    for frame in read(video_of(place / "rush", fps=10.0), ClipSpec(size=None)):
        parts.append(stream.push(frame.pixels, frame.seconds))
    parts.append(stream.finish())
    told = concatenate([part for part in parts if part is not None])
    np.testing.assert_allclose(told.value, expected.value, rtol=1e-6)
    if told.map is not None and expected.map is not None:
        np.testing.assert_allclose(told.map, expected.map, rtol=1e-4, atol=1e-5)


# ── pixels ──


def test_pixels_are_one_grey_inside_and_as_they_were_outside(place: Path) -> None:
    plain = video_of(place / "rush")
    covered = with_ignored(plain, read_area(TOP))
    for size in (None, 80, (30, 40)):
        for colour in ("rgb", "grey"):
            spec = ClipSpec(size=size, colour=colour)  # type: ignore[arg-type]
            before, after = (next(read(video, spec)).pixels for video in (plain, covered))
            height = len(before)
            edge = round(0.3 * height)
            assert (after[:edge] == GREY).all()
            np.testing.assert_array_equal(after[edge + 2 :], before[edge + 2 :])
            assert read_frames(covered, spec, [0])[0].tobytes() == after.tobytes()


def test_a_region_of_interest_is_the_rest() -> None:
    below = read_area(None, "0,0.3 1,0.3 1,1 0,1")
    above = read_area(TOP)
    assert below is not None
    assert above is not None
    assert share_of(below) == pytest.approx(0.3, abs=0.002)
    size = (120, 160)
    assert (touched_pixels(below, size) != touched_pixels(above, size)).mean() < 0.02
    both = joined(above, read_area(None, "0,0 0.5,0 0.5,1 0,1"))
    assert share_of(both) == pytest.approx(0.3 + 0.7 * 0.5, abs=0.005)
    assert joined(above, above) == above
    # pixels that the edge runs through are ignored
    thin = read_area("0.5,0 0.501,0 0.501,1 0.5,1")
    assert thin is not None
    assert touched_pixels(thin, (10, 10)).any()


def test_boxes_go_by_their_centre_and_maps_by_cells() -> None:
    area = read_area("0,0 0.5,0 0.5,1 0,1")
    assert area is not None
    boxes = np.array([[0.0, 0, 0.9, 1, 5.0], [0.6, 0, 0.8, 1, 4.0], [0.1, 0, 1.0, 1, 3.0]])
    assert boxes_inside(area, boxes).tolist() == [True, False, False]
    scores = Scores(
        "v", np.arange(2), np.arange(2.0), np.ones(2), np.full((2, 3, 4), 2.0), (boxes, boxes[:1])
    )
    left = outside_of(scores, area)
    assert left.map is not None
    assert left.boxes is not None
    assert left.map[0].tolist() == [[0, 0, 2, 2]] * 3
    assert [these[:, 4].tolist() for these in left.boxes] == [[4.0, 3.0], []]


def test_boxes_of_a_file_in_an_ignored_area_are_no_things() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (3, 20, 30, 3), np.uint8)
    clip[:, :10] = GREY
    boxes = np.array([[2, 2, 8, 8], [2, 12, 8, 18], [2, 4, 8, 18]], np.float32)
    assert boxes_outside_ignored(boxes, clip).tolist() == boxes[1:].tolist()


def test_everything_that_is_kept_of_a_video_says_what_is_ignored(place: Path) -> None:
    plain = video_of(place / "calm")
    other = with_ignored(plain, read_area(TOP))
    more = with_ignored(other, read_area("0,0.9 1,0.9 1,1 0,1"))
    assert len({content_of(plain), content_of(other), content_of(more)}) == 3


# ── as people give it ──


def test_text_file_and_picture_say_the_same(tmp_path: Path) -> None:
    corners = [[0, 0], [1, 0], [1, 0.3], [0, 0.3], [0, 0]]
    (tmp_path / "a.json").write_text(json.dumps([corners]))
    (tmp_path / "b.json").write_text(json.dumps({"polygons": [corners]}))
    mask = np.zeros((2400, 3200), np.uint8)  # larger than the picture
    mask[:720] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(255 - mask).save(tmp_path / "rest.png")
    text = read_area(TOP)
    assert read_area(tmp_path / "a.json") == text == read_area(str(tmp_path / "b.json"))
    assert text is not None
    for area in (read_area(tmp_path / "mask.png"), read_area(None, tmp_path / "rest.png")):
        assert area is not None
        assert max(area.bitmaps[0].height, area.bitmaps[0].width) <= 1024
        differ = touched_pixels(area, (120, 160)) != touched_pixels(text, (120, 160))
        assert differ.mean() < 0.02
        assert area_of_facts(json.loads(json.dumps(area_to_facts(area)))) == area
    assert area_of_facts(json.loads(json.dumps(area_to_facts(text)))) == text
    assert area_of_facts(None) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("0,0 1,0", "polygon 1 has 2 corners; one that is closed has 3 or more"),
        ("0,0 1,0 0,0", "has 2 corners"),
        ("0,0 0.5,0.5 1,1", "encloses nothing"),
        ("0,0 2,0 1,1", "fractions of the picture from 0 to 1, got 2,0"),
        ("0,0 nan,0 1,1", "from 0 to 1, got nan,0"),
        ("0,0 1 1,1", "a corner is x,y, got '1'"),
        ("0,0 a,b 1,1", "a corner is two numbers"),
        ("0,0 1,0 1,1;;0,0 1,0 1,1", "polygon 2 has 0 corners"),
        ("nowhere.png", "there is no file 'nowhere.png'"),
        ("0,0 1,0 1,1 0,1", "the whole picture is ignored"),
        ("{folder}/text.png", "is not a picture that can be read"),
        ("{folder}/empty.png", "is not a picture that can be read"),
        ("{folder}/black.png", "has no white pixel"),
        ("{folder}/vast.png", "is not a picture that can be read"),
        ("{folder}/huge.json", "a corner is two numbers"),
        ("{folder}/white.png", "the whole picture is ignored"),
        ("{folder}/text.json", "is not JSON with a list of polygons"),
        ("{folder}/number.json", "is not a list of polygons"),
        ("{folder}/numbers.json", "polygon 1 is no list of corners"),
        ("{folder}/none.json", "polygons are taken, got 0"),
        ("{folder}/deep.json", "is not JSON"),
        ("{folder}", "there is no file"),
    ],
)
def test_what_is_no_area_is_one_line(
    refused: Refused, place: Path, tmp_path: Path, given: str, says: str
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "black.png")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
    vast = (tmp_path / "black.png").read_bytes()
    sides = (60_000).to_bytes(4, "big")
    (tmp_path / "vast.png").write_bytes(vast[:16] + 2 * sides + vast[24:])
    (tmp_path / "huge.json").write_text(f"[[[0, 0], [1, 0], [1, 1{'0' * 400}]]]")
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "number.json").write_text("3")
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    words = ["fit", "constant", place / "train", "--out", tmp_path / "run"]
    line = refused(2, *words, "--ignore", given.format(folder=tmp_path))
    assert says in line
    assert not (tmp_path / "run").exists()


def test_a_region_outside_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the whole picture is ignored"):
        read_area("0,0 0.6,0 0.6,1 0,1", "0,0 0.5,0 0.5,1 0,1")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
    with pytest.raises(BadInput, match="white all over, so it ignores nothing"):
        read_area(None, tmp_path / "white.png")


# ── runs ──


def test_a_run_keeps_its_area_and_says_so(runs: dict[str, Path]) -> None:
    run = load(runs["flowgrid"])
    assert run.ignored == read_area(TOP)
    told = info(runs["flowgrid"]).to_dict()["ignored"]
    assert told["share"] == pytest.approx(0.3, abs=0.002)
    assert "bits" not in json.dumps(told)


def test_a_mask_picture_is_kept_with_the_run(place: Path, tmp_path: Path) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[:18] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    made = fit(
        "frame-difference",
        place / "train",
        out=tmp_path / "run",
        ignore=tmp_path / "mask.png",
        frame_rate=10.0,
        options={"size": 160},
    )
    (tmp_path / "mask.png").unlink()
    run = load(made.folder)
    assert run.ignored == made.ignored
    calm, rush = (run.score(place / name) for name in ("calm", "rush"))
    np.testing.assert_array_equal(rush.value, calm.value)


BITMAP = {"height": 2, "width": 8, "bits": "eJxjYAAAAAIAAQ=="}


@pytest.mark.parametrize(
    "ignored",
    [
        3,
        {},
        {"polygons": 3, "regions": [], "bitmaps": []},
        {"polygons": [[[0, 0], [1, 1]]], "regions": [], "bitmaps": []},
        {"polygons": [[[0, 0], [1, 0], [1, 7]]], "regions": [], "bitmaps": []},
        {"polygons": [], "regions": [3], "bitmaps": []},
        {"polygons": [], "regions": [[]], "bitmaps": []},
        {"polygons": [], "regions": [], "bitmaps": [3]},
        {"polygons": [], "regions": [], "bitmaps": [BITMAP | {"height": 1 << 40}]},
        {"polygons": [], "regions": [], "bitmaps": [BITMAP | {"width": True}]},
        {"polygons": [], "regions": [], "bitmaps": [BITMAP | {"bits": "%"}]},
        {"polygons": [], "regions": [], "bitmaps": [BITMAP | {"bits": "AAAA"}]},
        {"polygons": [], "regions": [], "bitmaps": [BITMAP | {"width": 80}]},
        {"polygons": [[[0, 0], [1, 0], [1, 1], [0, 1]]], "regions": [], "bitmaps": []},
    ],
)
def test_a_damaged_area_is_refused(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, ignored: object
) -> None:
    run = Path(shutil.copytree(runs["constant"], tmp_path / "run"))
    facts = json.loads((run / "run.json").read_text())
    sign(run, facts | {"ignored": ignored})
    assert "run.json is damaged" in refused(5, "info", run)


def test_score_may_ignore_more_and_keeps_that_apart(
    runs: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    words = ["score", str(runs["frame-difference"]), str(place / "rush"), "--out", str(tmp_path)]
    words += ["--no-overlay", "--no-clips", "--quiet"]
    values = []
    for more in ([], ["--ignore", "0,0.5 1,0.5 1,1 0,1"], ["--region", "0,0 1,0 1,0.5 0,0.5"], []):
        assert main([*words, *more]) == 0
        with np.load(tmp_path / "rush.npz") as held:
            values.append(held["score"])
            heat = held["map"]
        half = heat.shape[1] // 2
        assert heat[:, half + 1 :].any() == (not more)
    assert not np.array_equal(values[0], values[1])
    np.testing.assert_allclose(values[1], values[2], rtol=0.1)  # but for the row of the edge
    np.testing.assert_array_equal(values[0], values[3])


def test_score_refuses_what_leaves_nothing(
    refused: Refused, runs: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    words = ["score", runs["constant"], place / "calm", "--out", tmp_path / "out"]
    assert "the whole picture is ignored" in refused(2, *words, "--region", TOP)


def test_the_area_is_hatched_and_what_it_shows_stays_visible(
    runs: dict[str, Path], place: Path
) -> None:
    run = load(runs["frame-difference"])
    video = run.as_learned(video_of(place / "rush", fps=10.0))
    line = Timeline(video, run.score(video), [], 99.0)
    plain = replace(line, video=replace(video, ignored=None))
    hatched, bare = ([p for _, p in overlay_pictures(one, width=160)] for one in (line, plain))
    top, bottom = slice(0, 30), slice(40, 120)
    for drawn, picture in zip(hatched[30:32], bare[30:32], strict=True):
        assert drawn[top].mean() < 0.8 * picture[top].mean()
        assert drawn[top].std() > 5
        np.testing.assert_array_equal(drawn[bottom], picture[bottom])


def test_report_and_score_files_tell(runs: dict[str, Path], place: Path, tmp_path: Path) -> None:
    more = "0,0.7 1,0.7 1,1 0,1"
    for ignore, share in ((None, "30.1%"), (more, "60.2%")):
        found = score(
            runs["flowgrid"], [place / "rush"], out=tmp_path, overlay=False, ignore=ignore
        )
        assert f"{share} of the picture" in found.report.read_text()


def test_commands_have_the_options() -> None:
    words = words_by_command()
    for command in ("fit", "score"):
        assert {"--ignore", "--region"} <= set(words[command])


# ── what else looks at pixels ──


def test_grey_levels_are_not_learned_from_what_is_ignored(tmp_path: Path) -> None:
    frames = [np.full((40, 60), 7000, np.uint16) + np.arange(60, dtype=np.uint16) for _ in range(4)]
    hot = []
    for frame in frames:
        burning = frame.copy()
        burning[:10, :20] = 30_000
        hot.append(burning)
    for name, these in (("plain", frames), ("hot", hot)):
        (tmp_path / name).mkdir()
        for k, frame in enumerate(these):
            Image.fromarray(frame).save(tmp_path / name / f"{k}.tif")
    area = read_area("0,0 0.5,0 0.5,0.4 0,0.4")
    plain = with_ignored(video_of(tmp_path / "plain"), area)
    assert learn_levels([with_ignored(video_of(tmp_path / "hot"), area)]) == learn_levels([plain])


def test_an_ignored_area_hides_no_camera_that_moved(tmp_path: Path) -> None:
    wide = scene([], 12, size=(120, 220))
    for name, left in (("here", 0), ("there", 24)):
        pictures(tmp_path / name, wide[:, :, left : left + 160])
    area = read_area("0.3,0.3 0.9,0.3 0.9,0.8 0.3,0.8")
    here, there = (with_ignored(video_of(tmp_path / name), area) for name in ("here", "there"))
    view = sample_scene(here).background
    assert change_of_view(view, here) is None
    assert "the camera points elsewhere" in (change_of_view(view, there) or "")
    # a view that was learned whole, and a video of which less is looked at
    whole = sample_scene(video_of(tmp_path / "here")).background
    assert change_of_view(whole, here) is None


def test_truth_is_cut_and_a_note_says_so() -> None:
    mask = np.zeros((3, 12, 16), bool)
    mask[1, :6, :4] = True
    tracks = np.array([[1, 0, 0.0, 0, 0.2, 0.2], [1, 1, 0.0, 0.5, 0.2, 1.0]])
    truth = Truth(np.array([False, True, False]), mask, tracks, note="cut by one frame")
    area = read_area(TOP)
    assert area is not None
    cut = outside_ignored(truth, area)
    assert cut.mask is not None
    assert cut.tracks is not None
    kept = np.asarray(cut.mask)
    assert not kept[1, :3].any()
    assert kept[1, 4:6, :4].all()
    assert cut.tracks[:, 1].tolist() == [1]
    assert cut.frame.tolist() == [False, True, False]
    assert cut.note == f"cut by one frame; {NOTE_OF_PLACES}"
    assert outside_ignored(truth, None) is truth
    assert "wherever" in outside_ignored(Truth(truth.frame), area).note


def test_evaluate_looks_past_the_area(street: Path, tmp_path: Path) -> None:
    run = fit(
        "frame-difference", "simulated", root=street, out=tmp_path / "run", ignore=TOP,
        options={"size": 80},
    )  # fmt: skip
    found = evaluate(run.folder, "simulated", root=street, out=tmp_path / "out", report=False)
    assert any(NOTE_OF_PLACES in note for note in found.notes)


def test_a_turned_film_is_ignored_as_it_is_shown(tmp_path: Path) -> None:
    video = Video("v", film(tmp_path / "v.mp4", 3, rotation=90))
    area = IgnoredArea(polygons=(((0, 0), (1, 0), (1, 0.5), (0, 0.5)),))
    pixels = next(read(with_ignored(video, area), ClipSpec(size=None))).pixels
    assert pixels.shape == (64, 48, 3)
    assert (pixels[:32] == GREY).all()
    assert not (pixels[40:] == GREY).all()
