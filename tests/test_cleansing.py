"""A little that is odd among the normal video is set aside, and nothing where nothing is far out."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import expon, norm

import oddframe
from oddframe.cli.main import main
from oddframe.scoring import cleansing, cross_validation
from oddframe.scoring.cleansing import AROUND, MOST, SetAside, find_unusual, parts_without
from oddframe.types import Scores, Video
from scenes import Block, filmed, scene, walkers


def normal_scores(seed: int, films: int = 8) -> list[Scores]:
    """A minute each at ten frames a second, that hold together for a second."""
    random = np.random.default_rng(seed)
    keep = math.exp(-1 / 10)
    found = []
    for k in range(films):
        rough = random.standard_normal(700)
        level = lfilter([math.sqrt(1 - keep**2)], [1, -keep], rough)[100:]
        n = np.arange(600)
        found.append(Scores(f"film {k}", n, n / 10, expon.isf(norm.sf(level))))
    return found


def with_odd(scores: Scores, start: int, frames: int, value: float) -> Scores:
    changed = scores.value.copy()
    changed[start : start + frames] = value
    return replace(scores, value=changed)


@pytest.mark.parametrize("seed", range(20))
def test_of_normal_scores_nothing_is_set_aside(seed: int) -> None:
    assert find_unusual(normal_scores(seed)) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_short_stretch_far_beyond_the_rest_is_found(seed: int) -> None:
    films = normal_scores(seed)
    films[3] = with_odd(films[3], 200, 40, 60.0)
    (one,) = find_unusual(films)
    assert one.video == "film 3"
    assert one.start == pytest.approx(20.0 - AROUND, abs=1.0)
    assert one.end == pytest.approx(24.0 + AROUND, abs=1.0)
    assert 20.0 <= one.peak < 24.0
    assert str(one) == f"film 3 {one.start:.1f}–{one.end:.1f} s"


def test_no_more_than_the_share_is_set_aside_and_the_farthest_first() -> None:
    films = normal_scores(0)
    for k in range(3):
        films[k] = with_odd(films[k], 100, 40, 60.0 + 10 * k)
    found = find_unusual(films)
    assert [one.video for one in found] == ["film 1", "film 2"]
    assert sum(one.frames for one in found) <= MOST * 4800


def test_two_stretches_close_by_are_one() -> None:
    films = normal_scores(0)
    films[0] = with_odd(with_odd(films[0], 100, 10, 60.0), 115, 10, 70.0)
    (one,) = find_unusual(films)
    assert one.peak >= 11.5
    assert one.start < 10.0
    assert one.end > 12.5


def test_scores_that_do_not_vary_say_nothing() -> None:
    n = np.arange(100)
    assert find_unusual([Scores("film", n, n / 10, np.zeros(100))]) == []
    assert find_unusual([]) == []


def test_what_is_left_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleansing, "times_of", lambda _video: np.arange(600) / 10)
    video = Video("film", tmp_path)
    part = replace(video, span=(30.0, 60.0))

    def spans(of: Video, *aside: tuple[float, float]) -> list[tuple[float, float] | None]:
        stretches = [SetAside("film", start, end, start, 9.0) for start, end in aside]
        return [one.span for one in parts_without(of, stretches)]

    assert spans(video) == [None]
    assert spans(video, (10.0, 12.0)) == [(0.0, 10.0), (12.0, 60.0)]
    assert spans(video, (20.0, 22.0), (10.0, 12.0)) == [(0.0, 10.0), (12.0, 20.0), (22.0, 60.0)]
    assert spans(video, (0.5, 59.5)) == []
    assert spans(part, (10.0, 12.0)) == [(30.0, 60.0)]
    assert spans(part, (29.0, 31.0)) == [(31.0, 60.0)]
    assert parts_without(video, [SetAside("other", 1.0, 2.0, 1.0, 9.0)]) == [video]


# Whole runs.


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six films of people, and in the last of them for a second something large and fast."""
    folder = tmp_path_factory.mktemp("week")
    odd = Block(0, 60, 14, start=60, end=70, wraps=False)
    found = []
    for k in range(6):
        things = [*walkers(k), odd] if k == 5 else walkers(k)
        found.append(filmed(folder / f"day{k}.mp4", scene(things, 120, seed=k)).source)
    return found


def test_what_is_odd_is_set_aside_listed_and_shown(
    films: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "flowgrid", *map(str, films), "--out"]
    assert main([*words, str(tmp_path / "clean")]) == 0
    out = capsys.readouterr().out
    assert "set aside as unusual: day5 " in out
    assert "--keep-all learns from them too" in out
    facts = json.loads((tmp_path / "clean" / "run.json").read_text())
    (one,) = facts["set_aside"]
    assert one["video"] == "day5"
    assert len(facts["trained_on"]) == 6
    assert list((tmp_path / "clean").glob("set-aside-01-*.jpg"))
    assert main(["info", str(tmp_path / "clean")]) == 0
    assert "set_aside" in capsys.readouterr().out
    for option in ("--no-clean", "--keep-all"):
        assert main([*words, str(tmp_path / "kept"), option]) == 0
        assert "set aside" not in capsys.readouterr().out
    clean, kept = oddframe.load(tmp_path / "clean"), oddframe.load(tmp_path / "kept")
    assert kept.facts["set_aside"] == []
    odd = (clean.score(films[5]).seconds >= 6.1) & (clean.score(films[5]).seconds < 6.9)
    assert clean.score(films[5]).value[odd].max() > kept.score(films[5]).value[odd].max()
    found = oddframe.score(clean.folder, [films[0]], out=tmp_path / "out", overlay=False)
    assert found.report is not None
    page = found.report.read_text()
    assert "not learned from, as unusual among the normal video: day5" in page
    assert "Set aside as unusual while learning: day5" in page


def test_where_nothing_is_far_out_nothing_changes(films: list[Path], tmp_path: Path) -> None:
    clean = oddframe.fit("flowgrid", films[:5], out=tmp_path / "clean")
    plain = oddframe.fit("flowgrid", films[:5], out=tmp_path / "plain", clean=False)
    assert clean.facts["set_aside"] == []
    for name in ("state.safetensors", "calibration.npz"):
        one, other = (tmp_path / "clean" / name), (tmp_path / "plain" / name)
        assert one.read_bytes() == other.read_bytes(), name
    assert clean.threshold == plain.threshold


def test_what_a_data_set_says_is_normal_is_learned_whole(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing is looked for")

    monkeypatch.setattr(cross_validation, "find_unusual", never)
    fitted = oddframe.fit("frame-difference", "simulated", root=street, out=tmp_path / "run")
    assert fitted.facts["set_aside"] == []
    with pytest.raises(AssertionError, match="nothing is looked for"):
        oddframe.fit("frame-difference", street / "train", out=tmp_path / "own")


def test_methods_without_quick_folds_are_refitted_alike(films: list[Path], tmp_path: Path) -> None:
    fitted = oddframe.fit("frame-difference", films, out=tmp_path / "run")
    assert fitted.detector.quick_to_fit
    assert {one["video"] for one in fitted.facts["set_aside"]} <= {"day5"}
