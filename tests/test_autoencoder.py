"""The autoencoder head: its layers, its losses against the formulas, and what it learns."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from oddframe.embeddings.head import AUTOENCODER_TRAINING, HeadOptions, make_head
from oddframe.embeddings.heads.autoencoder import (
    Autoencoder,
    AutoencoderNetwork,
    split_off_validation,
)
from oddframe.embeddings.store import VideoEmbeddings, total
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.types import Video

QUICK = replace(AUTOENCODER_TRAINING, epochs=20, batch=16, lr=5e-3)


def on_a_plane(seed: int, count: int, width: int = 24, off: float = 0.0) -> VideoEmbeddings:
    """Embeddings near a three-dimensional plane, or off it."""
    axes = np.random.default_rng(0).standard_normal((3, width))
    random = np.random.default_rng(seed)
    vector = random.standard_normal((count, 3)) @ axes + 0.05 * random.standard_normal(
        (count, width)
    )
    vector += off * random.standard_normal((count, width))
    return VideoEmbeddings(
        Video(f"v{seed}", Path(f"v{seed}")),
        np.arange(count),
        np.arange(count) / 5,
        vector.astype("f4"),
    )


@pytest.mark.parametrize("layers", [(16, 8), (16, 12, 6)])
@pytest.mark.parametrize("variational", [False, True])
def test_layers_are_as_asked_and_mirrored(layers: tuple[int, ...], variational: bool) -> None:
    torch.manual_seed(0)
    net = AutoencoderNetwork(24, layers, 0.3, variational)
    linear = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
    forth, back = [24, *layers], [*layers[::-1], 24]
    sizes = [(m.in_features, m.out_features) for m in linear if m is not net.latent]
    assert sizes == [*pairwise(forth[:-1]), *pairwise(back)]
    assert (net.latent.in_features, net.latent.out_features) == (
        layers[-2],
        layers[-1] * (1 + variational),
    )
    assert isinstance(net.encoder[0], torch.nn.BatchNorm1d)
    assert isinstance(net.decoder[-1], torch.nn.Linear), "nothing comes after the last layer"
    assert sum(isinstance(m, torch.nn.Dropout) for m in net.modules()) == 2 * (len(layers) - 1)
    code = net.eval().code(torch.randn(5, 24))
    assert code.shape == (5, layers[-1])
    assert bool((code >= 0).all()) != variational


def test_the_loss_is_the_squared_error_summed_over_numbers() -> None:
    net = AutoencoderNetwork(6, (5, 4, 3), 0.0, False).double().eval()
    e = torch.randn(7, 6, dtype=torch.float64)
    weights = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    x = e.numpy() / np.sqrt(1 + 1e-5)  # batch norm with running mean 0 and variance 1
    for name in ("encoder.1", "encoder.4", "latent", "decoder.0", "decoder.3"):
        x = np.maximum(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0)
    rebuilt = x @ weights["decoder.6.weight"].T + weights["decoder.6.bias"]
    wanted = ((e.numpy() - rebuilt) ** 2).sum() / 7
    np.testing.assert_allclose(net.loss(e, e)["loss"].item(), wanted, rtol=1e-12)


def test_the_variational_loss_is_the_evidence_bound() -> None:
    """Against sums written out: ½ Σ (x − x̂)² and ½ Σ (m² + s² − 1 − log s²), and against the divergence by sampling."""
    net = AutoencoderNetwork(6, (5, 3), 0.0, True).double().eval()
    e = torch.randn(9, 6, dtype=torch.float64)
    torch.manual_seed(3)
    told = net.loss(e, e)
    torch.manual_seed(3)
    mean, log_variance = net.latent(net.encoder(e)).detach().chunk(2, 1)
    s = np.exp(0.5 * log_variance.numpy())
    drawn = mean + torch.from_numpy(s) * torch.randn_like(mean)
    m, rebuilt = mean.numpy(), net.decoder(drawn).detach().numpy()
    divergence = sum(
        0.5 * (m[n, k] ** 2 + s[n, k] ** 2 - 1 - np.log(s[n, k] ** 2))
        for n in range(9)
        for k in range(3)
    )
    np.testing.assert_allclose(told["divergence"].item(), divergence / 9, rtol=1e-12)
    np.testing.assert_allclose(
        told["reconstruction"].item(), 0.5 * ((e.numpy() - rebuilt) ** 2).sum() / 9, rtol=1e-12
    )
    np.testing.assert_allclose(
        told["loss"].item(), told["divergence"].item() + told["reconstruction"].item(), rtol=1e-12
    )
    p, q = (
        torch.distributions.Normal(mean, torch.from_numpy(s)),
        torch.distributions.Normal(0.0, 1.0),
    )
    np.testing.assert_allclose(
        torch.distributions.kl_divergence(p, q).sum().item(), divergence, rtol=1e-6
    )


@pytest.mark.parametrize("variational", [False, True])
def test_it_learns_the_plane_that_normal_lies_on(variational: bool, tmp_path: Path) -> None:
    head = make_head(
        HeadOptions(
            name="autoencoder", layers=(32, 8), dropout=0.0, variational=variational, training=QUICK
        ),
    )
    assert isinstance(head, Autoencoder)
    head.fit([on_a_plane(k, 60) for k in range(5)], Run(tmp_path))
    normal = head.distance(torch.from_numpy(on_a_plane(9, 100).vector))
    strange = head.distance(torch.from_numpy(on_a_plane(10, 100, off=1.0).vector))
    order = torch.cat([normal, strange]).argsort().argsort()[100:]
    assert (order.double().mean() - 49.5) / 100 > 0.9, "AUC"
    rows = (tmp_path / "logs").glob("head-*.csv")
    assert len(next(rows).read_text().splitlines()) == QUICK.epochs + 1


def test_it_is_saved_with_its_shapes_and_judges_each_clip_by_itself(tmp_path: Path) -> None:
    options = HeadOptions(name="autoencoder", layers=(16, 8, 4), training=replace(QUICK, epochs=1))
    head, other = make_head(options), make_head(options)
    head.fit([on_a_plane(k, 20) for k in range(3)], Run(tmp_path))
    asked = torch.from_numpy(on_a_plane(9, 33).vector)
    holder, empty = torch.nn.ModuleDict({"head": head}), torch.nn.ModuleDict({"head": other})
    empty.load_state_dict(holder.state_dict())
    assert torch.equal(other.distance(asked), head.distance(asked))
    one_by_one = torch.cat([head.distance(row[None]) for row in asked])
    np.testing.assert_allclose(head.distance(asked), one_by_one, rtol=1e-9)
    assert isinstance(other, Autoencoder)
    assert other.code(asked).shape == (33, 4)


def test_the_same_seed_learns_the_same_and_another_does_not(tmp_path: Path) -> None:
    options = HeadOptions(name="autoencoder", layers=(16, 8), training=replace(QUICK, epochs=2))
    asked, found = torch.from_numpy(on_a_plane(9, 5).vector), []
    for k, seed in enumerate((0, 0, 1)):
        head = make_head(options)
        torch.manual_seed(k)
        head.fit([on_a_plane(k, 30) for k in range(3)], Run(tmp_path / str(k), seed=seed))
        found.append(head.distance(asked))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_held_out_videos_choose_the_epoch() -> None:
    videos = [on_a_plane(k, 4) for k in range(10)]
    fitting, held = split_off_validation(videos)
    assert [one.video.name for one in held] == ["v4", "v9"]
    assert len(fitting) == 8
    fitting, held = split_off_validation([on_a_plane(0, 2), on_a_plane(1, 50)])
    assert (total(fitting), total(held)) == (42, 10)


def test_videos_kept_apart_choose_the_epoch(tmp_path: Path) -> None:
    """`val` of a data set, where there is one, and then everything else is learned from."""
    options = HeadOptions(
        name="autoencoder", layers=(16, 8), training=replace(QUICK, epochs=4, lr=2e-2)
    )
    videos = [on_a_plane(k, 30) for k in range(5)]
    asked, found = torch.from_numpy(on_a_plane(9, 5).vector), []
    for k, apart in enumerate(([], [on_a_plane(20, 11)])):
        head, run = make_head(options), Run(tmp_path / str(k))
        head.fit(videos, run, apart)
        assert run.notes["head"]["held_out_clips"] == (11 if apart else 30)  # type: ignore[index]
        found.append(head.distance(asked))
    assert not torch.equal(found[0], found[1])


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    for wrong in ({"layers": (4,)}, {"layers": (4, 3, 2, 1)}, {"layers": (4, 0)}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} (are|is)"):
            HeadOptions(**wrong)
    head = make_head(
        HeadOptions(name="autoencoder", layers=(8, 4), training=replace(QUICK, epochs=1))
    )
    with pytest.raises(BadInput, match="four clips of normal video, got 3"):
        head.fit([on_a_plane(0, 3)], Run(tmp_path))
    with pytest.raises(BadInput, match="has not learned"):
        head.distance(torch.zeros(1, 24))
    head.fit([on_a_plane(0, 9)], Run(tmp_path))
    with pytest.raises(BadInput, match="24 numbers, got 5"):
        head.distance(torch.zeros(1, 5))
