"""What a training writes while it runs: a table with a row an epoch, and scalars of steps for a
viewer.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from oddframe.errors import BadInput
from oddframe.files import aside

LoggerName = Literal["tensorboard", "csv", "wandb"]
MOST_STEPS_LOGGED = 2000  # scalars of steps in a training, at most about so many


class ScalarWriter(Protocol):
    """Takes scalars by name and step."""

    def add_scalar(self, name: str, value: float, step: int, /) -> None: ...

    def close(self) -> None: ...


class WandbWriter:
    """Scalars for Weights & Biases, in files below the log folder unless WANDB_MODE says otherwise.

    `wandb sync FOLDER` uploads them.
    """

    def __init__(self, folder: Path, name: str) -> None:
        wandb = imported("wandb")
        mode = os.environ.get("WANDB_MODE", "offline")
        folder.mkdir(parents=True, exist_ok=True)
        self.run: Any = wandb.init(project="oddframe", name=name, dir=str(folder), mode=mode)

    def add_scalar(self, name: str, value: float, step: int, /) -> None:
        """Log one scalar."""
        self.run.log({name: value}, step=step)

    def close(self) -> None:
        """Write what is left."""
        self.run.finish()


def open_writer(logger: LoggerName, folder: Path, name: str, step: int) -> ScalarWriter | None:
    """A writer for a training that begins after `step`; None where the table is all. Raises
    BadInput.
    """
    if logger == "csv":
        return None
    if logger == "wandb":
        return WandbWriter(folder / name, name)
    imported("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer: ScalarWriter = SummaryWriter(str(folder / name), purge_step=step + 1)
    return writer


def imported(module: str) -> Any:
    """A module that is installed only where it is wanted. Raises BadInput, one line."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise BadInput(
            f"--logger {module} needs {module}; pip install {module}, or choose another logger"
        ) from error


class Log:
    """The table and the writer of one training. Only the first of several processes writes."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        steps: int,
        step: int,
        writes: bool,
        logger: LoggerName = "tensorboard",
    ) -> None:
        self.table = folder / f"{name}.csv"
        self.writes = writes
        self.every = max(1, steps // MOST_STEPS_LOGGED)
        self.writer: ScalarWriter | None = None
        if writes:
            self.writer = open_writer(logger, folder, name, step)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def step(self, step: int, scalars: Mapping[str, float], lr: float) -> None:
        """Write the scalars of a step, where its turn is."""
        if self.writer is None or step % self.every:
            return
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)
        self.writer.add_scalar("lr", lr, step)

    def epoch(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the table of all epochs so far, whole."""
        if not self.writes:
            return
        newest = rows[-1]
        if self.writer is not None and "held_out" in newest:
            self.writer.add_scalar("held_out", newest["held_out"], int(newest["step"]))
        lines = [",".join(rows[0])]
        for row in rows:
            values = map("{:.8g}".format, row.values())
            lines.append(",".join(values))
        with aside(self.table) as part:
            part.write_text("\n".join(lines) + "\n")
