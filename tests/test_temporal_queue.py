"""The temporal queue's losses are the formulas, its queues cover a film, and a collapse is seen."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from films import film
from oddframe.cli.main import main
from oddframe.errors import BadInput
from oddframe.methods.temporal_queue.detector import (
    FrameNetwork,
    TemporalQueue,
    contrast_queues,
    make_frame_encoder,
)
from oddframe.methods.temporal_queue.losses import LOSSES, QueueOptions
from oddframe.methods.temporal_queue.sampling import Queues
from oddframe.run import Run
from oddframe.training.collapse import measure_spread
from oddframe.training.config import Training
from oddframe.types import ClipSpec, Video

TAU = 0.1
SHORT = Training(epochs=1, batch=1, precision="float32")


@pytest.fixture
def sides() -> tuple[Tensor, Tensor]:
    """Unit vectors in a queue of 6 and outside of it 9."""
    torch.manual_seed(0)
    inside, outside = (
        torch.nn.functional.normalize(torch.randn(n, 5, dtype=torch.float64), dim=1) for n in (6, 9)
    )
    return inside, outside


def test_each_loss_is_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    inside, outside = (part.tolist() for part in sides)

    def power(a: list[float], b: list[float]) -> float:
        return math.exp(math.fsum(x * y for x, y in zip(a, b, strict=True)) / TAU)

    Q, R = len(inside), len(outside)
    across = math.fsum(power(a, b) for a in inside for b in outside) / (Q * R)
    within = math.fsum(power(a, b) for a in inside for b in inside) / Q**2
    others = [(i, j) for i in range(Q) for j in range(Q) if i != j]
    within_others = math.fsum(power(inside[i], inside[j]) for i, j in others) / len(others)
    told = []
    for i, j in others:
        right = power(inside[i], inside[j])
        told.append(-math.log(right / (right + math.fsum(power(inside[i], b) for b in outside))))
    expected = {
        "pairwise": -math.log(within / across),
        "pairwise-no-diagonal": -math.log(within_others / across),
        "infonce": math.fsum(told) / len(told),
    }
    found = {name: float(loss(*sides, TAU)) for name, loss in LOSSES.items()}
    assert found == pytest.approx(expected, rel=1e-12)


def test_values_that_can_be_worked_out() -> None:
    Q, R = 28, 112
    axes = torch.eye(Q + R, dtype=torch.float64)
    inside, outside = axes[:Q], axes[Q:]
    # the diagonal hides the attraction: the published loss is near its best although nothing is alike
    assert float(LOSSES["pairwise"](inside, outside, TAU)) == pytest.approx(
        -math.log((math.exp(10) + 27) / 28)
    )
    assert float(LOSSES["pairwise"](inside, outside, TAU)) == pytest.approx(-6.67, abs=0.005)
    assert float(LOSSES["pairwise-no-diagonal"](inside, outside, TAU)) == pytest.approx(
        0, abs=1e-12
    )
    assert float(LOSSES["infonce"](inside, outside, TAU)) == pytest.approx(math.log(1 + R))
    one = axes[:1].expand(Q, -1)
    for name in ("pairwise", "pairwise-no-diagonal"):
        assert float(LOSSES[name](one, one, TAU)) == pytest.approx(0, abs=1e-12)  # type: ignore[index]  # collapsed
        assert float(LOSSES[name](one, -one, TAU)) == pytest.approx(-2 / TAU)  # type: ignore[index]  # the best there is


def test_losses_are_stable_where_powers_are_not() -> None:
    one = torch.nn.functional.normalize(torch.ones(4, 8), dim=1)
    for loss in LOSSES.values():
        assert torch.isfinite(loss(one, -one, 1e-3))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("basic", 33_582_208), ("resnet18", 11_209_344), ("resnet50", 23_639_168)],
)
def test_encoders_are_as_published(kind: FrameNetwork, parameters: int) -> None:
    with torch.device("meta"):
        net = make_frame_encoder(kind, 256, 64)
    assert sum(part.numel() for part in net.parameters()) == parameters
    assert net.to_empty(device="meta").eval()(torch.empty(2, 3, 256, 256, device="meta")).shape == (
        2,
        64,
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    """Two films of 50 and 33 frames; frame k of film f has the grey level 3 k + 40 f."""
    folder = tmp_path_factory.mktemp("films")
    return [
        Video(
            f"film{f}",
            film(
                folder / f"film{f}.mp4",
                [np.full((48, 48, 3), 3 * k + 40 * f, np.uint8) for k in range(n)],
            ),
        )
        for f, n in enumerate((50, 33))
    ]


SPEC = ClipSpec(length=1, size=(32, 32))


def test_queues_come_in_order_and_cover_every_frame(films: list[Video]) -> None:
    data = Queues(films, SPEC, segment=40, queue=8, offset=5, one_by_one=True)
    assert [(one.video.name, len(one.frames)) for one in data.segments] == [
        ("film0", 25),
        ("film0", 25),
        ("film1", 33),
    ]
    first = [data[k][1].tolist() for k in range(5)]
    assert first == [[0], [5], [10], [15], [17]], "the last one reaches the end"
    covered = [set() for _ in data.segments]  # type: ignore[var-annotated]
    for number, positions in data.items:
        covered[number] |= set(range(positions[0], positions[0] + 8))
    assert [len(one) for one in covered] == [25, 25, 33]
    frames, _ = data[5]
    assert frames.shape == (25, 3, 32, 32)
    assert float(frames[0].float().mean()) == pytest.approx(3 * 25, abs=3), (
        "the second segment begins with frame 25"
    )
    whole = Queues(films, SPEC, segment=40, queue=8, offset=5, one_by_one=False)
    assert len(whole) == 3
    assert whole[0][1].tolist() == [0, 5, 10, 15, 17]
    assert whole.fingerprint() != data.fingerprint()


def test_a_film_as_short_as_the_queue_is_left_out_and_named(films: list[Video]) -> None:
    data = Queues(films, SPEC, segment=60, queue=33, offset=5, one_by_one=True)
    assert [one.video.name for one in data.segments] == ["film0"]
    assert data.skipped[0].video == "film1"
    with pytest.raises(
        BadInput,
        match=r"none of 2 films .*film0: has segments of 50 frames, a queue of 50 needs longer",
    ):
        Queues(films, SPEC, segment=60, queue=50, offset=5, one_by_one=True)


def losses_of(net: nn.Module, frames: Tensor, starts: list[int]) -> tuple[float, Tensor]:
    net.zero_grad()
    told = contrast_queues(
        net,
        (frames, torch.tensor(starts)),
        lambda loss: loss.backward(),
        queue=6,
        loss=lambda one, other: LOSSES["infonce"](one, other, TAU),
        prepare=lambda pixels: pixels,
    )
    return float(told["loss"]), torch.cat(
        [part.grad.flatten() for part in net.parameters() if part.grad is not None]
    )


def test_a_segment_at_once_is_the_mean_of_its_queues() -> None:
    """Without batch norm, which is fed other batches, the gradients are the same up to the order of sums."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 5))
    frames, starts = torch.rand(20, 3, 2, 2), [0, 7, 14]
    each = [losses_of(net, frames, [start]) for start in starts]
    loss, gradient = losses_of(net, frames, starts)
    assert loss == pytest.approx(np.mean([one for one, _ in each]), rel=1e-5)
    torch.testing.assert_close(
        gradient, torch.stack([one for _, one in each]).mean(0), rtol=1e-4, atol=1e-6
    )


def test_a_collapse_is_seen() -> None:
    random = np.random.default_rng(0)
    free = measure_spread(random.standard_normal((500, 16)))
    assert abs(free.mean_cosine) < 0.01
    assert free.effective_rank == pytest.approx(16, rel=0.02)
    assert not free.collapsed
    one = measure_spread(np.ones((50, 16)) + 1e-3 * random.standard_normal((50, 16)))
    assert one.mean_cosine > 0.99
    assert one.effective_rank < 1.3
    assert one.collapsed
    line = np.outer(random.choice([-1.0, 1.0], 50), np.ones(16))
    assert measure_spread(line).effective_rank == pytest.approx(1)
    assert measure_spread(line).collapsed
    assert measure_spread(np.eye(4)).told() == {
        "mean_cosine": 0.0,
        "least_cosine": 0.0,
        "effective_rank": 4.0,
        "collapsed": False,
    }


@pytest.mark.parametrize("update", ["queue", "segment"])
def test_embeddings_of_before_and_after_are_kept(
    films: list[Video], tmp_path: Path, update: Any
) -> None:
    detector = TemporalQueue(
        network="basic",
        size=32,
        contrast=QueueOptions(segment=40, queue=8, update=update),
        training=SHORT,
    )
    run = Run(tmp_path)
    detector.pretrain(films, run)
    before, after = (
        dict(np.load(tmp_path / "embeddings" / f"{when}.npz")) for when in ("before", "after")
    )
    assert before["vector"].shape == after["vector"].shape == (83, 64)
    assert before["video"].tolist() == 50 * ["film0"] + 33 * ["film1"]
    assert before["frame"].tolist() == [*range(50), *range(33)]
    assert np.abs(before["vector"] - after["vector"]).max() > 1e-4
    assert set(run.notes["spread"]) == {"before", "after"}  # type: ignore[call-overload]


def test_training_ends_where_it_would_have_after_an_interruption(
    films: list[Video], tmp_path: Path
) -> None:
    def fit(folder: Path, epochs: int) -> TemporalQueue:
        training = Training(epochs=epochs, batch=1, precision="float32")
        detector = TemporalQueue(
            network="basic",
            size=32,
            contrast=QueueOptions(segment=40, queue=8, update="segment"),
            training=training,
        )
        detector.pretrain(films, Run(folder))
        return detector

    once = fit(tmp_path / "once", 3)
    fit(tmp_path / "twice", 1)
    before = (tmp_path / "twice" / "embeddings" / "before.npz").read_bytes()
    again = fit(tmp_path / "twice", 3)
    torch.testing.assert_close(again.model.state_dict(), once.model.state_dict(), rtol=0, atol=0)
    assert (tmp_path / "twice" / "embeddings" / "before.npz").read_bytes() == before


def test_imagenet_weights_are_begun_with(tmp_path: Path) -> None:
    from torchvision.models import resnet18, resnet50

    given = resnet18(weights=None).state_dict()
    torch.save(given, tmp_path / "resnet18.pth")
    detector = TemporalQueue(weights=str(tmp_path / "resnet18.pth"), size=32)
    detector.load_imagenet(tmp_path / "resnet18.pth")
    torch.testing.assert_close(
        detector.model.state_dict()["layer4.1.conv2.weight"], given["layer4.1.conv2.weight"]
    )
    torch.save(resnet50(weights=None).state_dict(), tmp_path / "resnet50.pth")
    with pytest.raises(BadInput, match="holds the weights of another network"):
        detector.load_imagenet(tmp_path / "resnet50.pth")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"size": 30}, "size is from 32 to"),
        ({"size": 34}, "multiple of 4"),
        ({"hop": 0}, "hop is from 1 to"),
        ({"training": Training(batch=2)}, "one queue or segment"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TemporalQueue(**options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"queue": 1}, "queue is from 2 to"),
        ({"segment": 28}, "longer than the queue of 28"),
        ({"temperature": 0.0}, "temperature is from 1e-06 to"),
        ({"loss": "triplet"}, "loss is one of pairwise"),
    ],
)
def test_queues_that_cannot_be_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        QueueOptions(**options)


def test_the_published_configuration_starts(films: list[Video], tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "temporal-queue-published.yaml"
    folder = films[0].source.parent
    words = ["fit", "temporal-queue", str(folder), "--out", str(tmp_path / "run")]
    words += ["--config", str(recipe), "--network", "basic", "--size", "32", "--epochs", "1"]
    words += ["--offset", "20", "--cache", str(tmp_path / "cache")]
    assert main(words) == 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["options"]["contrast"]["loss"] == "pairwise"
    assert facts["options"]["normalise"] is False
