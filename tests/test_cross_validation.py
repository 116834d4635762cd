"""Normal video held out: how it is cut into parts and folds, and that nothing is on both sides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from films import film
from oddframe.datasets.classes import read_class_folders
from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.scoring import cross_validation
from oddframe.scoring.cross_validation import (
    FEWEST_FRAMES,
    MOST_FOLDS,
    filmed_length,
    fit_and_cross_validate,
    folds_of,
    group_of,
    hold_out,
    segments_of,
)
from oddframe.types import Clips, ClipSpec, Scores, Video
from oddframe.video.reader import read

FIRST = ClipSpec(length=1, size=(8, 8), colour="grey")
FITTED: list[list[Video]] = []  # on what each detector was fitted, in order


class Rememberer(Detector):
    """Scores 1 for a frame that it was fitted on, by time, and 0 for another: held-out scores are all 0."""

    quick_to_fit = True

    def __init__(self) -> None:
        super().__init__()
        self.known: set[tuple[str, int]] = set()

    @property
    def spec(self) -> ClipSpec:
        return FIRST

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        del run
        FITTED.append(list(videos))
        self.known = {(video.name, frame.index) for video in videos for frame in read(video, FIRST)}

    def score(self, clips: Clips) -> Scores:
        value = np.array([(clips.video, int(n)) in self.known for n in clips.frame_index], float)
        return Scores(
            clips.video, clips.frame_index, clips.seconds, value, map=value[:, None, None]
        )


class Slow(Rememberer):
    quick_to_fit = False


@pytest.fixture
def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Videos of so many seconds each, at one frame a second, which nobody films."""
    lengths: dict[Path, np.ndarray] = {}

    def make(*seconds: int) -> list[Video]:
        videos = [Video(f"film {k}", tmp_path / f"{k}.mp4") for k in range(len(seconds))]
        lengths.update(
            {v.source: np.arange(float(s)) for v, s in zip(videos, seconds, strict=True)}
        )
        return videos

    monkeypatch.setattr(cross_validation, "times_of", lambda video: lengths[video.source])
    return make


MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("seconds", "parts", "folds"),
    [
        pytest.param([5], 1, 1, id="too short to cut: one part, which cannot be left out"),
        pytest.param([20], 2, 2, id="not under ten seconds a part"),
        pytest.param([MINUTE], 6, 6, id="a minute in parts of ten seconds"),
        pytest.param([2 * HOUR], 12, 12, id="ten minutes at most"),
        pytest.param([10 * HOUR], 60, MOST_FOLDS, id="more parts than folds"),
        pytest.param([40, 40], 8, 8, id="two films in an eighth of all each"),
        pytest.param(
            [30] * 3, 9, 9, id="three films are too few to leave one out: their parts are"
        ),
        pytest.param([30] * 4, 8, 4, id="of four films each is left out whole, whatever its parts"),
        pytest.param([30] * 8, 8, 8, id="eight films are not cut"),
        pytest.param([30] * 20, 20, MOST_FOLDS, id="more films than folds"),
        pytest.param([HOUR] * 8, 48, 8, id="long films are cut, and left out whole"),
        pytest.param(
            [HOUR, 5, 5], 10, 10, id="a film that is longer than the others is cut, they are not"
        ),
    ],
)
def test_parts_and_folds(lasting, seconds: list[int], parts: int, folds: int) -> None:  # type: ignore[no-untyped-def]
    videos = lasting(*seconds)
    cut = segments_of(videos)
    of = folds_of(cut, np.random.default_rng(0))
    assert len(cut) == len(of) == parts
    assert sorted(set(of)) == list(range(folds)), "folds are numbered without a gap"
    if len(videos) >= 4:
        for video in videos:
            assert (
                len(
                    {
                        fold
                        for part, fold in zip(cut, of, strict=True)
                        if part.source == video.source
                    }
                )
                == 1
            )
    else:
        assert of == sorted(of), "parts in order, so that neighbours are left out together"
    for video, length in zip(videos, seconds, strict=True):
        spans = [part.span for part in cut if part.source == video.source]
        if spans != [None]:
            edges = [edge for span in spans if span for edge in span]
            assert edges[0] == 0
            assert edges[-1] == pytest.approx(length)
            assert edges[1:-1:2] == edges[2::2], "one begins where the other ends"
            assert max(end - start for start, end in filter(None, spans)) <= 600 * 1.01


def test_a_part_of_a_film_is_cut_within_its_own_span(lasting) -> None:  # type: ignore[no-untyped-def]
    (video,) = lasting(HOUR)
    parts = segments_of([replace(video, span=(100.0, 180.0))])
    assert len(parts) == 8
    assert parts[0].span is not None
    assert parts[-1].span is not None
    assert [parts[0].span[0], parts[-1].span[1]] == pytest.approx([100, 180])


def test_no_frame_is_in_two_parts_and_none_in_none(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 40 * 7, fps=7, size=(16, 16)))
    parts = segments_of([video])
    assert len(parts) == 4
    frames = [[frame.index for frame in read(part, FIRST)] for part in parts]
    assert list(chain.from_iterable(frames)) == list(range(280))
    assert min(map(len, frames)) >= 69


@pytest.fixture
def films(tmp_path: Path) -> list[Video]:
    return [
        Video(f"film {k}", film(tmp_path / f"{k}.mp4", 60, fps=5, size=(16, 16))) for k in range(5)
    ]


def test_the_detector_is_fitted_on_everything_and_others_hold_out(
    films: list[Video], tmp_path: Path
) -> None:
    FITTED.clear()
    detector = Rememberer()
    result = fit_and_cross_validate(detector, films, Run(tmp_path))
    held_out = result.scores
    assert len(detector.known) == 300
    assert sum(len(scores) for scores in held_out) == 300, "each frame is held out once"
    assert all((scores.value == 0).all() for scores in held_out), (
        "by a detector that had not seen it"
    )
    assert all(scores.map is None for scores in held_out)
    assert result.how == "leave one out, 5 folds of videos"
    assert result.learned_from == tuple(f"film {k}" for k in range(5))
    assert result.held_out == ()
    assert [len({video.source for video in videos}) for videos in FITTED] == [5, 4, 4, 4, 4, 4]


def test_one_long_film_is_held_out_in_parts(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 200, fps=5, size=(16, 16)))
    result = fit_and_cross_validate(Rememberer(), [video], Run(tmp_path))
    held_out = result.scores
    assert len(held_out) == 4
    assert all((scores.value == 0).all() for scores in held_out)
    assert np.concatenate([scores.frame for scores in held_out]).tolist() == list(range(200))
    assert result.how == "leave one out, 4 folds of parts"


def test_where_fitting_is_dear_a_share_is_held_out(films: list[Video], tmp_path: Path) -> None:
    FITTED.clear()
    detector = Slow()
    run = Run(tmp_path)
    result = fit_and_cross_validate(detector, films, run)
    assert len(FITTED) == 1, "one fit"
    assert len(result.held_out) == 1
    assert {scores.video for scores in result.scores} == set(result.held_out)
    assert set(result.learned_from) == {video.name for video in films} - set(result.held_out)
    assert all((scores.value == 0).all() for scores in result.scores)
    assert len(detector.known) == 240
    assert result.how == "held-out share, 2 of 10 parts: 1 of 5 videos, drawn by source"
    assert run.notes["held_out"] == list(result.held_out), "the run folder says which"


def test_the_seed_says_what_is_held_out(films: list[Video], tmp_path: Path) -> None:
    def held_out(seed: int) -> tuple[str, ...]:
        return fit_and_cross_validate(Slow(), films, Run(tmp_path, seed=seed)).held_out

    assert held_out(0) == held_out(0)
    assert len({held_out(seed) for seed in range(8)}) > 1


def in_classes(**counts: int) -> list[Video]:
    """So many clips of each class, class after class as a folder lists them, each a recording of its own."""
    return [
        Video(f"{label}-{k}", Path(label) / f"{k}.mp4", label=label)
        for label, count in counts.items()
        for k in range(count)
    ]


@pytest.mark.parametrize(
    ("counts", "held"),
    [
        pytest.param({"a": 5, "b": 5, "c": 5}, {"a": 1, "b": 1, "c": 1}, id="a fifth of each"),
        pytest.param({"a": 10, "b": 20}, {"a": 2, "b": 4}, id="in proportion"),
        pytest.param(
            {"a": 1, "b": 9}, {"b": 2}, id="the only recording of a class is learned from"
        ),
        pytest.param(dict.fromkeys("abcdefghij", 1), 2, id="one recording a class: two of all"),
        pytest.param(dict.fromkeys("abcdefghij", 3), 6, id="too few for one of each class"),
        pytest.param({"only": 16}, {"only": 3}, id="one class"),
    ],
)
def test_a_fifth_of_every_class_is_held_out(
    counts: dict[str, int], held: dict[str, int] | int
) -> None:
    videos = in_classes(**counts)
    for seed in range(5):
        learned, rest = hold_out(videos, np.random.default_rng(seed))
        assert {video.name for video in (*learned, *rest)} == {video.name for video in videos}
        assert len(learned) + len(rest) == len(videos)
        found = Counter(video.label for video in rest)
        if isinstance(held, int):
            assert sum(found.values()) == held
            assert max(found.values()) == 1
        else:
            assert found == held


def test_clips_of_one_recording_are_on_one_side() -> None:
    copies = [
        replace(video, name=f"{video.name}-{copy}", source=Path(f"{copy}.mp4"), group=video.name)
        for video in in_classes(a=6, b=6)
        for copy in range(4)
    ]
    learned, rest = hold_out(copies, np.random.default_rng(0))
    assert len(rest) == 2 * 4
    assert not {video.group for video in learned} & {video.group for video in rest}
    folds = folds_of(copies, np.random.default_rng(0))
    for name in {video.group for video in copies}:
        mine = {fold for fold, video in zip(folds, copies, strict=True) if video.group == name}
        assert len(mine) == 1


def test_the_names_of_clips_say_what_they_were_cut_from() -> None:
    one, other, third = (
        Video("x", Path(f"v_Diving_{rest}.avi"), label="Diving")
        for rest in ("g01_c01", "g01_c02_3", "g02_c01")
    )
    assert group_of(one) == group_of(other)
    assert group_of(one) != group_of(third)


def test_no_fold_holds_all_of_a_class() -> None:
    videos = in_classes(a=8, b=8, c=4)
    folds = folds_of(videos, np.random.default_rng(0))
    assert sorted(set(folds)) == list(range(MOST_FOLDS))
    for label in "abc":
        mine = {fold for fold, video in zip(folds, videos, strict=True) if video.label == label}
        assert len(mine) >= 4


def test_few_long_films_are_held_out_in_one_stretch(lasting) -> None:  # type: ignore[no-untyped-def]
    segments = segments_of(lasting(2 * HOUR))
    starts = set()
    for seed in range(8):
        learned, rest = hold_out(segments, np.random.default_rng(seed))
        assert len(rest) == 2
        assert rest[0].span is not None
        assert rest[1].span is not None
        assert rest[0].span[1] == rest[1].span[0], "they follow each other"
        assert len(learned) == 10
        starts.add(rest[0].span[0])
    assert len(starts) > 1, "not always at the end"


@pytest.mark.parametrize(
    ("clock", "parts"),
    [
        pytest.param(lambda k: k + 3600.0 * (k >= 40), 8, id="an hour's pause is not filmed"),
        pytest.param(
            lambda k: 86000.0 * k, 8, id="a picture a day: no more parts than frames allow"
        ),
        pytest.param(lambda k: k + 1e9 * (k >= 1), 8, id="a camera whose date is set"),
    ],
)
def test_a_clock_that_leaps_makes_no_more_parts(
    clock, parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    times = np.array([clock(k) for k in range(80)], float)
    monkeypatch.setattr(cross_validation, "times_of", lambda _video: times)
    segments = segments_of([Video("film", tmp_path / "film.mp4")])
    assert len(segments) == parts
    counts = []
    for segment in segments:
        assert segment.span is not None
        start, end = segment.span
        counts.append(int(((times >= start) & (times < end)).sum()))
    assert sum(counts) == 80
    assert min(counts) >= FEWEST_FRAMES


def test_a_pause_is_not_filmed_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.arange(300) / 10 + 3600.0 * (np.arange(300) >= 100)
    monkeypatch.setattr(cross_validation, "times_of", lambda _video: times)
    assert filmed_length(Video("film", tmp_path / "film.mp4")) == pytest.approx(30)


def test_too_little_video_is_said(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 50, fps=10, size=(16, 16)))
    with pytest.raises(BadInput, match=r"5\.0 s of normal video is too little"):
        fit_and_cross_validate(Rememberer(), [video], Run(tmp_path))


def test_smoothing_begins_anew_in_each_part(films: list[Video], tmp_path: Path) -> None:
    class Smooth(Rememberer):
        @property
        def half_life(self) -> float:
            return 0.2 / np.log2(
                1 / 0.9
            )  # five frames a second: the past counts 0.9 from each to the next

        def score(self, clips: Clips) -> Scores:
            return Scores(
                clips.video,
                clips.frame_index,
                clips.seconds,
                (clips.frame_index % 30 == 0).astype(float),
            )

    for scores in fit_and_cross_validate(Smooth(), films, Run(tmp_path)).scores:
        np.testing.assert_allclose(scores.value, 0.9 ** np.arange(len(scores)))


def test_copies_of_prepared_clips_know_their_clip(tmp_path: Path) -> None:
    """What `prepare` wrote NAME_K.mp4 from: a copy is never learned from while its clip calibrates."""
    for k in range(3):
        path = tmp_path / "train" / "walk" / f"a_{k}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert {video.group for video in read_class_folders(tmp_path)["train"]} == {"walk/a"}
