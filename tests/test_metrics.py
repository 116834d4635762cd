"""Numbers against hand-computed cases and against scikit-learn."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oddframe.evaluation import metrics

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@st.composite
def frames(draw: st.DrawFn) -> tuple[Flags, Array]:
    """Frames of both classes, with many ties."""
    odd = draw(
        st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda flags: len(set(flags)) == 2)
    )
    score = draw(st.lists(st.integers(-4, 4), min_size=len(odd), max_size=len(odd)))
    return np.array(odd), np.array(score) / 3


def flags(drawn: str) -> Flags:
    return np.array([letter == "#" for letter in drawn])


@pytest.mark.parametrize(
    ("odd", "score", "expected", "why"),
    [
        ("..##", [0, 1, 2, 3], 1.0, "every odd frame is above every normal one"),
        ("##..", [0, 1, 2, 3], 0.0, "the other way round"),
        ("..##", [5, 5, 5, 5], 0.5, "knowing nothing"),
        (".#.#", [0, 1, 2, 3], 0.75, "three of four pairs are in order"),
        (".#.#", [0, 1, 1, 3], 0.875, "the third is a tie and counts half"),
    ],
)
def test_auc_of_small_cases(odd: str, score: list[float], expected: float, why: str) -> None:
    assert metrics.auc(flags(odd), np.array(score, float)) == expected, why


@given(frames())
def test_auc_ap_and_roc_agree_with_scikit_learn(case: tuple[Flags, Array]) -> None:
    odd, score = case
    assert metrics.auc(odd, score) == pytest.approx(roc_auc_score(odd, score))
    assert metrics.average_precision(odd, score) == pytest.approx(
        average_precision_score(odd, score)
    )
    x, y, _ = roc_curve(odd, score, drop_intermediate=False)
    assert np.column_stack(metrics.roc(odd, score)) == pytest.approx(np.column_stack([x, y]))


@given(frames())
def test_eer_is_where_both_errors_are_equal_on_scikit_learns_curve(
    case: tuple[Flags, Array],
) -> None:
    x, y, _ = roc_curve(*case)
    eer = metrics.equal_error_rate(*case)
    assert eer is not None
    # the line false positives = misses meets the ROC in one point; walk along the curve to find it
    t = np.linspace(0, len(x) - 1, 20001)
    xs, ys = np.interp(t, np.arange(len(x)), x), np.interp(t, np.arange(len(x)), y)
    assert eer == pytest.approx(xs[np.abs(xs - (1 - ys)).argmin()], abs=2e-3)


def test_eer_by_hand() -> None:
    assert metrics.equal_error_rate(flags("..##"), np.arange(4.0)) == 0
    assert metrics.equal_error_rate(flags("##.."), np.arange(4.0)) == 1
    assert metrics.equal_error_rate(flags("..##"), np.zeros(4)) == 0.5
    # above 2: one of two odd, none of two normal. Above 1.5: one and one of two: misses 1/2 = false positives 1/2
    assert metrics.equal_error_rate(flags(".#.#"), np.array([0, 1, 2, 3.0])) == 0.5


def test_one_class_has_no_auc() -> None:
    for odd in ("...", "###"):
        assert metrics.auc(flags(odd), np.arange(3.0)) is None
        assert metrics.equal_error_rate(flags(odd), np.arange(3.0)) is None
    assert metrics.average_precision(flags("..."), np.arange(3.0)) is None


def test_the_interval_is_the_spread_of_the_auc_over_drawn_videos() -> None:
    random = np.random.default_rng(3)
    odd = [random.random(40) < share for share in (0.1, 0.3, 0.5, 0.9, 0.0, 1.0)]
    score = [np.round(random.normal(size=40) + each * random.random() * 3, 1) for each in odd]
    low, high = metrics.interval(odd, score, seed=1) or (0, 0)
    redrawn: list[float] = []
    while len(redrawn) < 2000:  # the definition, slowly, by scikit-learn
        drawn = random.integers(0, 6, 6)
        truth = np.concatenate([odd[v] for v in drawn])
        if truth.any() and not truth.all():
            redrawn.append(float(roc_auc_score(truth, np.concatenate([score[v] for v in drawn]))))
    assert (low, high) == pytest.approx(np.percentile(redrawn, [2.5, 97.5]), abs=0.015)
    assert low < (metrics.auc(np.concatenate(odd), np.concatenate(score)) or 0) < high


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    odd, score = [flags(".#.#..#"), flags("..#.##.")], [np.arange(7.0), np.arange(7.0)[::-1]]
    assert metrics.interval(odd, score, seed=5) == metrics.interval(odd, score, seed=5)


def test_the_interval_needs_two_videos_and_two_classes() -> None:
    assert metrics.interval([flags(".#")], [np.arange(2.0)]) is None
    assert metrics.interval([flags(".."), flags("..")], [np.arange(2.0)] * 2) is None
    # one video all normal, one all odd: half the draws have one class and are drawn again; the rest are perfect
    assert metrics.interval([flags(".."), flags("##")], [np.zeros(2), np.ones(2)]) == [1, 1]


def test_as_published_stretches_every_video_by_itself() -> None:
    odd, raw = [flags(".#"), flags(".#")], [np.array([0.0, 1.0]), np.array([10.0, 20.0])]
    # by the raw scores the normal 10 is above the odd 1: three of four pairs; stretched both videos are 0, 1
    assert metrics.auc(np.concatenate(odd), np.concatenate(raw)) == 0.75
    assert metrics.as_published(odd, raw) == (1.0, 1.0)


def test_as_published_pads_one_class_videos_instead_of_leaving_them_out() -> None:
    # All odd: 0, ½, 1 and a fake odd 1, against a fake normal 0: a tie and three above, (½ + 3) / 4 = 0.875.
    # Mixed: normal 0, 1 and a fake 0; odd ½ and a fake 1. ½ is above two of three, 1 above two and ties with one:
    # (2 + 2½) / 6 = 0.75
    odd, raw = [flags("###"), flags("..#")], [np.array([2, 3, 4.0]), np.array([0, 2, 1.0])]
    assert metrics.as_published(odd, raw)[1] == pytest.approx((0.875 + 0.75) / 2)


def test_as_published_of_a_constant_is_a_half() -> None:
    micro, _ = metrics.as_published(
        [flags(".#."), flags("##.")], [np.full(3, 7.0), np.full(3, -2.0)]
    )
    assert micro == 0.5


def test_centred_smoothing_is_off_unless_asked_for() -> None:
    odd, raw = [flags("...##...")], [np.array([0, 0, 0, 9, 0, 0, 9.0, 0])]
    assert metrics.as_published(odd, raw) == metrics.as_published(odd, raw, 0)
    assert metrics.as_published(odd, raw) != metrics.as_published(odd, raw, 1.0)


def match(
    events: Sequence[tuple[float, float]], segments: Sequence[tuple[float, float]]
) -> metrics.Match:
    return metrics.match_events(np.array(events, float), np.array(segments, float))


@pytest.mark.parametrize(
    ("events", "segments", "right", "delay", "why"),
    [
        ([], [(1, 2)], [], [None], "nothing was noticed"),
        ([(1, 2)], [], [False], [], "nothing was there"),
        ([(1.5, 3)], [(1, 2)], [True], [0.5], "noticed half a second late"),
        ([(0, 1.5)], [(1, 2)], [True], [0], "an alarm that runs into a segment noticed it at once"),
        ([(0, 1)], [(1, 2)], [False], [None], "one that ends as it begins did not"),
        ([(2, 3)], [(1, 2)], [False], [None], "nor one that begins as it ends"),
        (
            [(1.8, 1.9), (1.2, 1.3)],
            [(1, 2)],
            [True, True],
            [0.2],
            "the first of two counts, in any order",
        ),
        ([(0, 9)], [(1, 2), (4, 5)], [True], [0, 0], "one event may meet two segments"),
        (
            [(1, 1.5), (7, 8)],
            [(1, 2), (4, 5)],
            [True, False],
            [0, None],
            "one right, one false, one missed",
        ),
    ],
)
def test_events_against_segments(
    events: list[tuple[float, float]],
    segments: list[tuple[float, float]],
    right: list[bool],
    delay: list[float | None],
    why: str,
) -> None:
    matched = match(events, segments)
    assert matched.right.tolist() == right, why
    assert [None if np.isnan(late) else pytest.approx(late) for late in matched.delay] == delay, why


def test_precision_recall_and_f1_are_over_all_videos() -> None:
    # 4 events, 2 right; 3 segments, 2 noticed: P = 1/2, R = 2/3, F1 = 2 · (1/3) / (7/6) = 4/7
    videos = [match([(0, 1), (5, 6)], [(0, 2)]), match([(3.0, 4), (8, 9)], [(1, 5), (6, 7)])]
    assert metrics.precision_recall_f1(videos) == pytest.approx((1 / 2, 2 / 3, 4 / 7))
    assert metrics.median_delay(videos) == pytest.approx(1.0)  # of 0 and 2


@pytest.mark.parametrize(
    ("events", "segments", "expected", "why"),
    [
        ([], [], (None, None, None), "nothing to count"),
        ([], [(0, 1)], (None, 0.0, 0.0), "silence: no precision, but it found nothing"),
        ([(0, 1)], [], (0.0, None, None), "an alarm where nothing is"),
        ([(2, 3)], [(0, 1)], (0.0, 0.0, 0.0), "all wrong"),
    ],
)
def test_what_is_undefined_is_none(
    events: list[tuple[float, float]],
    segments: list[tuple[float, float]],
    expected: object,
    why: str,
) -> None:
    assert metrics.precision_recall_f1([match(events, segments)]) == expected, why
    assert metrics.median_delay([match(events, segments)]) is None


@pytest.mark.parametrize("shape", [(3, 4), (5, 7), (12, 20), (1, 1), (24, 40), (18, 7)])
def test_pixel_auc_agrees_with_scikit_learn_on_the_map_enlarged_to_nearest(
    shape: tuple[int, int],
) -> None:
    random = np.random.default_rng(0)
    maps, masks = random.integers(0, 9, (6, *shape)) / 7, random.random((6, 12, 20)) < 0.2
    masks[2] = False
    counts = metrics.PixelCounts(np.unique(maps))
    for map, mask in zip(maps, masks, strict=True):
        counts.add(map, mask)
    # both are brought to the finer grid of the two, each point of which takes the value that its centre lies in
    H, W = max(12, shape[0]), max(20, shape[1])
    y, x = (np.arange(H) + 0.5) / H, (np.arange(W) + 0.5) / W

    def enlarged(pictures: Array | Flags) -> Array | Flags:
        return pictures[:, (y * pictures.shape[1]).astype(int)][
            :, :, (x * pictures.shape[2]).astype(int)
        ]

    expected = roc_auc_score(enlarged(masks).ravel(), enlarged(maps).ravel())
    assert counts.auc() == pytest.approx(expected, abs=1e-12)


def test_pixel_auc_is_near_with_bins_between_the_scores() -> None:
    random = np.random.default_rng(1)
    masks = random.random((20, 8, 8)) < 0.3
    maps = random.normal(size=masks.shape) + masks
    counts = metrics.PixelCounts(np.quantile(maps, np.linspace(0, 1, 400)))
    for map, mask in zip(maps, masks, strict=True):
        counts.add(map, mask)
    assert counts.auc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-4)


def test_pictures_added_often_or_without_a_mask_count_as_if_written_out() -> None:
    map, mask = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0, 0], [0, 1]], bool)
    short, long = metrics.PixelCounts(np.arange(4.0)), metrics.PixelCounts(np.arange(4.0))
    short.add(map, mask)
    short.add(map, None, times=3)
    for each in (mask, *[np.zeros((2, 2), bool)] * 3):
        long.add(map, each)
    # the odd 3 against 15 normal pixels: 0, 1, 2 four times, all below, and 3 three times, ties: (12 + 1½) / 15
    assert short.auc() == long.auc() == pytest.approx(13.5 / 15)


def test_pixel_auc_needs_both_kinds_of_pixel() -> None:
    counts = metrics.PixelCounts(np.arange(2.0))
    counts.add(np.zeros((2, 2)), None)
    assert counts.auc() is None


@pytest.mark.parametrize(
    ("pixel", "inside", "why"),
    [
        ((4, 7), True, "a pixel inside the cell"),
        ((3, 6), True, "its first pixel"),
        ((5, 8), True, "its last pixel"),
        ((2, 7), False, "the pixel above it"),
        ((4, 9), False, "the pixel right of it"),
        ((0, 0), False, "far away"),
    ],
)
def test_the_highest_cell_touches_the_mask(pixel: tuple[int, int], inside: bool, why: str) -> None:
    map = np.zeros((4, 4))
    map[1, 2] = 1  # pixels 3–5 × 6–8 of 12 × 12
    mask = np.zeros((12, 12), bool)
    mask[pixel] = True
    assert metrics.peak_in_mask(map, mask) is inside, why
    y, x = pixel
    assert metrics.peak_in_boxes(map, np.array([[x, y, x + 1, y + 1]]) / 12) is inside, why


def test_a_cell_touches_a_pixel_that_it_shares_with_its_neighbour() -> None:
    map = np.zeros((4, 4))
    map[0, 1] = 1  # pixels 1.25–2.5 of 5 across: touches 1 and 2
    for column, inside in enumerate([False, True, True, False, False]):
        mask = np.zeros((5, 5), bool)
        mask[0, column] = True
        assert metrics.peak_in_mask(map, mask) is inside


def test_thinning_keeps_the_ends_and_the_shape() -> None:
    x = np.linspace(0, 1, 5001)
    y = x**0.2
    few_x, few_y = metrics.thin_curve(x, y)
    assert len(few_x) <= 500
    assert (few_x[0], few_y[0], few_x[-1], few_y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(few_y, few_x) == pytest.approx(np.trapezoid(y, x), abs=1e-4)
    assert metrics.thin_curve(x[:3], y[:3]) == (x[:3].tolist(), y[:3].tolist())


def test_levels_are_all_values_when_there_are_few_and_reach_from_peak_to_floor_when_many() -> None:
    assert metrics.levels_of(np.array([1.0, 3, 3, 2]), np.array([3.0])).tolist() == [3, 2, 1]
    random = np.random.default_rng(0)
    maps = random.gamma(2, 1, (500, 40))
    levels = metrics.levels_of(maps.ravel(), maps.max(1))
    assert len(levels) <= 128
    assert (np.diff(levels) < 0).all()
    assert levels[0] == maps.max()
    assert levels[-1] == maps.min()
    assert (levels >= np.median(maps.max(1))).sum() >= 32, (
        "most where few pictures have anything above"
    )
