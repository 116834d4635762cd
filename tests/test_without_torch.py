"""What a camera's owner installs has no torch: these run in a process that refuses to import it."""

import subprocess
import sys
from pathlib import Path

import pytest

from oddframe.registry import entries

REFUSING = """
import sys

REFUSED = {"torch", "torchvision", "lightning", "tensorboard", "transformers"}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Refuse())
from oddframe.cli.main import main

for words in (line.split() for line in sys.stdin.read().splitlines()):
    code = main(words)
    if code:
        sys.exit(code)
"""


def without_torch(*commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The commands, one after the other in one process, up to the first that fails."""
    return subprocess.run(
        [sys.executable, "-c", REFUSING],
        input="\n".join(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_demonstration_needs_no_torch(street: Path, tmp_path: Path) -> None:
    video = next((street / "test").glob("*.mp4"))
    done = without_torch(
        "--help",
        "methods",
        "datasets",
        "simulate small --train 1 --test 1 --seconds 2 --width 96 --height 64",
        f"prepare simulated {street}",
        f"fit flowgrid simulated --root {street} --out run",
        f"fit frame-difference {street / 'train'} --out difference",
        "info run",
        f"score run {video} --out found",
        f"evaluate run simulated --root {street} --out measured",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for name in ("run/state.safetensors", "found/report.html", "measured/report.html"):
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize("command", ["fit conv-lstm . --out run", "probe run labelled"])
def test_what_needs_torch_says_so_in_one_line(command: str, tmp_path: Path) -> None:
    done = without_torch(command, folder=tmp_path)
    assert done.returncode == 2
    needing = "conv-lstm" if "conv-lstm" in command else "oddframe probe"
    wanted = f"{needing} needs torch, which is not installed: pip install 'oddframe[networks]'"
    assert done.stderr == f"oddframe: {wanted}\n"


def test_all_methods_are_listed(tmp_path: Path) -> None:
    done = without_torch("methods", "fit --help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in entries("methods"):
        assert done.stdout.count(f"{name} ") >= 2, name
