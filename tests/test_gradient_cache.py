"""The gradient of a loss over many passes is the same in the memory of one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from oddframe.methods.tclr.detector import LossWeights, contrast
from oddframe.methods.tclr.networks import ContrastedNetwork
from oddframe.training.gradient_cache import Losses, Memory, backward_through, statistics_still


def gradients(
    model: nn.Module,
    passes: list[Callable[[], tuple[Tensor, ...]]],
    losses: Callable[[list[tuple[Tensor, ...]]], Losses],
    memory: Memory,
) -> tuple[dict[str, Tensor], dict[str, Tensor], Losses]:
    """Gradients, then running statistics, then losses of one step."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(3)
    found = backward_through(model, passes, losses, lambda loss: loss.backward(), memory)
    own = {
        name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None
    }
    return own, {name: part.clone() for name, part in model.named_buffers()}, found


def farthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of any parameter's gradient, relative to that parameter's largest gradient."""
    assert one.keys() == other.keys()
    return max(
        float((one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-30))
        for name in one
    )


def test_tclr_has_the_same_gradient_both_ways() -> None:
    torch.manual_seed(0)
    model = ContrastedNetwork("small", 16).double()
    clips = torch.rand(
        2, 5, 3, 3, 8, 16, 16, dtype=torch.float64
    )  # (views, sparse and dense, N, C, T, H, W)
    passes: list[Callable[[], tuple[Tensor, ...]]] = []
    for view in clips:
        passes.append(lambda view=view: model(view[0], by_time=True))
        passes += [lambda clip=clip: model(clip) for clip in view[1:3]]

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        sparse = torch.stack([torch.stack(found[0]), torch.stack(found[3])])  # (2, 1 + P, N, D)
        dense = torch.stack(
            [torch.stack([one[0] for one in found[k : k + 2]]) for k in (1, 4)]
        )  # (2, P, N, D)
        return contrast(sparse[:, 0], sparse[:, 1:], dense, LossWeights())

    start = {name: part.clone() for name, part in model.state_dict().items()}
    plain, plain_running, plain_told = gradients(model, passes, losses, "plain")
    model.load_state_dict(start)
    exact, exact_running, exact_told = gradients(model, passes, losses, "exact")
    assert len(plain) == len(list(model.parameters()))
    assert farthest(plain, exact) <= 1e-10
    torch.testing.assert_close(exact_running, plain_running, rtol=0, atol=0)
    torch.testing.assert_close(exact_told, plain_told, rtol=1e-12, atol=0)
    moved = [name for name in plain_running if not torch.equal(plain_running[name], start[name])]
    assert len(moved) == len(plain_running), "every running statistic moved"


def test_dropout_drops_the_same_again() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 4)).double()
    inputs = torch.rand(3, 5, 6, dtype=torch.float64)
    passes = [lambda one=one: (model(one),) for one in inputs]

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        return {"loss": torch.stack([one[0] for one in found]).prod(0).sum()}

    plain, *_ = gradients(model, passes, losses, "plain")
    exact, *_ = gradients(model, passes, losses, "exact")
    assert farthest(plain, exact) <= 1e-10


@pytest.mark.parametrize("training", [True, False])
def test_statistics_stand_still_and_results_do_not_change(training: bool) -> None:
    norm = nn.BatchNorm1d(4).train(training)
    rows = torch.rand(8, 4)
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    with statistics_still(norm):
        still = norm(rows)
    assert torch.equal(norm.running_mean, before)  # type: ignore[arg-type]
    torch.testing.assert_close(norm(rows), still)
    assert torch.equal(norm.running_mean, before) is not training  # type: ignore[arg-type]


def test_embeddings_that_the_loss_does_not_use_cost_no_second_pass() -> None:
    model = nn.Linear(3, 2)
    runs = []

    def one(k: int) -> tuple[Tensor, ...]:
        runs.append(k)
        return (model(torch.ones(2, 3)),)

    gradients(
        model, [lambda: one(0), lambda: one(1)], lambda found: {"loss": found[1][0].sum()}, "exact"
    )
    assert torch.equal(model.weight.grad, torch.full((2, 3), 2.0))  # type: ignore[arg-type]
