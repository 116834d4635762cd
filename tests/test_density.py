"""The density at several scales: its loss against the formula, and what it learns against densities that are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from oddframe.embeddings.head import HeadOptions, make_head
from oddframe.embeddings.heads.density import REGULARISATION, Density, Energy, hidden_for
from oddframe.embeddings.store import VideoEmbeddings
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.types import Video


def points(seed: int, count: int, width: int = 3) -> np.ndarray:
    """Two Gaussians, far from each other."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, width)) + 6 * (random.random((count, 1)) < 0.5)).astype(
        "f4"
    )


def embedded(vector: np.ndarray) -> VideoEmbeddings:
    return VideoEmbeddings(
        Video("v", Path("v")), np.arange(len(vector)), np.arange(len(vector)) / 5, vector
    )


def test_the_loss_is_the_formula() -> None:
    """∇f by hand: W₁ᵀ (g₁ ⊙ W₂ᵀ (g₂ ⊙ w₃)), g being the derivative of GELU."""
    torch.manual_seed(0)
    N, D = 5, 4
    net = Energy(D, 6).double()
    x, noise = torch.randn(N, D, dtype=torch.float64), torch.randn(N, D, dtype=torch.float64)
    sigma = torch.rand(N, dtype=torch.float64) + 0.1
    W1, b1, W2, b2, w3, b3 = (value.detach().numpy() for value in net.state_dict().values())

    def normal(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([torch.special.ndtr(torch.tensor(v)).item() for v in z]), np.exp(
            -(z**2) / 2
        ) / np.sqrt(2 * np.pi)

    total = 0.0
    for n in range(N):
        s, e = sigma[n].item(), noise[n].numpy()

        def value_and_slope(at: np.ndarray, s: float = s) -> tuple[float, np.ndarray]:
            z1 = W1 @ np.append(at, np.log(s)) + b1
            P1, p1 = normal(z1)
            z2 = W2 @ (z1 * P1) + b2
            P2, p2 = normal(z2)
            slope = W1.T @ ((P1 + z1 * p1) * (W2.T @ ((P2 + z2 * p2) * w3[0])))
            return (w3 @ (z2 * P2) + b3)[0], slope[:D]

        _, slope = value_and_slope(x[n].numpy() + s * e)
        value, _ = value_and_slope(x[n].numpy())
        total += 0.5 * s**2 * ((slope - e / s) ** 2).sum() + 0.5 * REGULARISATION * value**2
    np.testing.assert_allclose(net.loss(x, sigma, noise)["loss"].item(), total / N, rtol=1e-10)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Density:
    head = make_head(HeadOptions(name="density", steps=250))
    assert isinstance(head, Density)
    head.fit(
        [embedded(points(0, 150)), embedded(points(1, 100))], Run(tmp_path_factory.mktemp("run"))
    )
    return head


def test_it_learns_where_points_are_dense(learned: Density) -> None:
    """At a coarse scale f follows the true −log p of the points with that noise."""
    asked = np.random.default_rng(5).uniform(-3, 9, (400, 3))
    spread = learned.spread.numpy().astype(float)
    s = np.sqrt(1 + spread**2)  # the coarsest noise, in the points' own units
    wanted = -np.logaddexp(*(-(((asked - at) / s) ** 2).sum(1) / 2 for at in (0.0, 6.0)))
    got = learned.scales(torch.from_numpy(asked))[:, -1].numpy()
    assert np.corrcoef(wanted, got)[0, 1] > 0.9


@pytest.mark.parametrize("by", ["max", "mixture"])
def test_what_is_between_and_beyond_is_strange(by: str, learned: Density, tmp_path: Path) -> None:
    head = learned
    if by == "mixture":
        head = make_head(HeadOptions(name="density", steps=120, reduce="mixture"))  # type: ignore[assignment]
        head.fit([embedded(points(0, 150)), embedded(points(1, 100))], Run(tmp_path))
    normal = head.distance(torch.from_numpy(points(2, 200)))
    for at in (-5.0, 12.0):
        assert head.distance(torch.full((1, 3), at)).item() > normal.quantile(0.99).item()


def test_it_is_saved_and_judges_each_clip_by_itself(learned: Density) -> None:
    other = make_head(learned.options)
    holder, empty = torch.nn.ModuleDict({"head": learned}), torch.nn.ModuleDict({"head": other})
    state = holder.state_dict()
    for name in ("centre", "spread", "usual"):
        setattr(other, name, torch.empty_like(state[f"head.{name}"]))
    empty.load_state_dict(state)
    asked = torch.from_numpy(points(3, 17))
    assert torch.equal(other.distance(asked), learned.distance(asked))
    one_by_one = torch.cat([learned.distance(row[None]) for row in asked])
    np.testing.assert_allclose(learned.distance(asked), one_by_one, rtol=1e-9)


def test_what_it_cannot_do_is_said(learned: Density, tmp_path: Path) -> None:
    assert (hidden_for(7), hidden_for(512), hidden_for(2304)) == (256, 1024, 2048)
    head = make_head(HeadOptions(name="density"))
    with pytest.raises(BadInput, match="has not learned"):
        head.distance(torch.zeros(1, 3))
    with pytest.raises(BadInput, match="two clips of normal video at least"):
        head.fit([embedded(points(0, 1))], Run(tmp_path))
    with pytest.raises(BadInput, match="3 numbers, got 5"):
        learned.distance(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="steps is from 1 to"):
        HeadOptions(steps=0)
