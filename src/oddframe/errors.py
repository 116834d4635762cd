"""What can go wrong, in one small tree. The command line prints the message, one line, and exits
with `code`.

OddframeError            1
├── BadInput             2   what the user named cannot be used: a path, an option, a file's layout
│   ├── BadVideo         3   a file or folder holds no frame that can be read
│   └── BadTruth         4   ground truth does not fit its video
├── BadRun               5   a run folder is incomplete, damaged, or from a newer oddframe
└── Leak                 6   a video stands on both sides of a test
"""

from collections.abc import Iterable
from difflib import get_close_matches


class OddframeError(Exception):
    """One line: what is wrong, what came, what would do."""

    code = 1


class BadInput(OddframeError):
    """What the user named cannot be used."""

    code = 2


class BadVideo(BadInput):
    """A file or folder holds no frame that can be read."""

    code = 3


class BadTruth(BadInput):
    """Ground truth does not fit its video."""

    code = 4


class BadRun(OddframeError):
    """A run folder is incomplete, damaged, or from a newer oddframe."""

    code = 5


class Leak(OddframeError):
    """A video stands on both sides of a test."""

    code = 6


EXTRAS = {  # what is not installed with oddframe itself, and the extra that installs it
    "torch": "networks",
    "torchvision": "networks",
    "lightning": "networks",
    "tensorboard": "networks",
    "transformers": "hub",
}


def missing_package(what: str, error: ModuleNotFoundError) -> BadInput:
    """The error for something that needs a package which is not installed.

    >>> str(missing_package("conv-lstm", ModuleNotFoundError(name="torch.nn")))
    "conv-lstm needs torch, which is not installed: pip install 'oddframe[networks]'"
    """
    package = (error.name or str(error)).partition(".")[0]
    if package not in EXTRAS:
        raise error
    extra = EXTRAS[package]
    return BadInput(
        f"{what} needs {package}, which is not installed: pip install 'oddframe[{extra}]'"
    )


def unknown(what: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that nothing answers to, with the nearest that does.

    >>> str(unknown("method", "flowgird", ["constant", "flowgrid"]))
    "no method is called 'flowgird'; did you mean 'flowgrid'? There are constant, flowgrid"
    """
    known = sorted(known)
    near = get_close_matches(name, known, 1)
    guess = f"did you mean {near[0]!r}? There are" if near else "there are"
    return BadInput(f"no {what} is called {name!r}; {guess} {', '.join(known)}")
