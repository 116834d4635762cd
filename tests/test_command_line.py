"""The words: what each command answers, and what it says to words that it does not know."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import oddframe
from oddframe.cli.main import COMMANDS, arguments_of, main, parser_of, verb_of
from oddframe.cli.parser import COMMON, Command, Option, nested
from oddframe.cli.values import kind_of
from oddframe.errors import BadInput, BadRun, BadTruth, BadVideo, Leak, OddframeError
from oddframe.options import number_in
from oddframe.registry import members
from oddframe.results import only_own_errors
from oddframe.workflows.fit import detector_of

Refused = Callable[..., str]
Capture = pytest.CaptureFixture[str]
FLOWGRID = (
    "fit",
    "flowgrid",
    "simulated",
    "--root",
    "nowhere",
    "--out",
    "run",
)  # refused before any of it is looked at


def program(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command as a program of its own, whose output is no terminal."""
    command = [sys.executable, "-m", "oddframe.cli.main", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False
    )


def answer(capsys: Capture, *words: object) -> Any:
    """What a command with --json prints: one JSON object on standard output, and nothing else anywhere."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


# Words that are not known.


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(
            ("socre",), ["command", "'socre'", "did you mean 'score'?", "simulate"], id="command"
        ),
        pytest.param(("--versoin",), ["command", "'--versoin'", "there are"], id="nothing near"),
        pytest.param(
            ("fit", "flowgird", "x"),
            ["method", "did you mean 'flowgrid'?", "constant"],
            id="method",
        ),
        pytest.param(
            ("fit", "--out", "x"), ["missing", "data", "oddframe fit scene"], id="no data"
        ),
        pytest.param(
            ("fit", "constant", "simulatde", "--root", "x", "--out", "run"),
            ["data set", "did you mean 'simulated'?", "ped2", "nor is there such a folder"],
            id="data set",
        ),
        pytest.param(
            ("prepare", "pde2", "x"), ["data set", "did you mean 'ped2'?"], id="data set to prepare"
        ),
        pytest.param(
            (*FLOWGRID, "--szie", "3"), ["--szie", "did you mean --size?", "--help"], id="option"
        ),
        pytest.param(
            (*FLOWGRID, "--row-wieght=3"),
            ["--row-wieght", "--row-weight?"],
            id="option with equals",
        ),
        pytest.param(
            ("score", "r", "v", "--out", "o", "--no-ovrlay"),
            ["--no-overlay?"],
            id="option switched off",
        ),
        pytest.param(
            ("score", "r", "v", "--out", "o", "--no-out"), ["no option --no-out"], id="not a switch"
        ),
        pytest.param(("methods", "all"), ["unrecognized", "all"], id="word too many"),
        pytest.param((*FLOWGRID, "-w", "3"), ["unrecognized", "-w"], id="short option"),
    ],
)
def test_unknown_words_are_named_with_the_nearest(
    refused: Refused, words: tuple[str, ...], says: list[str]
) -> None:
    line = refused(2, *words)
    assert [part for part in says if part not in line] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(("fit", "flowgrid"), "missing: data, --out", id="fit"),
        pytest.param(("fit", "flowgrid", "simulated"), "missing: --out", id="fit data"),
        pytest.param(
            (*FLOWGRID[:-1],), "--out: expected one argument", id="option without its value"
        ),
        pytest.param(("score",), "missing: run, videos, --out", id="score"),
        pytest.param(("score", "run"), "missing: videos, --out", id="score run"),
        pytest.param(("evaluate", "run"), "missing: data", id="evaluate"),
        pytest.param(("simulate",), "missing: folder", id="simulate"),
        pytest.param(("prepare", "ped2"), "missing: root", id="prepare"),
        pytest.param(("info",), "missing: run", id="info"),
    ],
)
def test_missing_words_are_named(refused: Refused, words: tuple[str, ...], says: str) -> None:
    line = refused(2, *words)
    assert says in line
    assert "--help` explains" in line


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--size ten", "--size takes a whole number, got 'ten'"),
        ("--size 1.5", "--size takes a whole number, got '1.5'"),
        ("--size 3", "size is from 16 to 20 000, got 3"),
        ("--fps -1", "fps is above 0 and at most 1000, got -1.0"),
        ("--fps 0", "fps is above 0"),
        ("--flow slow", "--flow takes one of medium, fast, ultrafast, got 'slow'"),
        ("--windows 3", "--windows takes 2 values in brackets, such as [1,2], got '3'"),
        ("--windows [3,4,5]", "got '[3,4,5]'"),
        ("--windows [0,4]", "windows is from 1 to 10 000, got 0"),
        ("--frame-step 0", "--frame-step is from 1 to 1 000, got 0"),
        ("--frame-step half", "--frame-step takes a whole number, got 'half'"),
        ("--bank 0", "bank is from 1 to 10 000 000, got 0"),
        ("--bank 3", "a bank holds at least as many windows as there are neighbours, got 3"),
        ("--neighbours 0", "neighbours is from 1 to 100, got 0"),
        ("--row-weight -1", "--row-weight is from 0 to 1 000 000, got -1"),
        ("--half-life 1e9", "--half-life is from 0 to 3 600, got 1000000000.0"),
        ("--half-life=-0.1", "--half-life is from 0 to 3 600, got -0.1"),
        ("--rare-share 1", "--rare-share is 0 or more and below 1, got 1.0"),
        ("--dwell-seconds -3", "--dwell-seconds is from 0 to 3 600, got -3.0"),
        ("--json=perhaps", "--json takes true or false, got 'perhaps'"),
        ("--seed 0.5", "--seed takes a whole number, got '0.5'"),
        ("--false-alarms-per-hour often", "--false-alarms-per-hour takes a number, got 'often'"),
        ("--config nosuch.yaml", "nosuch.yaml"),
    ],
)
def test_values_that_cannot_be_are_refused(refused: Refused, option: str, says: str) -> None:
    assert says in refused(2, *FLOWGRID, *option.split())


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--seed -1", "--seed is from 0 to 4 294 967 295, got -1"),
        ("--threads 0", "--threads is from 1 to 1 024, got 0"),
        (
            "--false-alarms-per-hour 0",
            "--false-alarms-per-hour is from 1e-06 to 1 000 000, got 0.0",
        ),
        (
            "--false-alarms-per-hour -2",
            "--false-alarms-per-hour is from 1e-06 to 1 000 000, got -2.0",
        ),
        ("--device tpu", "got the device 'tpu'"),
        ("--device cuda:99", "the device 'cuda:99' cannot be used here"),
    ],
)
def test_what_no_fit_can_work_with_is_refused_at_once(
    refused: Refused, street: Path, tmp_path: Path, option: str, says: str
) -> None:
    words = (
        "fit",
        "constant",
        "simulated",
        "--root",
        street,
        "--out",
        tmp_path / "run",
        *option.split(),
    )
    assert says in refused(2, *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["score", "evaluate", "fuse"])
def test_a_device_that_is_not_here_is_refused_before_anything_is_read(
    refused: Refused, command: str, tmp_path: Path
) -> None:
    words = {"fuse": ("a", "b", "dad")}.get(command, ("a", "simulated"))
    line = refused(2, command, *words, "--out", tmp_path / "out", "--device", "cuda:99")
    assert "the device 'cuda:99' cannot be used here" in line


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--frame-rate 0", "--frame-rate is from 0.001 to 1 000, got 0.0"),
        ("--frame-rate=-3", "--frame-rate is from 0.001 to 1 000, got -3.0"),
        ("--frame-rate quick", "--frame-rate takes a number, got 'quick'"),
        (
            "--false-alarms-per-hour 0",
            "--false-alarms-per-hour is from 1e-06 to 1 000 000, got 0.0",
        ),
    ],
)
def test_values_that_no_scoring_can_work_with_are_refused(
    refused: Refused, street: Path, fitted: Path, tmp_path: Path, option: str, says: str
) -> None:
    words = ("score", fitted, street / "test", "--out", tmp_path / "out", *option.split())
    assert says in refused(2, *words)
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_its_place_shows_the_tree_that_is_expected(capsys: Capture) -> None:
    assert main(["fit", "constant", "ped2", "--out", "run"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("oddframe: where is ped2? Give the folder that holds it with --root.")
    assert "Train001" in err


# Exit codes.


def test_exit_codes_are_as_documented() -> None:
    codes = {OddframeError: 1, BadInput: 2, BadVideo: 3, BadTruth: 4, BadRun: 5, Leak: 6}
    text = " ".join((sys.modules["oddframe.cli.main"].__doc__ or "").split())
    for error, code in codes.items():
        assert error.code == code
        assert f"{code} " in text.partition("Exit codes:")[2]


@pytest.mark.parametrize(
    "words", [(), ("--help",), ("-h",), ("--version",), ("fit",), ("fit", "--help")]
)
def test_questions_about_the_program_are_no_errors(capsys: Capture, words: tuple[str, ...]) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.strip()
    assert err == ""


def test_what_oddframe_did_not_foresee_in_the_system_is_one_line(
    refused: Refused, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, code, says in (
        (
            PermissionError(13, "Permission denied", "some/file"),
            2,
            "cannot use some/file: Permission denied",
        ),
        (MemoryError(), 1, "out of memory; smaller pictures, smaller batches"),
        (KeyboardInterrupt(), 130, "interrupted; what was finished is kept"),
    ):
        monkeypatch.setattr("oddframe.workflows.info.load_run", _raising(error))
        assert says in refused(code, "info", fitted)


def _raising(error: BaseException) -> Callable[[object], None]:
    def raises(_folder: object) -> None:
        raise error

    return raises


# Answers for programs.


def test_json_is_one_object_and_nothing_else(
    street: Path, fitted: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert answer(capsys, "methods").keys() == members("methods").keys()
    assert answer(capsys, "datasets").keys() == members("datasets").keys()
    assert answer(capsys, "info", fitted)["method"] == "flowgrid"
    assert answer(capsys, "prepare", "simulated", street)["usable"] is True
    film = answer(
        capsys,
        "simulate",
        tmp_path / "s",
        "--seconds",
        1,
        "--train",
        1,
        "--test",
        0,
        "--width",
        64,
        "--height",
        64,
    )
    assert film["videos"] == {"train": 1, "test": 0}
    run = answer(
        capsys, "fit", "frame-difference", "simulated", "--root", street, "--out", tmp_path / "run"
    )
    assert (run["method"], run["videos"], run["left_out"]) == ("frame-difference", 3, [])
    found = answer(
        capsys,
        "score",
        tmp_path / "run",
        street / "test",
        "--out",
        tmp_path / "out",
        "--no-overlay",
        "--no-clips",
    )
    assert [video["video"] for video in found["videos"]] == ["test01", "test02"]
    assert json.loads((tmp_path / "out" / "events.json").read_text()) == found
    measured = answer(
        capsys, "evaluate", tmp_path / "run", "simulated", "--root", street, "--no-report"
    )
    assert {
        "dataset",
        "detector",
        "frames",
        "honest",
        "as_published",
        "baselines",
        "seconds",
    } <= measured.keys()
    assert measured["detector"] == "frame-difference"


def test_people_get_lines(street: Path, fitted: Path, tmp_path: Path, capsys: Capture) -> None:
    for words, says in (
        (("methods",), "flowgrid  "),
        (("datasets",), "ped2  "),
        (("info", fitted), "learned"),
        (("prepare", "simulated", street), "ready"),
        (("fit", "constant", street, "--out", tmp_path / "run"), "threshold: rarity"),
    ):
        assert main([str(word) for word in words]) == 0
        out, err = capsys.readouterr()
        assert says in out
        assert not out.startswith("{")
        assert err == ""


# Options.


def test_switches_go_both_ways_and_dashes_are_underscores(
    street: Path, fitted: Path, tmp_path: Path, capsys: Capture
) -> None:
    video = street / "test" / "test01.mp4"
    for words in (
        ("--no-overlay", "--no-clips", "--no-maps", "--false-alarms-per-hour", "3"),
        ("--no_overlay", "--clips=false", "--maps=false", "--false_alarms_per_hour=3"),
    ):
        assert (
            main(
                ["score", str(fitted), str(video), "--out", str(tmp_path), *words, "--print-config"]
            )
            == 0
        )
        told = yaml.safe_load(capsys.readouterr().out)
        assert (told["overlay"], told["clips"], told["maps"], told["false_alarms_per_hour"]) == (
            False,
            False,
            False,
            3,
        )
    assert (
        main(
            [
                "score",
                str(fitted),
                str(video),
                "--out",
                str(tmp_path),
                "--overlay",
                "--print_config",
            ]
        )
        == 0
    )
    assert yaml.safe_load(capsys.readouterr().out)["overlay"] is True


def test_without_overlay_there_is_none(street: Path, fitted: Path, tmp_path: Path) -> None:
    video = street / "test" / "test02.mp4"
    assert (
        main(
            ["score", str(fitted), str(video), "--out", str(tmp_path), "--no-overlay", "--no-clips"]
        )
        == 0
    )
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "test02.npz",
        "scores.csv",
        "events.json",
        "report.html",
        "test02.timeline.png",
    } <= names
    assert not [name for name in names if name.endswith(".mp4")]


def test_a_printed_configuration_read_back_is_the_same(tmp_path: Path, capsys: Capture) -> None:
    words = [
        "fit",
        "flowgrid",
        "street",
        "--out",
        "run",
        "--size",
        "200",
        "--windows",
        "[20,30]",
        "--flow=fast",
        "--json",
    ]
    assert main([*words, "--print-config"]) == 0
    first = capsys.readouterr().out
    told = yaml.safe_load(first)
    assert (told["data"], told["size"], told["windows"], told["flow"]) == (
        ["street"],
        200,
        [20, 30],
        "fast",
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(first)
    assert main(["fit", "flowgrid", "--config", str(path), "--print-config"]) == 0
    assert capsys.readouterr().out == first
    assert main(["fit", "flowgrid", "--config", str(path), "--size", "100", "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == told | {"size": 100}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "fit"])
def test_every_command_prints_its_configuration(command: str, capsys: Capture) -> None:
    assert main([command, "--print-config"]) == 0
    assert isinstance(yaml.safe_load(capsys.readouterr().out), dict)


def test_a_recipe_is_what_is_fitted(street: Path, tmp_path: Path, capsys: Capture) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"data: simulated\nroot: {street}\nout: {tmp_path / 'run'}\nsize: 80\nhalf_life: 0.25\n"
    )
    assert main(["fit", "flowgrid", "--config", str(recipe)]) == 0
    capsys.readouterr()
    told = answer(capsys, "info", tmp_path / "run")
    assert (told["options"]["size"], told["options"]["half_life"]) == (80, 0.25)
    assert told["options"]["neighbours"] == 5, "defaults are recorded"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(b"szie: 3", "no option 'szie', did you mean 'size'?", id="unknown"),
        pytest.param(b"size: ten", "--size takes a whole number, got 'ten'", id="wrong type"),
        pytest.param(b"size: [1", "not YAML", id="not YAML"),
        pytest.param(b"- size", "not YAML with lines of `option: value`", id="a list"),
        pytest.param(b"", "not YAML with lines of `option: value`", id="empty"),
        pytest.param(b"\xff\xfe\x00", "binary", id="binary"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(
    refused: Refused, tmp_path: Path, text: bytes, says: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text)
    assert says in refused(2, *FLOWGRID, "--config", path)


def test_a_recipe_that_is_not_there_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "gone.yaml" in refused(2, *FLOWGRID, "--config", tmp_path / "gone.yaml")
    assert str(tmp_path) in refused(2, *FLOWGRID, "--config", tmp_path)


# As a program of its own.


def test_as_a_program_it_is_quiet_where_nobody_looks(
    street: Path, fitted: Path, tmp_path: Path
) -> None:
    told = program("score", fitted, street / "test", "--out", tmp_path, "--no-overlay", "--json")
    assert (told.returncode, told.stderr) == (0, "")
    assert len(json.loads(told.stdout)["videos"]) == 2


def test_as_a_program_it_exits_with_the_code() -> None:
    told = program("info", "nowhere")
    assert told.returncode == 5
    assert told.stdout == ""
    assert told.stderr == "oddframe: no such run folder: nowhere; `oddframe fit` makes one\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "oddframe.cli.main", "methods"]
    reader, writer = os.pipe()
    os.close(reader)
    told = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(writer)
    assert told.stderr == b""
    assert told.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_an_answer_that_cannot_be_written_is_one_line() -> None:
    command = [sys.executable, "-m", "oddframe.cli.main", "--help"]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert told.returncode != 0
    assert told.stderr.startswith("oddframe: cannot go on: No space left on device\n")
    assert "Traceback" not in told.stderr


# The same verbs for programs in Python.


def test_the_api_does_what_the_words_do(
    street: Path, fitted: Path, tmp_path: Path, capsys: Capture
) -> None:
    run = oddframe.fit("frame-difference", street, out=tmp_path / "run", options={"size": 80})
    assert oddframe.load(tmp_path / "run").detector.options == run.detector.options == {"size": 80}
    found = oddframe.score(
        tmp_path / "run",
        [street / "test" / "test01.mp4"],
        out=tmp_path / "out",
        overlay=False,
        clips=False,
    )
    assert [video.video for video in found.videos] == ["test01"]
    assert (
        oddframe.evaluate(
            fitted, "simulated", root=street, out=tmp_path / "e", report=False
        ).detector
        == "flowgrid"
    )
    assert (
        oddframe.simulate(tmp_path / "s", seconds=1, train=1, test=0, width=64, height=64).scene[
            "videos"
        ]["train"]
        == 1
    )
    assert capsys.readouterr() == ("", "")
    scores = run.score(street / "test" / "test02.mp4")
    assert len(scores) == 120
    assert (scores.value >= 0).all()


def test_the_api_raises_what_the_words_say(street: Path, fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean 'flowgrid'"):
        oddframe.fit("flowgird", street, out=tmp_path / "run")
    with pytest.raises(BadInput, match="flowgrid: size is from 16"):
        oddframe.fit("flowgrid", street, out=tmp_path / "run", options={"size": 3})
    with pytest.raises(BadInput, match="did you mean 'size'"):
        oddframe.fit("flowgrid", street, out=tmp_path / "run", options={"szie": 3})
    with pytest.raises(BadInput, match="no such file or folder"):
        oddframe.fit("flowgrid", tmp_path / "no" / "where", out=tmp_path / "run")
    with pytest.raises(BadRun, match="no such run folder"):
        oddframe.load(tmp_path / "nowhere")
    with pytest.raises(BadVideo, match="no such file"):
        oddframe.score(fitted, [tmp_path / "gone.mp4"], out=tmp_path / "out")
    with pytest.raises(BadInput, match="no video was named"):
        oddframe.score(fitted, [], out=tmp_path / "out")
    with pytest.raises(BadInput, match="frame_rate is from"):
        oddframe.score(fitted, [street / "test"], out=tmp_path / "out", frame_rate=float("nan"))
    with pytest.raises(BadInput, match="did you mean 'simulated'"):
        oddframe.evaluate(fitted, "simulate", root=street)
    with pytest.raises(BadInput, match="did you mean 'runner'"):
        oddframe.simulate(tmp_path / "s", kinds="runer")
    assert not (tmp_path / "run").exists()


# Numbers that no option takes, and options that would do nothing.

IMPOSSIBLE = ("0", "-1", "1e-300", "1e300", str(2**64), "nan", "inf", "-inf")


@cache
def commands() -> list[tuple[str, str | None, Command]]:
    """Every command; `fit` once for each method."""
    found: list[tuple[str, str | None, Command]] = []
    for name in COMMANDS:
        for method in members("methods") if name == "fit" else [None]:
            found.append((name, method, parser_of(name, method)))
    return found


def numeric_options(command: Command) -> list[Option]:
    """The options of a command that take numbers."""
    return [option for option in command.options if "number" in kind_of(option.hint)]


def test_every_number_of_every_command_and_method_has_a_range() -> None:
    without = []
    for _, _, command in commands():
        for option in numeric_options(command):
            number = number_in(option.hint)
            if number is None or not math.isfinite(number.range.low + number.range.high):
                without.append(f"{command.prog} {option.flag}")
    assert not without, "\n".join(without)


def test_numbers_that_cannot_be_are_refused_as_words_are_read() -> None:
    """And those that can be make the arguments of the workflow, and the detector, at once."""
    tried, slow = 0, []
    for name, method, command in commands():
        for option in numeric_options(command):
            number = number_in(option.hint)
            assert number is not None
            for text in IMPOSSIBLE:
                word = f"{option.flag}={text}"
                tried += 1
                began = time.process_time()
                said = values_or_refusal(command, option, word)
                if isinstance(said, str):
                    assert option.flag in said or option.name in said
                    assert "\n" not in said
                    continue
                assert all(one in number.range for one in said if one is not None)
                given = command.with_defaults(command.parse([word]))
                refusal = refusal_of(name, method, option, given)
                assert "\n" not in refusal, f"{command.prog} {word}"
                if time.process_time() - began > 5:
                    slow.append(f"{command.prog} {word}")
    assert tried > 2000
    assert not slow, "\n".join(slow)


def values_or_refusal(command: Command, option: Option, word: str) -> list[Any] | str:
    """The numbers that a word gives to an option, or what is said to it."""
    try:
        value = command.parse([word])[option.name]
    except BadInput as error:
        return str(error)
    return list(value) if isinstance(value, list | tuple) else [value]


def refusal_of(name: str, method: str | None, option: Option, values: dict[str, Any]) -> str:
    """What is said when a command makes its options, of which this one is no default, into
    arguments and the detector; empty where nothing is wrong with them.
    """
    for common in COMMON:
        values.pop(common.name)
    try:
        with only_own_errors():
            arguments = arguments_of(verb_of(name), nested(values), method)
            if method is not None and option.section != "options":
                detector_of(method, arguments["options"])
    except BadInput as error:
        return str(error)
    return ""


def bombs() -> dict[str, bytes]:
    """Configurations that grow as they are read."""
    anchors = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for k in range(1, 12):
        anchors += f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n"
    return {
        "anchors": anchors.encode(),
        "deep": b"width: " + b"[" * 5000 + b"]" * 5000,
        "deep lines": b"".join(b" " * k + b"a:\n" for k in range(1000)),
        "large": b"width: 3\n" + b"# long\n" * 300_000,
    }


@pytest.mark.parametrize("name", ["anchors", "deep", "deep lines", "large"])
def test_a_configuration_that_grows_is_refused_at_once(
    refused: Refused, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_bytes(bombs()[name])
    began = time.monotonic()
    assert "--config" in refused(2, *FLOWGRID, "--config", path)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("score", "{run}", "{video}", "--out", "{out}", "--film"), "folders of pictures"),
        (
            ("evaluate", "{run}", "simulated", "--root", "{street}", "--no-report", "--overlay"),
            "leave --no-report away",
        ),
        (("probe", "{run}", "labelled", "--epochs", "3"), "add --finetune"),
        (("probe", "{run}", "labelled", "--lr", "0.1", "--seed", "3"), "--lr, --seed count where"),
        (
            ("probe", "{run}", "labelled", "--finetune", "--batch-norm", "frozen"),
            "--batch-norm belongs to --linear",
        ),
        (("prepare", "simulated", "{street}", "--target", "9"), "divide clips in classes"),
        (("prepare", "simulated", "{street}", "--frames"), "--frames writes pictures of dad"),
        (("retrieve", "{run}", "labelled", "--seed", "3"), "has no option --seed"),
        (("fit", "constant", "{video}", "{video}", "--stream", "a", "--out", "{out}"), "--stream"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    refused: Refused,
    fitted: Path,
    street: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    says: str,
) -> None:
    places = {
        "run": fitted,
        "street": street,
        "video": street / "test" / "test01.mp4",
        "out": tmp_path / "out",
    }
    assert says in refused(2, *(word.format(**places) for word in words))
    assert not (tmp_path / "out").exists()


# What is said, and where.


def test_quiet_says_nothing_and_a_log_file_everything(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "log.txt"
    words = ["demo", "--out", str(tmp_path / "demo"), "--seconds", "1", "--train", "1"]
    # so little teaches nothing: what comes before that is what is looked at
    assert main([*words, "--test", "1", "--quiet", "--log-file", str(log)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("oddframe: ")
    assert err.count("\n") == 1
    assert "INFO 1. filming a street" in log.read_text()


def test_what_a_terminal_takes_for_a_command_is_written_out(
    fitted: Path, short: Path, tmp_path: Path, capsys: Capture
) -> None:
    hostile = tmp_path / "a\x1b[2Jb.mp4"
    hostile.write_bytes(short.read_bytes())
    words = ["score", str(fitted), str(hostile), "--out", str(tmp_path / "out")]
    assert main([*words, "--no-overlay", "--no-clips"]) == 0
    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    assert "a\N{REPLACEMENT CHARACTER}[2Jb: " in out
    assert not [path for path in (tmp_path / "out").iterdir() if "\x1b" in path.name]


def test_what_a_spreadsheet_takes_for_a_formula_is_quoted(
    fitted: Path, short: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "=cmd.mp4"
    hostile.write_bytes(short.read_bytes())
    words = ["score", str(fitted), str(hostile), "--out", str(tmp_path / "out")]
    assert main([*words, "--no-overlay", "--no-clips"]) == 0
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert rows[1].startswith("'=cmd,")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_methods_and_options(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("evaluate", "flowgrid", "false-alarms-per-hour"):
        assert word in script


def test_the_package_can_be_run() -> None:
    for words in (["-V"], ["--version"]):
        told = subprocess.run(
            [sys.executable, "-m", "oddframe", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert told.stdout == f"oddframe {oddframe.__version__}\n"
