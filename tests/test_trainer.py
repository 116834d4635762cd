"""The gradient loop: schedules, exact resume after kill -9, several processes, and what stops it."""

import csv
import importlib.util
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from oddframe.errors import BadInput, BadRun
from oddframe.run import Run
from oddframe.scoring.run_folder import load_run
from oddframe.training.config import Training, rate_at
from oddframe.training.precision import PrecisionChoice
from oddframe.training.trainer import by_loss, train

CPU = Training(epochs=3, batch=4, optimizer="sgd", lr=0.05, precision="float32")


class Numbers(Dataset[Tensor]):
    """Vectors that depend on the epoch and their number; slow to come, where a test wants to interrupt."""

    def __init__(self, count: int = 20, wait: float = 0.0, bad: int = -1) -> None:
        self.count, self.wait, self.bad, self.epoch = count, wait, bad, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        return f"{self.count} numbers"

    def __getitem__(self, item: int) -> Tensor:
        time.sleep(self.wait)
        if item == self.bad:
            raise BadInput("item is bad; give another")
        return torch.from_numpy(
            np.random.default_rng([self.epoch, item]).normal(size=6).astype(np.float32)
        )


class Infinite(Numbers):
    def __getitem__(self, item: int) -> Tensor:
        return super().__getitem__(item) / (0.0 if item == 13 else 1.0)


def network(dropout: float = 0.3) -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 6)
    )


def plain() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6))


def reconstruct(module: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    error = ((module(batch) - batch) ** 2).mean()
    return {"loss": error, "double": 2 * error}


def weights(module: nn.Module) -> list[Tensor]:
    return [value.clone() for value in module.state_dict().values()]


def job(folder: str, done: str, wait: float) -> None:
    """What a process that will be killed does."""
    torch.set_num_threads(1)
    module = network()
    train(
        module,
        Numbers(wait=wait),
        by_loss(reconstruct),
        Run(Path(folder)),
        replace(CPU, resume_every=2),
    )
    torch.save(module.state_dict(), done)


@pytest.fixture(scope="module")
def server() -> Any:
    """Processes that start at once, with torch in them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["oddframe.training.trainer", "lightning.fabric", "torch.utils.tensorboard"]
    )
    return context


def test_training_learns_and_tells(tmp_path: Path) -> None:
    module = network(0.0)
    history = train(
        module, Numbers(40), by_loss(reconstruct), Run(tmp_path), replace(CPU, epochs=30)
    )
    losses = history.column("loss")
    assert losses[-1] < 0.75 * losses[0]
    assert not module.training
    rows = list(csv.DictReader((tmp_path / "logs" / "train.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, rel=1e-6)
    assert float(rows[-1]["double"]) == pytest.approx(2 * losses[-1], rel=1e-6)
    assert float(rows[-1]["step"]) == 300
    assert list((tmp_path / "logs" / "train").glob("events.*")), "TensorBoard finds nothing"


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    found = []
    for k, seed in enumerate((1, 1, 2)):
        module = network()
        train(module, Numbers(), by_loss(reconstruct), Run(tmp_path / str(k), seed=seed), CPU)
        found.append(weights(module))
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(found[0], found[2], strict=True))


def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path: Path, server: Any) -> None:
    job(str(tmp_path / "whole"), str(tmp_path / "whole.pt"), 0.0)
    random, kills = np.random.default_rng(int.from_bytes(os.urandom(4), "little")), 0
    while True:
        process = server.Process(
            target=job, args=(str(tmp_path / "cut"), str(tmp_path / "cut.pt"), 0.05)
        )
        process.start()
        process.join(0.3 + random.random() if kills < 4 else 60)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            continue
        assert process.exitcode == 0
        break
    assert kills, "it was over before it could be killed"
    whole, cut = torch.load(tmp_path / "whole.pt"), torch.load(tmp_path / "cut.pt")
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())
    rows = [
        list(csv.reader((tmp_path / name / "logs" / "train.csv").read_text().splitlines()))
        for name in ("whole", "cut")
    ]
    seconds = rows[0][0].index("seconds")
    assert [row[:seconds] for row in rows[0]] == [row[:seconds] for row in rows[1]], (
        "the logs differ"
    )


def test_stopped_in_the_middle_of_accumulating_it_goes_on_exactly(tmp_path: Path) -> None:
    recipe = replace(
        CPU,
        accumulate=2,
        batch=2,
        resume_every=1,
        optimizer="adamw",
        schedule="plateau",
        patience=0,
    )
    whole = network()
    train(whole, Numbers(), by_loss(reconstruct), Run(tmp_path / "whole"), recipe)
    calls = 0

    def interrupted(module: nn.Module, batch: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 14:
            raise KeyboardInterrupt
        return reconstruct(module, batch)["loss"]

    cut = network()
    with pytest.raises(KeyboardInterrupt):
        train(cut, Numbers(), by_loss(interrupted), Run(tmp_path / "cut"), recipe)
    again = network()
    train(again, Numbers(), by_loss(interrupted), Run(tmp_path / "cut"), recipe)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    one, two = plain(), plain()
    history = train(one, Numbers(), by_loss(reconstruct), Run(tmp_path / "one"), CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says about its own process group is not ours
        both = train(
            two, Numbers(), by_loss(reconstruct), Run(tmp_path / "two"), replace(CPU, devices=2)
        )
    for a, b in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert both.column("loss") == pytest.approx(history.column("loss"), rel=1e-4)


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    one, two = network(), network()
    train(one, Numbers(), by_loss(reconstruct), Run(tmp_path / "one"), replace(CPU, epochs=2))
    train(
        two,
        Numbers(),
        by_loss(reconstruct),
        Run(tmp_path / "two"),
        replace(CPU, epochs=2, workers=1),
    )
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_data_stays_one_line(tmp_path: Path, workers: int) -> None:
    with pytest.raises(BadInput, match=r"^item is bad; give another$"):
        train(
            network(),
            Numbers(bad=7),
            by_loss(reconstruct),
            Run(tmp_path),
            replace(CPU, workers=workers),
        )


def test_several_backward_passes_add_up(tmp_path: Path) -> None:
    def in_parts(module: nn.Module, batch: Tensor, backward: Any) -> dict[str, Tensor]:
        out = module(batch)
        backward(out, gradient=2 * (out.detach() - batch) / batch.numel())
        return {"loss": ((out.detach() - batch) ** 2).mean()}

    one, two = plain(), plain()
    train(one, Numbers(), by_loss(reconstruct), Run(tmp_path / "one"), CPU)
    train(two, Numbers(), in_parts, Run(tmp_path / "two"), CPU)
    for a, b in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_accumulating_is_a_larger_batch(tmp_path: Path) -> None:
    one, two = plain(), plain()
    train(one, Numbers(), by_loss(reconstruct), Run(tmp_path / "one"), CPU)
    train(
        two,
        Numbers(),
        by_loss(reconstruct),
        Run(tmp_path / "two"),
        replace(CPU, batch=2, accumulate=2),
    )
    for a, b in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_the_gradient_is_clipped(tmp_path: Path) -> None:
    before, module = plain(), plain()
    once = replace(CPU, epochs=1, batch=20, momentum=0, lr=1.0, grad_clip=0.01)
    train(module, Numbers(), by_loss(reconstruct), Run(tmp_path), once)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(weights(module), weights(before), strict=True)]
    )
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_the_best_epoch_is_kept_when_asked(tmp_path: Path) -> None:
    seen: list[list[Tensor]] = []
    verdicts = iter([3.0, 1.0, 2.0])

    def judge(module: nn.Module) -> float:
        assert not module.training
        seen.append(weights(module))
        return next(verdicts)

    module = network()
    history = train(
        module,
        Numbers(),
        by_loss(reconstruct),
        Run(tmp_path),
        replace(CPU, keep="best"),
        validate=judge,
    )
    assert history.column("held_out") == [3.0, 1.0, 2.0]
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[1], strict=True))


@pytest.mark.parametrize(
    ("recipe", "peer"),
    [
        (
            replace(CPU, schedule="step", step_every=2, step_factor=0.5, epochs=9),
            lambda o, _: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
        ),
        (
            replace(CPU, schedule="cosine", epochs=9),
            lambda o, n: torch.optim.lr_scheduler.CosineAnnealingLR(o, 9 * n),
        ),
        (
            replace(CPU, schedule="restarts", cycle_epochs=3, epochs=9),
            lambda o, n: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3 * n),
        ),
    ],
)
def test_schedules_are_those_of_torch(recipe: Training, peer: Any) -> None:
    steps = 4
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], recipe.lr)
    scheduler = peer(optimizer, steps)
    each_step = recipe.schedule != "step"
    for step in range(9 * steps):
        assert rate_at(recipe, step, steps, []) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=1e-12
        )
        optimizer.step()
        if each_step or (step + 1) % steps == 0:
            scheduler.step()


def test_plateau_is_that_of_torch() -> None:
    recipe = replace(CPU, schedule="plateau", patience=1, step_factor=0.1, epochs=12)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], recipe.lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.1, eps=0)
    criteria = [3.0, 2.0, 2.5, 2.1, 2.2, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.0]
    for epoch in range(12):
        assert rate_at(recipe, epoch, 1, criteria[:epoch]) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-9
        )
        scheduler.step(criteria[epoch])


def test_warming_up_comes_first() -> None:
    recipe = replace(CPU, warm_up=2, schedule="cosine", epochs=5)
    rates = [rate_at(recipe, step, 10, []) for step in range(50)]
    assert rates[0] == pytest.approx(recipe.lr / 20)
    assert rates[19] == pytest.approx(recipe.lr)
    assert max(rates) == pytest.approx(recipe.lr)
    assert rates[49] < 0.01 * recipe.lr


def test_a_loss_that_is_no_number_stops_and_the_good_checkpoint_stays(tmp_path: Path) -> None:
    recipe = replace(CPU, resume_every=1, batch=4, lr=0.01)
    calls = 0

    def diverging(module: nn.Module, batch: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return reconstruct(module, batch)["loss"] * (math.inf if calls == 4 else 1.0)

    with pytest.raises(BadInput, match=r"no number any more at step 4 of 15 .*lower --lr"):
        train(network(), Numbers(), by_loss(diverging), Run(tmp_path), recipe)
    kept = torch.load(tmp_path / "checkpoints" / "train.pt")
    assert kept["state"]["step"] == 3
    assert all(torch.isfinite(value).all() for value in kept["module"].values())


def test_pixels_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a batch holds pixels that are no numbers"):
        train(network(), Infinite(), by_loss(reconstruct), Run(tmp_path), CPU)


def test_too_little_memory_says_what_to_lower(tmp_path: Path) -> None:
    def greedy(module: nn.Module, batch: Tensor) -> Tensor:
        return torch.zeros(2**50, dtype=torch.uint8).sum() + module(batch).sum()

    with pytest.raises(BadInput, match=r"out of memory with batches of 4 clips; lower --batch"):
        train(network(), Numbers(), by_loss(greedy), Run(tmp_path), CPU)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="an epoch has 20 clips, fewer than the 64 of a step; lower --batch"
    ):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), replace(CPU, batch=64))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    with pytest.raises(BadInput, match=r"another training \(batch 4, now 2\); --no-resume"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), replace(CPU, batch=2))
    with pytest.raises(BadInput, match=r"another training \(architecture "):
        train(plain(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)


def test_a_damaged_or_hostile_checkpoint_is_refused(tmp_path: Path) -> None:
    train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    path = tmp_path / "checkpoints" / "train.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadRun, match="damaged or cut short; --no-resume begins anew"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    torch.save({"module": Path("/")}, path)
    with pytest.raises(BadRun, match="holds code, which is not loaded; --no-resume"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    torch.save({"something": torch.zeros(1)}, path)
    with pytest.raises(BadInput, match="is no checkpoint of a training"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epochs": 0}, "epochs is from 1 to"),
        ({"lr": -1}, "lr is above 0"),
        ({"step_factor": 2.0}, "at most 1"),
        ({"batch": 3, "devices": 2}, "cannot be shared"),
        ({"grad_clip": math.nan}, "grad_clip is from 0 to"),
    ],
)
def test_impossible_recipes_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Training(**wrong)


def test_several_nodes_want_torchrun(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="2 nodes are started by torchrun"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), replace(CPU, nodes=2))


def test_processes_that_torchrun_started_write_one_run(street: Path, tmp_path: Path) -> None:
    words = [
        "fit",
        "conv-lstm",
        "simulated",
        "--root",
        str(street),
        "--out",
        str(tmp_path / "run"),
        "--devices",
        "2",
    ]
    brief = [
        "--size",
        "[16,24]",
        "--clip-length",
        "2",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--keep",
        "best",
    ]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    told = subprocess.run(
        [*torchrun, "-m", "oddframe.cli.main", *words, *brief, "--precision", "float32"],
        capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.count("learned conv-lstm") == 1
    assert load_run(tmp_path / "run").detector.name == "conv-lstm"


def test_a_checkpoint_is_of_its_data_and_of_the_weights_it_began_with(tmp_path: Path) -> None:
    class Others(Numbers):
        def fingerprint(self) -> str:
            return "other numbers"

    class Nameless(Numbers):
        fingerprint = None  # type: ignore[assignment]

    train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    with pytest.raises(BadInput, match=r"another training \(data 20 numbers, now other numbers\)"):
        train(network(), Others(), by_loss(reconstruct), Run(tmp_path), CPU)
    moved = network()
    with torch.no_grad():
        next(moved.parameters()).add_(0.1)
    with pytest.raises(BadInput, match=r"another training \(first weights "):
        train(moved, Numbers(), by_loss(reconstruct), Run(tmp_path), CPU)
    with pytest.raises(TypeError, match="a Nameless has none"):
        train(network(), Nameless(), by_loss(reconstruct), Run(tmp_path / "other"), CPU)


def test_every_so_many_epochs_a_checkpoint_stays(tmp_path: Path) -> None:
    module = network()
    training = replace(CPU, epochs=4, checkpoint_every=2, logger="csv")
    train(module, Numbers(), by_loss(reconstruct), Run(tmp_path), training)
    names = [path.name for path in sorted((tmp_path / "epochs").iterdir())]
    assert names == ["train-0002.pt", "train-0004.pt"]
    last = torch.load(tmp_path / "epochs" / "train-0004.pt")["module"]
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in last.items())
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["train.csv"]


def test_a_logger_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed here")
    training = replace(CPU, logger="wandb")
    with pytest.raises(BadInput, match="--logger wandb needs wandb; pip install wandb"):
        train(network(), Numbers(), by_loss(reconstruct), Run(tmp_path), training)


def test_a_resumed_training_keeps_its_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic = replace(CPU, precision="auto", epochs=1)
    run = Run(tmp_path)
    slow = PrecisionChoice("float32", "slower here")
    monkeypatch.setattr("oddframe.training.job.choose_precision", lambda *_: slow)
    train(network(), Numbers(), by_loss(reconstruct), run, automatic)
    monkeypatch.setattr(
        "oddframe.training.job.choose_precision", lambda *_: PrecisionChoice("bf16", "faster")
    )
    longer = replace(automatic, epochs=2)
    again = train(network(), Numbers(), by_loss(reconstruct), run, longer)
    assert again.precision == slow
    assert len(again.rows) == 2
    assert run.notes["precision"] == {"train": slow.as_dict()}
