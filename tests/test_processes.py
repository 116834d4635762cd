"""Work in processes of their own: it is done, what goes wrong is said, and nothing outlives who began it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from oddframe.errors import BadInput
from oddframe.training.processes import run_in_processes

SLEEPS = """
import sys
from functools import partial
from oddframe.training.processes import run_in_processes
words = f"import os, time; open({sys.argv[1]!r}, 'w').write(str(os.getpid())); time.sleep(300)"
run_in_processes([partial(exec, words)], 1, "sleeping", "jobs")
"""


def test_every_job_is_done(tmp_path: Path) -> None:
    run_in_processes(
        [partial(Path.write_text, tmp_path / str(k), "done") for k in range(3)],
        2,
        "writing",
        "files",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


def test_what_goes_wrong_in_a_job_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        run_in_processes([partial(divmod, 1, 0)], 1, "dividing", "numbers")
    with pytest.raises(
        BadInput, match="was killed, most likely for want of memory; lower --parallel"
    ) as error:
        run_in_processes([partial(os._exit, 9)], 1, "dividing", "numbers")
    assert "\n" not in str(error.value)


def test_a_process_ends_with_who_began_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", SLEEPS, str(told)])
    assert soon(lambda: told.is_file() and told.read_text()), "it begins"
    child = int(told.read_text())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert soon(lambda: not alive(child)), "it ends"


INTERRUPTED = SLEEPS.replace(
    "import sys\n", "import sys\nfrom oddframe.interruption import *\nend_on_signals()\n", 1
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_program_ends_its_processes_at_once(
    tmp_path: Path, how: signal.Signals
) -> None:
    told = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(told)], stderr=subprocess.DEVNULL
    )
    assert soon(lambda: told.is_file() and told.read_text()), "it begins"
    begun = time.monotonic()
    parent.send_signal(how)
    parent.wait(60)
    assert time.monotonic() - begun < 10, "without waiting for the 300 seconds, or for the grace"
    assert soon(lambda: not alive(int(told.read_text())))


def soon(holds: Callable[[], object]) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
