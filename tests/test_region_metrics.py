"""Regions, tracks, and RBDC and TBDC on drawn examples whose answers are derived in the comments."""

import numpy as np
import pytest
from numpy.typing import NDArray

from oddframe.evaluation.metrics import levels_of
from oddframe.evaluation.region_metrics import (
    RegionSweep,
    area,
    boxes_at,
    parts_at,
    tracks_of_masks,
)
from oddframe.scoring.components import connected_components, place_of_peak, regions_of_mask
from oddframe.video.boxes import overlap

Array = NDArray[np.float64]


def drawn(*rows: str) -> Array:
    return np.array([[0 if cell == "." else int(cell) for cell in row] for row in rows], float)


def test_regions_are_joined_across_corners_and_keep_their_highest_value() -> None:
    map = drawn("2.....", ".3...9", "......", "1.....")
    expected = [[0, 0, 2 / 6, 2 / 4, 3], [5 / 6, 1 / 4, 1, 2 / 4, 9]]
    assert connected_components(map, 2) == pytest.approx(np.array(expected))
    assert regions_of_mask(map >= 2) == pytest.approx(np.array(expected)[:, :4])
    assert connected_components(map, 10).shape == (0, 5)
    assert regions_of_mask(map > 10).shape == (0, 4)


def test_masks_of_any_kind_of_number_have_the_same_regions() -> None:
    mask = drawn(".1.", ".1.", "...")
    for kind in (bool, np.uint8, np.int64, np.float32):
        assert regions_of_mask((mask * 255).astype(kind)).tolist() == [[1 / 3, 0, 2 / 3, 2 / 3]]


def test_the_place_of_a_peak_reaches_down_to_the_threshold() -> None:
    map = drawn("......", ".345..", "..2..8", "......")
    assert place_of_peak(map, 7) == (5 / 6, 2 / 4, 1, 3 / 4), "the 8 alone"
    assert place_of_peak(map[:, :5], 3) == (1 / 5, 1 / 4, 4 / 5, 2 / 4)
    assert place_of_peak(map[:, :5], 2) == (1 / 5, 1 / 4, 4 / 5, 3 / 4)


def test_a_peak_below_the_threshold_has_a_place_halfway_down() -> None:
    map = drawn("......", ".345..", "..2..8", "......")
    # median 0, peak 8: down to 4
    assert place_of_peak(map, 100) == (5 / 6, 2 / 4, 1, 3 / 4)
    assert place_of_peak(np.zeros((2, 2)), 1) == (0, 0, 1, 1), "a map without a peak is one region"


def test_overlap_is_intersection_over_union() -> None:
    these = np.array([[0, 0, 0.5, 0.5], [0, 0, 0, 0]])
    those = np.array([[0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5], [0.6, 0.6, 1, 1]])
    # half of each is shared: 1/2 of one over 3/2 of one; a box without area overlaps nothing
    assert overlap(these, those) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))


def rows_of(*pictures: Array) -> list[tuple[int, int]]:
    return [(int(row[0]), int(row[1])) for row in tracks_of_masks(np.stack(pictures) > 0)]


def test_a_part_that_overlaps_the_one_before_is_the_same_track() -> None:
    moving = [drawn("11..."), drawn(".11.."), drawn("..11.")]
    assert rows_of(*moving) == [(0, 0), (1, 0), (2, 0)]


def test_a_part_that_overlaps_nothing_before_is_a_new_track() -> None:
    assert rows_of(drawn("11..."), drawn("...11")) == [(0, 0), (1, 1)]
    assert rows_of(drawn("11..."), drawn("....."), drawn("11...")) == [(0, 0), (2, 1)], (
        "an empty frame ends it"
    )


def test_when_two_parts_meet_the_larger_share_keeps_its_name() -> None:
    apart, together = drawn("111.11"), drawn("111111")
    assert rows_of(apart, together) == [(0, 0), (0, 1), (1, 0)]
    assert rows_of(apart, together, apart) == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 2)]


def test_tracks_of_empty_masks() -> None:
    assert tracks_of_masks(np.zeros((3, 4, 4), bool)).shape == (0, 6)
    assert tracks_of_masks(np.zeros((0, 4, 4), bool)).shape == (0, 6)


# RBDC and TBDC. Pictures are 8 × 8; objects are 2 × 2 cells, so a region of the whole picture overlaps one by
# 4 / 64 = 0.06, less than 0.1, and is false.
N = 10
A, B, C = np.s_[0:2, 0:2], np.s_[4:6, 0:2], np.s_[0:2, 5:7]


def scene(*objects: tuple[slice, slice]) -> Array:
    """A film in which these stand still."""
    film = np.zeros((N, 8, 8))
    for place in objects:
        film[:, place[0], place[1]] = 1
    return film


def judged(maps: Array, masks: Array) -> tuple[float, float]:
    """RBDC and TBDC at every level that the maps have."""
    spans = np.stack([np.arange(len(maps)), np.arange(len(maps)) + 1], axis=1)
    levels = levels_of(maps.ravel(), maps.max((1, 2)))
    sweep = RegionSweep(levels)
    sweep.add(parts_at(maps, spans, levels), tracks_of_masks(masks > 0), len(maps))
    curve = sweep.curve()
    return area(curve.false, curve.regions), area(curve.false, curve.tracks)


def test_a_perfect_detector_has_one() -> None:
    # level 1: everything found, nothing false: (0, 1). Level 0: the whole picture is one false region: (1, 1)
    assert judged(scene(A, B), scene(A, B)) == (1, 1)


def test_only_false_regions_have_zero() -> None:
    # level 1: (1, 0), one false region in every frame; level 0: the whole picture is false as well
    assert judged(scene(C), scene(A)) == (0, 0)


def test_a_map_that_says_nothing_has_zero() -> None:
    # one level, at which the whole picture is one false region in every frame
    assert judged(np.zeros((N, 8, 8)), scene(A)) == (0, 0)


def test_one_of_two_tracks_is_a_half() -> None:
    # level 1: (0, 1/2). Nothing else is ever found, so the line goes on to (1, 1/2)
    assert judged(scene(A), scene(A, B)) == (0.5, 0.5)


def test_the_second_track_for_half_a_false_region_a_frame() -> None:
    # A stands at level 2, B at level 1 together with C, which is false, in every other frame:
    # (0, 0) (0, 1/2) (1/2, 1) (1, 1), so 1/2 · (1/2 + 1) / 2 + 1/2 = 0.875
    maps = 2 * scene(A) + scene(B)
    maps[::2, *C] = 1
    assert judged(maps, scene(A, B)) == (0.875, 0.875)


def test_what_costs_more_than_one_false_region_a_frame_does_not_count() -> None:
    # level 1 finds A, at two false regions in every frame: the only point that counts is (0, 0)
    maps = scene(A, C)
    maps[:, 7, 7] = 1
    assert judged(maps, scene(A)) == (0, 0)


def test_a_looser_level_does_not_win_back_what_a_stricter_one_cost() -> None:
    # Level 2 is four specks in every frame, each 1/16 of the object: all false. At level 1 they flow together to the
    # whole object, and nothing is false. Whoever lowers the threshold has passed four false regions a frame: zero.
    maps = scene(np.s_[0:4, 0:4])
    assert judged(maps, scene(np.s_[0:4, 0:4])) == (1, 1)
    maps[:, :4:2, :4:2] = 2
    assert judged(maps, scene(np.s_[0:4, 0:4])) == (0, 0)


def test_overlap_of_a_tenth_is_enough_and_less_is_not() -> None:
    # one cell of a true region of 2 × 5 is 1/10: found. Of one of 2 × 6 it is 1/12: false in every frame, so (1, 0);
    # level 0, the whole picture, does find it (12/64), but only at that price: a vertical line without area
    one = np.zeros((N, 8, 8))
    one[:, 0, 0] = 1
    assert judged(one, scene(np.s_[0:2, 0:5])) == (1, 1)
    assert judged(one, scene(np.s_[0:2, 0:6])) == (0, 0)


def test_a_track_counts_from_a_tenth_of_its_regions() -> None:
    # 20 frames; found in 2: RBDC 0.1, and the track counts. In 1: RBDC 0.05, and it does not.
    masks = np.concatenate([scene(A), scene(A)])
    maps = np.zeros_like(masks)
    maps[:2] = masks[:2]
    assert judged(maps, masks) == pytest.approx((0.1, 1))
    maps[1] = 0
    assert judged(maps, masks) == pytest.approx((0.05, 0))


def test_pieces_of_one_object_are_neither_twice_found_nor_false() -> None:
    maps = np.zeros((N, 8, 8))
    maps[:, 0, 0] = maps[:, 2, 2] = 1
    assert judged(maps, scene(np.s_[0:3, 0:3])) == (1, 1)  # each 1/9 of it


def test_a_map_that_stands_for_several_frames_is_judged_on_each() -> None:
    # one map for frames 0–3, in two of which the object is there: found twice, false twice
    masks = np.zeros((4, 8, 8))
    masks[:2, *A] = 1
    levels = np.array([1.0])
    sweep = RegionSweep(levels)
    sweep.add(parts_at(scene(A)[:1], np.array([[0, 4]]), levels), tracks_of_masks(masks > 0), 4)
    assert (sweep.false.tolist(), sweep.regions_found.tolist(), sweep.regions, sweep.frames) == (
        [2],
        [2],
        2,
        4,
    )


def test_levels_in_parts_and_videos_one_by_one_give_the_same_curve() -> None:
    random = np.random.default_rng(0)
    maps, masks = random.integers(0, 6, (2, 12, 8, 8)), random.random((2, 12, 8, 8)) > 0.9
    levels, spans = np.arange(5.0, -1, -1), np.stack([np.arange(12), np.arange(12) + 1], axis=1)

    def sweep(levels: Array) -> RegionSweep:
        fresh = RegionSweep(levels)
        for film, mask in zip(maps, masks, strict=True):
            fresh.add(parts_at(film, spans, levels), tracks_of_masks(mask), 12)
        return fresh

    whole, parts = (
        sweep(levels),
        RegionSweep(levels[:0]).joined(sweep(levels[:2])).joined(sweep(levels[2:])),
    )
    for name in ("false", "regions_found", "tracks_found", "frames", "regions", "tracks", "levels"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.false.sum() > 0


def one_by_one(boxes: list[Array], truth: Array, frames: int) -> tuple[float, float]:
    """The definition read aloud: boxes of all frames in falling order, one more at each step."""
    order = sorted(
        ((box[4], frame, box[:4]) for frame, these in enumerate(boxes) for box in these),
        key=lambda b: -b[0],
    )
    seen, false, points = set(), 0, [(0.0, 0.0, 0.0)]
    sizes = {track: (truth[:, 1] == track).sum() for track in truth[:, 1]}
    for _, frame, box in order:
        met = {
            row
            for row in range(len(truth))
            if truth[row, 0] == frame and overlap(box[None], truth[row : row + 1, 2:])[0, 0] >= 0.1
        }
        seen |= met
        false += not met
        hits = {track: sum(truth[row, 1] == track for row in seen) for track in sizes}
        rate = np.mean([hits[track] / sizes[track] >= 0.1 for track in sizes])
        points.append((false / frames, len(seen) / len(truth), float(rate)))
    kept = [point for point in points if point[0] <= 1]
    x, region, track = np.array([*kept, (1.0, *kept[-1][1:])]).T
    return float(np.trapezoid(region, x)), float(np.trapezoid(track, x))


@pytest.mark.parametrize("seed", range(8))
def test_boxes_agree_with_the_definition_read_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)

    def some(n: int) -> Array:
        corner, size = random.random((n, 2)) * 0.8, random.random((n, 2)) * 0.3 + 0.05
        return np.column_stack([corner, corner + size])

    frames = 15
    boxes = [np.column_stack([some(n), random.random(n)]) for n in random.integers(0, 6, frames)]
    truth = np.concatenate(
        [
            np.column_stack([np.full(3, f), np.arange(3) + 3 * (f // 8), some(3)])
            for f in range(frames)
        ]
    )
    values = np.concatenate([these[:, 4] for these in boxes])
    levels = levels_of(values, values)
    sweep = RegionSweep(levels)
    sweep.add(
        boxes_at(boxes, np.stack([np.arange(frames), np.arange(frames) + 1], 1), levels),
        truth,
        frames,
    )
    curve = sweep.curve()
    expected = one_by_one(boxes, truth, frames)
    assert (area(curve.false, curve.regions), area(curve.false, curve.tracks)) == pytest.approx(
        expected
    )
    assert 0 < expected[0] < 1


def test_a_video_without_true_regions_adds_frames_and_false_regions() -> None:
    levels = np.array([1.0])
    sweep = RegionSweep(levels)
    spans = np.stack([np.arange(N), np.arange(N) + 1], axis=1)
    sweep.add(parts_at(scene(A), spans, levels), np.zeros((0, 6)), N)
    assert (sweep.frames, sweep.false.tolist(), sweep.regions, sweep.tracks) == (N, [N], 0, 0)
