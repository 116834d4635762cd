"""What a fit is given besides videos and options: where to write, on what, how reproducibly."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe.errors import BadInput
from oddframe.files import aside
from oddframe.types import Video

Arrays = dict[str, NDArray[Any]]
DEVICES = {"cpu", "cuda", "mps", "xpu"}


@dataclass(frozen=True)
class Run:
    """What a fit is given besides videos and options."""

    folder: Path  # for checkpoints, logs and whatever must outlive an interruption
    seed: int = 0
    device: str = "cpu"
    threads: int = 2  # videos decoded and described side by side
    cache: Path | None = (
        None  # for what other runs can use again; in the run's own folder unless given
    )
    # normal videos that the data set keeps apart from those learned from: to choose an epoch by
    validation: tuple[Video, ...] = ()
    notes: dict[str, object] = field(default_factory=dict)  # what a fit wants written into run.json

    @property
    def kept(self) -> Path:
        """The folder for what other runs can use again."""
        return self.cache or self.folder / "remembered"

    def random(self, *salt: int) -> np.random.Generator:
        """A generator that depends on the seed and the salt alone."""
        return np.random.default_rng([self.seed, *salt])

    def remember(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """What `make` gives, from disk when it was made before: a fit that was interrupted goes on
        where it was.

        `name` must say whatever the arrays depend on.
        """
        path = self.folder / "remembered" / f"{name}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as held:
                    return dict(held)
            except Exception:  # damaged by whatever interrupted us: made anew below
                path.unlink()
        arrays = make()
        with aside(path) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]
        return arrays


def usable_threads() -> int:
    """Threads for work that is divided between processors: what OMP_NUM_THREADS says, or as many as
    may be used.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def refuse_device(device: str) -> None:
    """Raise BadInput for a device that is not here."""
    if device == "cpu":
        return
    import torch

    if device.partition(":")[0] not in DEVICES:
        raise BadInput(f"networks run on {', '.join(sorted(DEVICES))}; got the device {device!r}")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).split(".")[0].split("\n")[0]
        raise BadInput(
            f"the device {device!r} cannot be used here ({why}); cpu always can"
        ) from error


def launched_by_torchrun() -> bool:
    """Whether torchrun started this process, one for each device of each host."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Which of torchrun's processes this is; only the first, 0, writes results."""
    return int(os.environ["RANK"]) if launched_by_torchrun() else 0


def user_cache() -> Path:
    """Where this user's programs keep embeddings, which they can compute again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "oddframe" / "embeddings"
