"""The table: which keys, what numbers, and a reason for every one that is missing."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oddframe.datasets.annotations import read_truth
from oddframe.errors import BadInput, BadTruth, BadVideo, Leak
from oddframe.evaluation import metric_registry, metrics
from oddframe.evaluation.evaluated_video import EvaluatedVideo, every_frame
from oddframe.evaluation.localization import Localization, find_places
from oddframe.evaluation.protocol import (
    by_kind,
    curves,
    measure,
    refuse_leak,
)
from oddframe.evaluation.video_set import VideoSet
from oddframe.types import Event, Scores, Truth

Array = NDArray[np.float64]

HONEST = {
    *(
        "micro_auc",
        "micro_auc_interval",
        "macro_auc",
        "macro_videos",
        "ap",
        "eer",
        "rbdc",
        "tbdc",
        "pixel_auc",
    ),
    *(
        "event_precision",
        "event_recall",
        "event_f1",
        "event_time_precision",
        "delay_seconds",
        "false_alarms_per_hour",
        "lookahead",
    ),
}


def flags(drawn: str) -> NDArray[np.bool_]:
    return np.array([letter == "#" for letter in drawn])


def film(
    name: str, drawn: str, value: list[float] | None = None, events: str = "", place: bool = True
) -> EvaluatedVideo:
    """Ten frames a second; odd frames hold an object of 2 × 2 in 8 × 8. The scores are perfect unless given, and the
    map is the value at the object's place (or, where there is none, in a far corner).
    """
    odd = flags(drawn)
    scores = np.array(value, float) if value is not None else odd.astype(float)
    mask, map = np.zeros((len(odd), 16, 16), bool), np.zeros((len(odd), 8, 8))
    mask[odd, 4:8, 4:8] = True
    map[odd, 2:4, 2:4] = scores[odd, None, None]
    map[~odd, 7, 7] = scores[~odd]
    n = np.arange(len(odd))
    runs = np.flatnonzero(np.diff(np.pad(flags(events).astype(int), 1))).reshape(-1, 2) / 10
    found = [Event(name, start, end, 9.0, start) for start, end in runs]
    truth = Truth(odd, mask if place else None)
    return EvaluatedVideo(
        name,
        scores,
        scores * 2 + 5,
        truth,
        n / 10,
        found,
        map if place else None,
        n if place else None,
    )


def measured(*videos: EvaluatedVideo, rate: float | None = 0.5) -> dict[str, Any]:
    found = measure(videos, lookahead=3, expected_false_alarms=rate).to_dict()
    told = json.loads(json.dumps(found, allow_nan=False))
    assert told == found, "every number survives JSON"
    return found


def test_the_keys_are_the_documented_ones() -> None:
    found = measured(film("a", "..##.."), film("b", "##.."))
    assert set(found["honest"]) == HONEST
    ways = ("", "_gaussian", "_mean_43", "_mean_3d")
    assert set(found["as_published"]) == {
        f"{m}_auc{way}" for m in ("micro", "macro") for way in ways
    }
    assert found["frames"] == 10
    assert found["honest"]["lookahead"] == 3
    assert found["expected"] == {"false_alarms_per_hour": 0.5}


def test_a_perfect_detector_has_perfect_numbers() -> None:
    found = measured(film("a", "..##..", events="..##.."), film("b", "##..", events="##.."))
    assert found["honest"] == {
        **dict.fromkeys(("micro_auc", "macro_auc", "ap", "rbdc", "tbdc", "pixel_auc"), 1),
        **dict.fromkeys(("event_precision", "event_recall", "event_f1"), 1),
        "event_time_precision": pytest.approx(1),
        "micro_auc_interval": [1, 1],
        "macro_videos": 2,
        "eer": 0,
        "delay_seconds": 0,
        "false_alarms_per_hour": 0,
        "lookahead": 3,
    }
    assert found["as_published"]["micro_auc"] == found["as_published"]["macro_auc"] == 1
    assert found["place"] == {"peak_in_region": 1, "frames": 4}
    assert found["why_null"] == {}


def test_knowing_nothing_is_a_half() -> None:
    found = measured(
        film("a", "..##..", [7] * 6, place=False), film("b", "##..", [7] * 4, place=False)
    )
    assert [found["honest"][key] for key in ("micro_auc", "macro_auc", "eer")] == [0.5, 0.5, 0.5]
    assert found["honest"]["ap"] == pytest.approx(4 / 10), "the share of odd frames"
    assert found["as_published"]["micro_auc"] == 0.5


def test_micro_is_over_frames_and_macro_over_videos_with_both_classes() -> None:
    # a: the odd 3 above 0, 1, 2 → 1. b: the odd 0 below 5 → 0. c is all odd and has no AUC of its own.
    # Pooled: normal 0, 1, 2, 5; odd 3, 0, 4. 3 above three; 0 ties one; 4 above three: 6½ of 12
    videos = film("a", "...#", [0, 1, 2, 3]), film("b", "#.", [0, 5]), film("c", "#", [4])
    found = measured(*videos)
    assert found["honest"]["micro_auc"] == pytest.approx(6.5 / 12)
    assert (found["honest"]["macro_auc"], found["honest"]["macro_videos"]) == (0.5, 2)
    assert found["one_class_videos"] == ["c"]
    assert found["videos"] == {"a": 1, "b": 0, "c": None}


def test_the_published_column_reads_raw_scores_video_by_video() -> None:
    # b's scores are all higher: honest pooling pays for that, per-video min–max does not
    a, b = film("a", ".#", [0, 1]), film("b", ".#", [5, 6])
    found = measured(a, b)
    assert found["honest"]["micro_auc"] == 0.75
    assert found["as_published"]["micro_auc"] == 1
    turned = [replace(video, raw=-video.raw) for video in (a, b)]
    assert measured(*turned)["as_published"]["micro_auc"] == 0
    assert measured(*turned)["honest"] == found["honest"]


def test_events_are_held_against_segments_in_seconds() -> None:
    # segments 0.2–0.5 and 0.8–1.0; events 0.0–0.1 (false) and 0.4–0.6 (0.2 late)
    found = measured(film("a", "..###...##", events="#...##...."))
    honest = found["honest"]
    assert (honest["event_precision"], honest["event_recall"], honest["event_f1"]) == (
        0.5,
        0.5,
        0.5,
    )
    assert honest["delay_seconds"] == pytest.approx(0.2)
    assert honest["event_time_precision"] == pytest.approx(0.1 / 0.3), "0.4 to 0.5 of three tenths"
    assert honest["false_alarms_per_hour"] == pytest.approx(1 / (0.5 / 3600)), "1 in half a second"
    assert (found["events"], found["segments"]) == (2, 2)


@pytest.mark.parametrize(
    ("videos", "missing"),
    [
        (
            [film("a", "..##", place=False)],
            {"rbdc", "tbdc", "pixel_auc", "peak_in_region", "micro_auc_interval"},
        ),
        (
            [film("a", "....")],
            {"micro_auc", "macro_auc", "ap", "eer", "event_recall", "event_f1", "delay_seconds"},
        ),
        (
            [film("a", "####")],
            {"micro_auc", "macro_auc", "ap", "eer", "micro_auc_interval", "pixel_auc"}
            - {"pixel_auc"},
        ),
        ([film("a", "..##"), film("b", "..##", events="#...")], {"delay_seconds"}),
        ([film("a", "...."), film("b", "####")], {"macro_auc"}),
        ([film("a", "..##"), film("b", "..##")], {"event_precision"}),
    ],
    ids=["no-place", "all-normal", "all-odd", "missed", "one-class-each", "silent"],
)
def test_what_is_undefined_is_null_with_a_reason(
    videos: list[EvaluatedVideo], missing: set[str]
) -> None:
    found = measured(*videos)
    numbers = found["honest"] | {"peak_in_region": found["place"]["peak_in_region"]}
    null = {key for key, number in numbers.items() if number is None}
    null |= {
        f"as_published.{key}" for key, number in found["as_published"].items() if number is None
    }
    assert missing <= null
    assert null == set(found["why_null"])
    assert all(reason for reason in found["why_null"].values())


def test_a_map_at_a_lower_rate_stands_until_the_next() -> None:
    video = film("a", "..######..")
    assert video.map is not None
    sparse = replace(video, map=video.map[::2], map_frame=np.arange(0, 10, 2))
    assert measured(sparse)["honest"]["rbdc"] == 1
    # starting at frame 3: before it, the first map stands, and has an object where none is: false in 3 of 10 frames.
    # Level 1: 5 + … all six odd frames found, at 0.3 false (frames 0, 1, and the 8 that map 7 speaks for) a frame
    late = replace(video, map=video.map[[3, 7, 9]], map_frame=np.array([3, 7, 9]))
    places = find_places([late])
    assert places.curve is not None
    assert places.curve.false[1] == pytest.approx(0.3)
    assert places.curve.regions[1] == 1
    assert places.peak_in_region == 1


def test_loose_levels_are_looked_at_as_long_as_false_regions_are_few() -> None:
    # 40 odd frames, each found at a level of its own and nothing false: (0, 1) after 40 levels
    video = film("a", "." + "#" * 40, [0, *range(1, 41)])
    assert measured(video)["honest"]["rbdc"] == 1


def test_maps_may_lie_on_disk(tmp_path: Path) -> None:
    video = film("a", "..##..##.")
    assert video.map is not None
    np.save(tmp_path / "map.npy", video.map.astype(np.float16))
    on_disk = replace(video, map=np.load(tmp_path / "map.npy", mmap_mode="r"))
    assert measured(on_disk) == measured(video)


def test_memory_does_not_grow_with_masks(tmp_path: Path) -> None:
    def peak_of(frames: int) -> tuple[int, Localization]:
        masks = np.zeros((frames, 240, 320), np.uint8)
        masks[frames // 2 :, 60:120, 80:160] = 1
        np.savez_compressed(tmp_path / f"{frames}.masks.npz", masks=masks)
        drawn = "." * (frames // 2) + "#" * (frames - frames // 2)
        video = film(str(frames), drawn)
        del masks
        tracemalloc.start()
        truth = read_truth(tmp_path, str(frames), frames)
        assert truth is not None
        found = find_places([replace(video, truth=truth)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, found

    few, many = peak_of(40), peak_of(400)
    assert many[0] < 1.1 * few[0] + (1 << 20), "400 masks of 75 kB would be 30 MB"
    assert few[1].pixel_auc == many[1].pixel_auc == 1
    assert few[1].peak_in_region == many[1].peak_in_region == 1


def test_stored_masks_measure_as_those_in_memory_do(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    video = film("a", "..##.###", random.random(8).tolist())
    mask = random.random((8, 16, 16)) < 0.05 * video.truth.frame[:, None, None]
    np.savez_compressed(tmp_path / "a.masks.npz", masks=mask)
    (tmp_path / "a.txt").write_text(" ".join(str(int(odd)) for odd in video.truth.frame))
    stored = read_truth(tmp_path, "a", 8)
    assert stored is not None
    one = measured(replace(video, truth=replace(video.truth, mask=mask)))
    other = measured(replace(video, truth=replace(stored, note="")))
    assert one == other


def test_a_normal_video_needs_no_mask_and_counts_with_its_false_regions() -> None:
    normal = film(
        "n", "....", [1, 1, 1, 1]
    )  # a region in the corner of each frame, as high as the object's
    bare = replace(normal, truth=Truth(flags("....")))
    with_mask, without = measured(film("a", "####"), normal), measured(film("a", "####"), bare)
    assert with_mask["honest"] == without["honest"]
    # level 1: everything found, 4 false regions in 8 frames: a line from (0, 0) to (½, 1), then 1: ¼ + ½
    assert without["honest"]["rbdc"] == pytest.approx(0.75)
    assert not any("places are judged" in note for note in without["notes"])


def test_an_odd_video_whose_truth_has_no_place_is_left_out_of_the_places_and_that_is_said() -> None:
    bare = replace(film("b", "####"), truth=Truth(flags("####")))
    found = measured(film("a", "..##"), bare)
    assert found["honest"]["rbdc"] == 1
    assert "places are judged on 1 of 2 videos: the truth of the others has none" in found["notes"]


def test_tracks_stand_before_parts_of_masks() -> None:
    video = film("a", ".##.")
    rows = np.array(
        [[1, 7, 0.25, 0.25, 0.5, 0.5], [2, 7, 0.75, 0.75, 1, 1]]
    )  # the second is elsewhere than the mask
    told = replace(video, truth=replace(video.truth, tracks=rows))
    found = measured(told)
    assert (found["honest"]["rbdc"], found["honest"]["tbdc"]) != (1, 1)
    # level 1: one of two regions found and the other detection false, in 1 of 4 frames, so a line from (0, 0) to
    # (¼, ½), then ½; the track counts with half its regions: to (¼, 1), then 1
    assert found["honest"]["rbdc"] == pytest.approx(1 / 16 + 3 / 8)
    assert found["honest"]["tbdc"] == pytest.approx(1 / 8 + 3 / 4)
    assert found["notes"] == []
    only_tracks = measured(replace(told, truth=replace(told.truth, mask=None)))
    assert only_tracks["why_null"]["pixel_auc"] == "the truth has tracks, but no masks"
    assert only_tracks["place"] == {"peak_in_region": 0.5, "frames": 2}


def test_a_method_with_boxes_is_judged_by_its_boxes() -> None:
    video = film("a", ".##.")
    hit, miss = np.array([[0.25, 0.25, 0.5, 0.5, 3.0]]), np.array([[0.8, 0.8, 0.9, 0.9, 2.0]])
    boxes = (np.zeros((0, 5)), hit, np.concatenate([miss, hit]), miss)
    told = replace(video, boxes=boxes)
    # level 3: both found, nothing false. Level 2: two false regions in 4 frames
    assert measured(told)["honest"]["rbdc"] == 1
    assert find_places([told]).curve is not None
    without_map = measured(replace(told, map=None))
    assert without_map["honest"]["rbdc"] == 1
    assert without_map["why_null"]["pixel_auc"] == "this method gives boxes, but no map"
    silent = replace(told, boxes=tuple(np.zeros((0, 5)) for _ in range(4)))
    assert measured(silent)["honest"]["rbdc"] == 0


def test_each_kind_is_held_against_all_normal_frames() -> None:
    kind = np.array(["", "", "car", "car", "fall", "fall"])
    a = film("a", "..####", [0, 1, 5, 5, 0, 1])
    a = replace(a, truth=replace(a.truth, kind=kind))
    b = film("b", "..", [0, 1])
    # falls 0 and 1 against normal 0, 1, 0, 1: half
    assert by_kind([a, b]) == {
        "car": {"auc": 1, "frames": 2, "stretches": 1, "found": 0},
        "fall": {"auc": 0.5, "frames": 2, "stretches": 1, "found": 0},
    }
    assert by_kind([b]) == {}


def in_parts(
    video: EvaluatedVideo, parts: dict[str, list[float]], raw: dict[str, list[float]]
) -> EvaluatedVideo:
    return replace(
        video,
        parts={name: np.array(values, float) for name, values in parts.items()},
        raw_parts={name: np.array(values, float) for name, values in raw.items()},
    )


def test_each_part_of_a_score_is_measured_like_the_score() -> None:
    odd = "..##"
    told = {"good": [0, 1, 2, 3], "bad": [9, 8, 7, 6], "torn": [0, 2, 1, 3]}
    a = in_parts(film("a", odd), told, {**told, "good": [3, 2, 1, 0]})
    b = in_parts(
        film("b", odd), {name: [v + 10 for v in values] for name, values in told.items()}, told
    )
    parts = measured(a, b)["parts"]
    assert list(parts) == ["good", "bad", "torn"]
    assert [parts[name]["honest"]["macro_auc"] for name in parts] == [1, 0, 0.75]
    # of 16 pairs of an odd and a normal frame the four within each video are ordered as above; b stands ten above a, so
    # that the four of its odd frames with a's normal ones are right, and the four the other way wrong
    assert parts["good"]["honest"]["micro_auc"] == (4 + 4 + 4) / 16
    assert parts["bad"]["honest"]["micro_auc"] == 4 / 16
    assert parts["torn"]["honest"]["micro_auc"] == (3 + 3 + 4) / 16
    published = metrics.as_published(
        [a.truth.frame, b.truth.frame], [a.raw_parts["good"], b.raw_parts["good"]]
    )
    assert tuple(parts["good"]["as_published"].values()) == published
    assert measured(film("a", odd))["parts"] == {}


def test_parts_that_are_known_of_some_videos_only_are_not_measured_and_that_is_said() -> None:
    some = {"good": [0.0, 1]}
    found = measured(in_parts(film("a", ".#"), some, some), film("b", ".#"))
    assert found["parts"] == {}
    assert "the parts of the score were not kept of b: none is measured" in found["notes"]
    with pytest.raises(ValueError, match=r"parts are \['good'\], but unsmoothed \[\]"):
        in_parts(film("a", ".#"), some, {})


def test_a_note_of_the_truth_is_passed_on() -> None:
    video = film("a", "..##")
    told = replace(video, truth=replace(video.truth, note="label cut by one frame"))
    assert "a: label cut by one frame" in measured(told)["notes"]


def test_curves_run_from_corner_to_corner_and_agree_with_the_table() -> None:
    random = np.random.default_rng(0)
    videos = [film(name, "..####.." * 100, list(random.random(800))) for name in "ab"]
    drawn, found = curves([*videos, film("c", "##")]), measured(*videos, film("c", "##"))
    assert json.loads(json.dumps(drawn)) == drawn
    for roc in (drawn["roc"], drawn["roc_videos"]["a"]):
        x, y = roc["false_positive_rate"], roc["true_positive_rate"]
        assert len(x) == len(y) <= 500
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(y, x) == pytest.approx(roc["auc"], abs=2e-3)
    assert drawn["roc"]["auc"] == found["honest"]["micro_auc"]
    assert drawn["roc_videos"]["c"] is None
    detection = drawn["detection"]
    assert np.trapezoid(detection["regions"], detection["false_per_frame"]) == pytest.approx(
        found["honest"]["rbdc"]
    )
    assert np.trapezoid(detection["tracks"], detection["false_per_frame"]) == pytest.approx(
        found["honest"]["tbdc"]
    )
    assert len(detection["false_per_frame"]) <= 500
    assert curves([film("a", "..##", place=False)])["detection"] is None


def test_every_frame_takes_the_last_score_before_it() -> None:
    scores = Scores("v", np.array([2, 4, 5]), np.array([0.2, 0.4, 0.5]), np.array([7.0, 8, 9]))
    assert every_frame(scores, 8).tolist() == [7, 7, 7, 7, 8, 9, 9, 9]


def test_scores_of_later_frames_do_not_change_those_before() -> None:
    frame, value = np.arange(3, 60, 5), np.random.default_rng(0).random(12)
    whole = every_frame(Scores("v", frame, frame / 10, value), 60)
    for cut in range(1, 12):
        part = every_frame(Scores("v", frame[:cut], frame[:cut] / 10, value[:cut]), int(frame[cut]))
        assert np.array_equal(whole[: len(part)], part)


def test_a_video_without_a_score_is_refused() -> None:
    nothing = np.zeros(0)
    with pytest.raises(BadVideo, match="short: its 7 frames are fewer than one clip"):
        every_frame(Scores("short", nothing.astype(int), nothing, nothing), 7)


def test_truth_of_another_length_is_refused_with_both_counts() -> None:
    with pytest.raises(BadTruth, match=r"a: 4 frames were scored, but its truth is of 5"):
        replace(film("a", "..##"), truth=Truth(flags("..###")))


def test_scores_that_are_not_numbers_are_refused() -> None:
    video, bad = film("a", "..##"), np.array([0, np.nan, 1, 1])
    with pytest.raises(BadInput, match="a: some scores are not numbers"):
        replace(video, value=bad)
    with pytest.raises(BadInput, match="a: some scores are not numbers"):
        replace(video, raw=bad)


def test_maps_that_are_not_numbers_are_refused() -> None:
    video = film("a", "..##")
    assert video.map is not None
    video.map[0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="a: some values of its maps are not numbers"):
        find_places([video])


def test_a_track_beyond_the_video_is_refused() -> None:
    video = film("a", "..##")
    with pytest.raises(BadTruth, match="a: a track is at frame 4, but the video has 4 frames"):
        replace(video, truth=replace(video.truth, tracks=np.array([[4, 0, 0, 0, 1, 1.0]])))


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(BadInput, match="no video"):
        measure([], lookahead=0)


def test_a_leak_names_the_videos() -> None:
    refuse_leak({"1": "a", "2": "b"}, {"3": "c"})
    refuse_leak({}, {})
    with pytest.raises(
        Leak, match=r"^1 of 2 test videos were also learned from: b \(fitted as a\); fit without"
    ):
        refuse_leak({"1": "a"}, {"1": "b", "2": "c"})
    many = {str(n): f"v{n}" for n in range(9)}
    with pytest.raises(Leak, match=r"^9 of 9 .*: v0, v1, v2, v3, v4 and 4 more;"):
        refuse_leak(many, many)


def test_ped2_has_the_known_counts(shared: Path) -> None:
    """1,648 of 2,010 frames are odd; four videos are wholly odd. Maps made of the masks find nearly everything."""
    masks = np.load(shared / "ucsd" / "UCSDped2" / "Test" / "pixel_masks.npz")
    videos = []
    for name in masks.files:
        mask = masks[name] > 0
        map = mask.reshape(len(mask), 30, 8, 45, 8).mean((2, 4), dtype=np.float32)
        n, value = np.arange(len(mask)), map.max((1, 2))
        videos.append(
            EvaluatedVideo(name, value, value, Truth(mask.any((1, 2)), mask), n / 10, [], map, n)
        )
    found = measured(*videos)
    assert (found["frames"], found["place"]["frames"], found["honest"]["macro_videos"]) == (
        2010,
        1648,
        8,
    )
    assert [name[4:7] for name in found["one_class_videos"]] == ["008", "009", "010", "011"]
    assert found["honest"]["rbdc"] > 0.97
    assert found["honest"]["pixel_auc"] > 0.99
    assert found["place"]["peak_in_region"] == 1


def test_frames_are_ranked_by_what_has_no_ceiling() -> None:
    """Rarities end at 12, where odd and normal frames tie; the smoothed scores that they come from do not."""
    tied = film("a", "..##", [1, 12, 12, 12])
    ranked = replace(tied, frame_rank=np.array([1.0, 20, 30, 40]))
    assert measured(tied)["honest"]["micro_auc"] == 0.75
    found = measured(ranked)
    assert (found["honest"]["micro_auc"], found["honest"]["macro_auc"]) == (1, 1)
    assert found["honest"]["eer"] == 0
    assert found["videos"] == {"a": 1}
    drawn = curves([ranked])
    assert drawn["roc"]["auc"] == drawn["roc_videos"]["a"]["auc"] == 1
    kind = np.array(["", "", "car", "car"])
    assert by_kind([replace(ranked, truth=replace(ranked.truth, kind=kind))])["car"]["auc"] == 1


def test_an_event_over_a_whole_film_is_not_as_right_as_it_is_long() -> None:
    videos = [film(name, "......#...", events="##########") for name in "ab"]
    found = measured(*videos)
    assert found["honest"]["event_precision"] == 1
    assert found["honest"]["event_time_precision"] == pytest.approx(0.1)
    assert any("one event covers all of a, b" in note for note in found["notes"])
    odd = [film(name, "..########", events="##########") for name in "ab"]
    assert not any("covers" in note for note in measured(*odd)["notes"]), "mostly odd, mostly right"


def test_what_is_expected_stands_apart_from_what_is_measured() -> None:
    found = measured(film("a", "....##....", events="#........#"), rate=57.6)
    assert found["expected"] == {"false_alarms_per_hour": 57.6}
    assert found["honest"]["false_alarms_per_hour"] == pytest.approx(2 / (0.8 / 3600))
    silent = measured(film("a", "....##...."), rate=57.6)
    assert silent["honest"]["false_alarms_per_hour"] == 0
    assert measured(film("a", "####"))["why_null"]["false_alarms_per_hour"] == (
        "no test frame is normal"
    )


def test_a_metric_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_registry, "METRICS", [])

    @metric_registry.metric("share of odd frames", lambda _test: "never")
    def share_of_odd(test: VideoSet) -> float:
        """How much of the test is odd."""
        return float(test.anomalous.mean())

    (one,) = metric_registry.METRICS
    assert (one.key, one.title, one.column) == ("share_of_odd", "share of odd frames", "honest")
    assert one.meaning == "how much of the test is odd"
    assert one.compute(VideoSet([film("a", "..##")])) == 0.5


def test_every_metric_says_what_it_means() -> None:
    assert all(one.title and one.meaning for one in metric_registry.METRICS)
    paths = [one.path for one in metric_registry.METRICS]
    assert len(set(paths)) == len(paths)
