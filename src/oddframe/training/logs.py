"""What a training tells while it runs: a table with a row an epoch, and TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from oddframe.files import aside


class Log:
    """A CSV with a row an epoch, and TensorBoard with every few steps. Only the first process writes."""

    def __init__(self, folder: Path, name: str, *, steps: int, step: int, writes: bool) -> None:
        self.table, self.writer = folder / f"{name}.csv", None
        self.every = max(1, steps // 2000)
        if writes:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder / name), purge_step=step + 1)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def step(self, step: int, scalars: Mapping[str, float], rate: float) -> None:
        if self.writer is not None and step % self.every == 0:
            for key, value in (*scalars.items(), ("lr", rate)):
                self.writer.add_scalar(key, value, step)

    def epoch(self, rows: Sequence[Mapping[str, float]]) -> None:
        if self.writer is None:
            return
        if "held_out" in rows[-1]:
            self.writer.add_scalar("held_out", rows[-1]["held_out"], int(rows[-1]["step"]))
        with aside(self.table) as part:
            lines = [
                ",".join(rows[0]),
                *(",".join(f"{value:.8g}" for value in row.values()) for row in rows),
            ]
            part.write_text("\n".join(lines) + "\n")
