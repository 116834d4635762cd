"""Going on from an earlier run: what is added counts as if all videos had been there at once."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import oddframe
from films import film
from oddframe import BadInput, BadRun
from oddframe.cli.main import main
from oddframe.methods.flowgrid import FlowGrid
from oddframe.methods.flowgrid.features import cut_features
from oddframe.scoring.run_folder import PARTS, load_run
from oddframe.video.reader import times_of, video_of

# the scale at which to look is given, so that videos at once choose no other than one after the other
SCALE = {"windows": (16, 24), "frame_step": 1}


@pytest.fixture(scope="module")
def films(street: Path) -> list[Path]:
    return sorted((street / "train").glob("*.mp4"))


@pytest.fixture(scope="module")
def at_once(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("once") / "run"
    return oddframe.fit("flowgrid", films, out=out, options=SCALE).folder


@pytest.fixture(scope="module")
def keeping(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned from copies of the first two films, which are gone."""
    place = tmp_path_factory.mktemp("keeping")
    copies = [Path(shutil.copy(one, place)) for one in films[:2]]
    fitted = oddframe.fit("flowgrid", copies, out=place / "run", options=SCALE, keep_features=True)
    for copy in copies:
        copy.unlink()
    return fitted.folder


@pytest.fixture
def kept(keeping: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(keeping, tmp_path / "kept"))


def same_run(one: Path, other: Path) -> None:
    """Everything that scores depend on, but where the videos lie."""
    first, second = load_run(one), load_run(other)
    states = first.detector.state(), second.detector.state()
    assert states[0].keys() == states[1].keys()
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], err_msg=name)
    assert (one / "calibration.npz").read_bytes() == (other / "calibration.npz").read_bytes()
    assert first.threshold == second.threshold


def test_a_run_goes_on_without_its_old_videos_as_if_all_had_been_there(
    kept: Path, films: list[Path], at_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((kept / "run.json").read_text())
    out = tmp_path / "new"
    assert main(["fit", str(films[2]), "--add", str(kept), "--out", str(out)]) == 0
    assert "3 videos, 2 of them learned before by" in capsys.readouterr().out
    same_run(out, at_once)
    facts = json.loads((out / "run.json").read_text())
    assert [one["name"] for one in facts["trained_on"]] == ["train01", "train02", "train03"]
    added = [one["added"] for one in facts["trained_on"]]
    assert added == [before["began"], before["began"], facts["began"]]
    assert facts["added_to"]["videos"] == 2
    assert len(list((out / "features").iterdir())) == 6
    assert main(["info", str(out)]) == 0


def test_a_run_may_be_replaced_by_what_goes_on_from_it(
    kept: Path, films: list[Path], at_once: Path
) -> None:
    fitted = oddframe.fit(None, films[2], add=kept, out=kept)
    assert fitted.folder == kept
    same_run(kept, at_once)
    with pytest.raises(BadInput, match="has learned from all of these videos before"):
        oddframe.fit(None, films[2], add=kept, out=kept)


def test_a_fit_that_fails_leaves_the_run_as_it_was(
    kept: Path, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: (kept / name).read_bytes() for name in (*PARTS, "run.json")}

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FlowGrid, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        oddframe.fit(None, films[2], add=kept, out=kept)
    assert {name: (kept / name).read_bytes() for name in before} == before
    load_run(kept)


def test_what_keeps_nothing_learns_again_from_the_videos_themselves(
    films: list[Path], at_once: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(films[0], tmp_path))
    oddframe.fit("flowgrid", [copy, films[1]], out=tmp_path / "old", options=SCALE)
    again = oddframe.fit("flowgrid", films[2], add=tmp_path / "old", out=tmp_path / "new")
    same_run(again.folder, at_once)
    assert not (again.folder / "features").exists()
    copy.write_bytes(films[2].read_bytes())
    with pytest.raises(BadInput, match=r"train01\.mp4 has changed since; fit again"):
        oddframe.fit(None, films[2], add=tmp_path / "old", out=tmp_path / "new")
    copy.unlink()
    with pytest.raises(BadInput, match=r"train01\.mp4 is no longer there; fit again"):
        oddframe.fit(None, films[2], add=tmp_path / "old", out=tmp_path / "new")


def test_a_method_that_cannot_keep_says_so_and_learns_again(
    films: list[Path], tmp_path: Path
) -> None:
    old = oddframe.fit("frame-difference", films[:2], out=tmp_path / "old")
    new = oddframe.fit(None, films[2], add=old.folder, out=tmp_path / "new")
    whole = oddframe.fit("frame-difference", films, out=tmp_path / "whole")
    same_run(new.folder, whole.folder)
    with pytest.raises(BadInput, match="leave --keep-features away"):
        oddframe.fit("frame-difference", films, out=tmp_path / "no", keep_features=True)


def test_the_grid_is_that_of_the_earlier_run(films: list[Path], tmp_path: Path) -> None:
    old = oddframe.fit("flowgrid", films[:2], out=tmp_path / "old", keep_features=True)
    new = oddframe.fit(None, films[2], add=old.folder, out=tmp_path / "new")
    assert isinstance(old.detector, FlowGrid)
    assert isinstance(new.detector, FlowGrid)
    assert new.detector.grid == old.detector.grid


@pytest.mark.parametrize("frame_step", [1, 3])
def test_a_part_of_what_is_kept_is_what_the_part_alone_gives(
    films: list[Path], frame_step: int
) -> None:
    detector = FlowGrid(windows=(16, 24), frame_step=frame_step)
    video = video_of(films[0])
    from oddframe.methods.flowgrid.features import MotionFeatures

    whole = MotionFeatures(**detector.describer.describe(video))
    times = times_of(video)
    for span in ((0.0, 4.0), (float(times[37]), float(times[90])), (8.05, 99.0)):
        alone = detector.describer.describe(replace(video, span=span))
        part = cut_features(whole, span, frame_step)
        for name, array in alone.items():
            found = getattr(part, name)
            assert found.dtype == array.dtype, name
            np.testing.assert_array_equal(found, array, err_msg=name)


def test_what_the_run_ignores_is_ignored_of_what_is_added(
    films: list[Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    area = "0,0 0.4,0 0.4,1 0,1"
    gone = Path(shutil.copy(films[0], tmp_path))
    oddframe.fit(
        "flowgrid",
        [gone, films[1]],
        out=tmp_path / "old",
        options=SCALE,
        ignore=area,
        keep_features=True,
    )
    gone.unlink()
    new = oddframe.fit(None, films[2], add=tmp_path / "old", out=tmp_path / "new")
    whole = oddframe.fit("flowgrid", films, out=tmp_path / "whole", options=SCALE, ignore=area)
    same_run(new.folder, whole.folder)
    words = ["fit", films[2], "--add", tmp_path / "old", "--out", tmp_path / "no"]
    assert "leave --ignore and --region away" in refused(2, *words, "--ignore", area)


# What cannot be added.


def test_options_are_those_of_the_run(
    kept: Path, films: list[Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    words = ["fit", films[2], "--add", kept, "--out", tmp_path / "new"]
    line = refused(2, *words, "--bank", 100, "--half-life", 0.5, "--fps", 10)
    assert "learned with its own options; leave --bank, --half-life away" in line
    assert "--seed" in refused(2, *words, "--seed", 4)
    line = refused(2, "fit", "frame-difference", *words[1:])
    assert "is a run of flowgrid; what is added to it is not frame-difference" in line
    assert not (tmp_path / "new").exists()


def test_another_camera_is_refused(kept: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    other = film(tmp_path / "other.mp4", [np.roll(noise, 2 * k, 1) for k in range(150)], fps=10)
    wide = film(tmp_path / "wide.mp4", [noise[:60]] * 150, fps=10)
    for video, why in ((other, "it shows another view"), (wide, "another shape")):
        line = refused(2, "fit", video, "--add", kept, "--out", tmp_path / "new")
        assert f"nothing can be added to {kept}: {video.stem}: " in line
        assert why in line


def test_a_damaged_run_is_refused(
    kept: Path, films: list[Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    words = ["fit", films[2], "--add", kept, "--out", tmp_path / "new"]
    features = sorted((kept / "features").glob("*.flowgrid.npz"))[0]
    whole = features.read_bytes()
    features.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in refused(5, *words)
    features.write_bytes(whole)
    features.unlink()
    assert "no longer there to be seen again" in refused(5, *words[:-1], tmp_path / "newer")
    features.write_bytes(whole)
    facts = features.with_name(features.name.replace(".flowgrid", ""))
    told = facts.read_bytes()
    facts.write_bytes(told[:-100])
    assert "is damaged" in refused(5, *words)
    facts.unlink()
    assert "is missing" in refused(5, *words)
    (kept / "calibration.npz").unlink()
    assert "incomplete" in refused(5, *words)
    shutil.rmtree(kept)
    assert refused(5, *words)


def test_fit_without_a_method_or_a_run_is_refused(films: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="by a method, or adds to an earlier run"):
        oddframe.fit(None, films[2], out=tmp_path / "new")
    with pytest.raises(BadRun):
        oddframe.fit(None, films[2], add=tmp_path / "nowhere", out=tmp_path / "new")
