"""The Python API: values and errors, nothing printed, and calls side by side."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oddframe
from oddframe import BadInput, BadVideo, Progress, Result
from oddframe.results import to_plain


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns or raises, all of them begun together."""
    together = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(at: int, call: Callable[[], Any]) -> None:
        together.wait()
        try:
            results[at] = call()
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_every_public_name_is_there() -> None:
    assert "Any" not in dir(oddframe)
    assert len(oddframe.__all__) >= 30
    for name in oddframe.__all__:
        assert getattr(oddframe, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = oddframe.fitt  # type: ignore[attr-defined]


def test_two_calls_side_by_side_print_nothing_and_report_apart(
    fitted: Path, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports: dict[str, list[Progress]] = {"test01": [], "test02": []}

    def score(name: str) -> Any:
        return oddframe.score(
            fitted,
            [street / "test" / f"{name}.mp4"],
            out=tmp_path / name,
            overlay=False,
            clips=False,
            progress=reports[name].append,
        )

    def talk() -> None:
        for k in range(50):
            print(f"line {k}")

    one, two, _ = in_threads(lambda: score("test01"), lambda: score("test02"), talk)
    assert [one.videos[0].video, two.videos[0].video] == ["test01", "test02"]
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"line {k}" for k in range(50)], "another thread's lines are kept"
    assert err == ""
    for name, seen in reports.items():
        scored = {report.what for report in seen if report.what.startswith("scoring")}
        assert scored == {f"scoring {name}"}, "each caller hears of its own work"
        assert any(report.finished for report in seen)


def test_values_say_themselves_as_plain_data_and_as_json(
    fitted: Path, street: Path, tmp_path: Path
) -> None:
    video = street / "test" / "test01.mp4"
    found = oddframe.score(fitted, [video], out=tmp_path / "out", overlay=False, clips=False)
    assert isinstance(found, Result)
    assert found.problem() is None
    assert found.videos[0].source == video
    assert json.loads(found.to_json()) == found.to_dict()
    with pytest.raises(AttributeError):
        found.method = "another"  # type: ignore[misc]


def test_what_is_no_number_is_null_with_a_reason() -> None:
    plain = to_plain({"auc": float("nan"), "deep": [1.0, {"far": float("inf")}], "fine": 2})
    assert plain["auc"] is None
    assert plain["deep"] == [1.0, {"far": None}]
    assert plain["why_null"] == {"auc": "not a number", "deep.1.far": "infinite"}
    json.dumps(plain, allow_nan=False)


def test_a_video_that_cannot_be_scored_is_left_out_of_the_value(
    fitted: Path, short: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    with caplog.at_level(logging.WARNING, "oddframe"):
        found = oddframe.score(
            fitted, [short, broken], out=tmp_path / "out", overlay=False, clips=False
        )
    assert [video.video for video in found.videos] == ["short"]
    assert [(one.name, one.code) for one in found.left_out] == [("broken", 3)]
    assert isinstance(found.problem(), BadVideo)
    assert "left out: " in caplog.text
    assert json.loads((tmp_path / "out" / "events.json").read_text()) == found.to_dict()


def test_only_errors_of_its_own_tree(
    fitted: Path, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("oddframe.workflows.score.write_results", full_disk)
    with pytest.raises(BadInput, match="cannot use somewhere: No space left on device"):
        oddframe.score(fitted, [short], out=tmp_path, overlay=False, clips=False)

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("oddframe.workflows.score.write_results", no_memory)
    with pytest.raises(oddframe.OddframeError, match="out of memory"):
        oddframe.score(fitted, [short], out=tmp_path, overlay=False, clips=False)


def test_a_detector_can_be_given_in_place_of_a_name(street: Path, tmp_path: Path) -> None:
    from oddframe.methods.baselines import FrameDifference

    detector = FrameDifference(size=80)
    run = oddframe.fit(detector, "simulated", root=street, out=tmp_path / "run")
    assert run.to_dict()["method"] == "frame-difference"
    assert oddframe.load(tmp_path / "run").detector.options == {"size": 80}
    with pytest.raises(BadInput, match="a detector has its own"):
        oddframe.fit(detector, "simulated", root=street, out=tmp_path, options={"size": 90})


def test_several_paths_are_learned_together(street: Path, tmp_path: Path) -> None:
    films = sorted((street / "train").glob("*.mp4"))
    run = oddframe.fit("constant", films[:2], out=tmp_path / "run")
    assert [video["name"] for video in run.facts["trained_on"]] == ["train01", "train02"]
    with pytest.raises(BadInput, match="go with one data set"):
        oddframe.fit("constant", films, root=street, out=tmp_path / "other")
