"""Work that cannot be finished, for want of room or by Ctrl-C: one line, and what was finished is still there."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import hidden, one_line, scores_of
from films import film
from oddframe import load
from oddframe.cli.main import main
from oddframe.registry import member
from oddframe.run import Run
from oddframe.scoring.score_store import fingerprint
from oddframe.types import Bytes
from oddframe.video.motion import motion_cells
from oddframe.video.reader import video_of

Refused = Callable[..., str]
Capture = pytest.CaptureFixture[str]
RUN = {"run.json", "detector.json", "state.safetensors", "calibration.npz"}
QUICK = ("--no-overlay", "--no-clips")  # leave out what is slow to draw


def started(*words: object) -> subprocess.Popen[str]:
    """A command as a program of its own."""
    command = [sys.executable, "-m", "oddframe.cli.main", *map(str, words)]
    # tests that are run in the background of a shell ignore Ctrl-C, and so would what they start
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, preexec_fn=heeding, **pipes)  # noqa: PLW1509


# Places that cannot be written to.


def test_results_do_not_go_into_a_file(
    refused: Refused, fitted: Path, street: Path, short: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for words in (
        ("fit", "constant", "simulated", "--root", street),
        ("score", fitted, short),
        ("evaluate", fitted, "simulated", "--root", street),
        ("demo",),
    ):
        line = refused(2, *words, "--out", taken)
        assert f"{taken} is a file; --out names a folder" in line
        assert "cannot write into" in refused(2, *words, "--out", taken / "below")
    assert taken.read_text() == "mine"


def test_a_run_does_not_go_where_other_things_live(
    refused: Refused, street: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    line = refused(2, "fit", "constant", street, "--out", tmp_path)
    assert "holds other things than a run; name a new or empty folder" in line
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("needs to mount a small disk; test_a_file_that_may_not_grow does without")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def leave(disk: Path, room: int) -> None:
    """Fill a disk until only so many bytes are left."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    about = os.statvfs(disk)
    with filler.open("wb") as file:
        file.write(bytes(max(0, about.f_bavail * about.f_frsize - room)))


def test_results_do_not_go_where_nothing_may_be_written(
    refused: Refused, fitted: Path, short: Path, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for out in (small_disk, small_disk / "new"):
        line = refused(2, "score", fitted, short, "--out", out)
        assert f"cannot write into {out}: Read-only file system; name a folder with --out" in line


def test_a_full_disk_while_fitting_leaves_the_earlier_run(
    refused: Refused, street: Path, fitted: Path, small_disk: Path
) -> None:
    run = small_disk / "run"
    shutil.copytree(fitted, run)
    before = fingerprint(load(run))
    for room in (0, 8 << 10, 120 << 10):
        leave(small_disk, room)
        line = refused(
            2, "fit", "flowgrid", "simulated", "--root", street, "--out", run, "--seed", 1
        )
        assert "No space left on device" in line
        assert str(run) in line
        assert fingerprint(load(run)) == before
        assert not hidden(small_disk)
        shutil.rmtree(run / "remembered", ignore_errors=True)
    (small_disk / "filler").unlink()
    assert (
        main(
            [
                "fit",
                "flowgrid",
                "simulated",
                "--root",
                str(street),
                "--out",
                str(run),
                "--seed",
                "1",
            ]
        )
        == 0
    )
    assert fingerprint(load(run)) != before


def test_a_full_disk_while_scoring_leaves_earlier_results(
    refused: Refused,
    fitted: Path,
    short: Path,
    street: Path,
    small_disk: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = small_disk / "out"
    shutil.copy(short, small_disk / "first.mp4")
    first, second = small_disk / "first.mp4", street / "test" / "test02.mp4"
    # a report alone is larger than the disk, but scores are kept
    assert "No space left on device" in refused(2, "score", fitted, first, "--out", out, *QUICK)
    kept = scores_of(out)
    assert kept.keys() == {"first.npz"}
    for room in (0, 40 << 10, 300 << 10, 700 << 10):  # scores, maps, their unpacking, the overlay
        leave(small_disk, room)
        assert main(["score", str(fitted), str(first), str(second), "--out", str(out)]) == 2
        err = capsys.readouterr().err
        assert "No space left on device" in err
        assert "Traceback" not in err
        assert err.splitlines()[-1].startswith("oddframe: ")
        assert scores_of(out).items() >= kept.items()
        assert not hidden(small_disk)


def test_a_file_that_may_not_grow(fitted: Path, street: Path, tmp_path: Path) -> None:
    """The same by the limit that a system sets on the size of files, without being root."""
    video = street / "test" / "test01.mp4"
    running = started("score", fitted, video, "--out", tmp_path / "out")
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (8 << 10, 8 << 10))
    out, err = running.communicate(timeout=120)
    assert running.returncode == 2
    line = one_line(out, err)
    assert "cannot write" in line
    assert "File too large" in line
    assert not list((tmp_path / "out").iterdir())


# Interruptions.


def stopped(
    running: subprocess.Popen[str], when: Callable[[], bool], how: signal.Signals
) -> tuple[str, str]:
    """Send a signal as soon as something is so; returns what was printed."""
    begun = time.monotonic()
    try:
        while not when():
            assert running.poll() is None, f"it was over too soon: {running.communicate()}"
            assert time.monotonic() - begun < 60
            time.sleep(0.005)
        running.send_signal(how)
        return running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module")
def many(short: Path, street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video and many longer ones."""
    folder = tmp_path_factory.mktemp("many")
    shutil.copy(short, folder / "a.mp4")
    for k in range(12):
        shutil.copy(street / "test" / "test01.mp4", folder / f"b{k:02d}.mp4")
    return folder


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_scoring_that_is_stopped_goes_on_where_it_was(
    fitted: Path, many: Path, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    told = stopped(
        running := started("score", fitted, many, "--out", out, *QUICK), (out / "a.npz").exists, how
    )
    kept = scores_of(out)
    assert 1 <= len(kept) <= 13, "a quick machine may have scored all when the signal comes"
    if how == signal.SIGKILL:
        assert running.returncode == -signal.SIGKILL
    else:
        assert running.returncode == 128 + how
        assert one_line(*told) == "interrupted; what was finished is kept"
        assert not hidden(out)
    times = {name: (out / name).stat().st_mtime_ns for name in kept}
    others = [path for path in many.iterdir() if f"{path.stem}.npz" in kept]
    assert (
        main(
            [
                "score",
                str(fitted),
                *map(str, others),
                str(many / "b11.mp4"),
                "--out",
                str(out),
                *QUICK,
            ]
        )
        == 0
    )
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == times, "scored again"
    assert scores_of(out).keys() == {*kept, "b11.npz"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_fitting_that_is_stopped_leaves_the_earlier_run(
    run: Path, street: Path, many: Path, how: signal.Signals, capsys: Capture
) -> None:
    before = fingerprint(load(run))
    running = started("fit", "flowgrid", many, "--out", run)
    told = stopped(running, lambda: any((run / "remembered").glob("flowgrid-*.npz")), how)
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert one_line(*told) == "interrupted; what was finished is kept"
        assert not hidden(run)
    assert fingerprint(load(run)) == before
    assert main(["fit", "flowgrid", str(street), "--out", str(run), "--seed", "1"]) == 0
    assert capsys.readouterr().err == ""
    assert fingerprint(load(run)) != before
    assert {path.name for path in run.iterdir()} == RUN


def test_a_fit_that_is_stopped_does_not_wait_for_a_long_video(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = film(tmp_path / "other.mp4", 20)

    def slow(before: Bytes, *more: Any) -> Any:
        if before.shape != (120, 160):
            raise KeyboardInterrupt
        time.sleep(0.1)
        return motion_cells(before, *more)

    monkeypatch.setattr("oddframe.methods.flowgrid.features.motion_cells", slow)
    detector = member("methods", "flowgrid", "method")()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        detector.describer.describe_all(
            [video_of(other), video_of(street / "train" / "train01.mp4")], Run(tmp_path)
        )
    assert time.monotonic() - begun < 8, "the other one takes twelve seconds"
    assert not list(tmp_path.rglob("*.npz")), "a part was taken for the whole"


# Native calls that do not return to Python.

BLOCKED = """
import hashlib, subprocess, sys
from oddframe.interruption import end_on_signals, report_interruption
end_on_signals(grace=1.5)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
try:
    print(child.pid, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)  # one call of many minutes
except KeyboardInterrupt as interrupt:
    sys.exit(report_interruption(interrupt))
"""
ORDERLY = """
import sys, threading, time
from oddframe.interruption import end_on_signals, report_interruption
end_on_signals(grace=1.5)
if sys.argv[1] == "stuck":  # a thread that Python waits for when it ends
    threading.Thread(target=time.sleep, args=(300,)).start()
try:
    print("ready", flush=True)
    time.sleep(300)
except KeyboardInterrupt as interrupt:
    sys.exit(report_interruption(interrupt))
"""


def blocked(code: str, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A program that has begun its work, and the first line that it printed."""
    running = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    return running, running.stdout.readline().strip()


def is_running(pid: int) -> bool:
    """Whether a process is there and is not merely waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_native_call_of_many_minutes_does_not_keep_a_program_alive(how: signal.Signals) -> None:
    running, child = blocked(BLOCKED)
    assert is_running(int(child))
    time.sleep(0.3)  # to be within the call
    begun = time.monotonic()
    running.send_signal(how)
    _, err = running.communicate(timeout=30)
    lasted = time.monotonic() - begun
    assert 1.4 < lasted < 10, "the grace, and no more"
    assert running.returncode == 128 + how
    assert err == "oddframe: interrupted; what was finished is kept\n"
    assert not is_running(int(child)), "its processes end with it"


def test_a_later_signal_ends_it_at_once() -> None:
    running, child = blocked(BLOCKED.replace("grace=1.5", "grace=200"))
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    running.send_signal(signal.SIGTERM)  # as `timeout` does: that is one
    time.sleep(1.2)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 143
    assert err.count("interrupted") == 1
    assert not is_running(int(child))


@pytest.mark.parametrize("kind", ["free", "stuck"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_by_itself_says_so_once(how: signal.Signals, kind: str) -> None:
    running, _ = blocked(ORDERLY, kind)
    running.send_signal(how)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 128 + how
    assert err == "oddframe: interrupted; what was finished is kept\n"
