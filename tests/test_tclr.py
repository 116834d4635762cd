"""TCLR's losses are the published formulas, and its samples tile time as published."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from films import film, number_of
from oddframe.cli.main import main
from oddframe.embeddings.head import HeadOptions
from oddframe.errors import BadInput, BadVideo
from oddframe.methods.tclr.detector import TCLR
from oddframe.methods.tclr.losses import (
    LossWeights,
    contrast,
    global_local,
    local_instances,
    local_local,
    nt_xent,
)
from oddframe.methods.tclr.networks import ContrastedNetwork
from oddframe.methods.tclr.sampling import Timing, TwoViews
from oddframe.run import Run
from oddframe.training.config import Training, rate_at
from oddframe.types import ClipSpec, Video
from oddframe.video.augment import Jitter, centred, varied
from oddframe.video.reader import frames_at

B, P, D, TAU = 5, 4, 16, 0.1


@pytest.fixture
def vectors() -> tuple[Tensor, Tensor, Tensor]:
    """Global clips (2, B, D), their moments and the local clips (2, P, B, D), of length one."""
    torch.manual_seed(0)
    shapes = ((2, B, D), (2, P, B, D), (2, P, B, D))
    sparse, moments, dense = (
        torch.nn.functional.normalize(torch.randn(*s, dtype=torch.float64), dim=-1) for s in shapes
    )
    return sparse, moments, dense


def nt(one: list[list[float]], other: list[list[float]]) -> float:
    """The formula, written out: rows are vectors."""
    rows = one + other
    n, total = len(one), 0.0
    for i in range(2 * n):
        partner = i + n if i < n else i - n
        powers = [math.exp(dot(rows[i], rows[k]) / TAU) for k in range(2 * n) if k != i]
        total += -math.log(math.exp(dot(rows[i], rows[partner]) / TAU) / math.fsum(powers))
    return total / (2 * n)


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cross_entropy(row: list[float], right: int) -> float:
    return -math.log(math.exp(row[right]) / math.fsum(math.exp(value) for value in row))


def test_each_loss_is_its_formula(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    sparse, moments, dense = vectors
    S, L, M = sparse.tolist(), dense.tolist(), moments.tolist()
    ic2 = nt(S[0], S[1])
    ic1 = 0.0
    for v in range(2):
        for w in range(2):
            for t in range(P):
                for u in range(P):
                    if (v, t) != (w, u):
                        ic1 += nt(L[v][t], L[w][u]) / 4
    ll = sum(nt([L[0][t][b] for t in range(P)], [L[1][t][b] for t in range(P)]) for b in range(B))
    gl = 0.0
    for v in range(2):
        for w in range(2):
            for b in range(B):
                alike = [[dot(M[v][t][b], L[w][u][b]) / TAU for u in range(P)] for t in range(P)]
                for t in range(P):
                    gl += (
                        cross_entropy(alike[t], t) + cross_entropy([row[t] for row in alike], t)
                    ) / (2 * B)
    found = contrast(sparse, moments, dense, LossWeights())
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"loss": ic2 + ic1 + ll + gl, "ic2": ic2, "ic1": ic1, "ll": ll, "gl": gl}, rel=1e-12
    )
    other = contrast(sparse, moments, dense, LossWeights(2.0, 0.5, 3.0, 0.0, "mean"))
    assert float(other["ll"]) == pytest.approx(ll / B, rel=1e-12)
    assert float(other["loss"]) == pytest.approx(2 * ic2 + ic1 / 2 + 3 * ll / B, rel=1e-12)


def test_values_at_chance() -> None:
    """Vectors that have nothing to do with each other, in so many dimensions that all are nearly at right angles."""
    torch.manual_seed(0)
    B, D = 40, 20_000
    sparse, moments, dense = (
        torch.nn.functional.normalize(torch.randn(*shape, D), dim=-1)
        for shape in ((2, B), (2, P, B), (2, P, B))
    )
    found = contrast(sparse, moments, dense, LossWeights())
    assert float(found["ic2"]) == pytest.approx(math.log(79), rel=1e-2)  # 4.37
    assert float(found["ic1"]) == pytest.approx(14 * math.log(79), rel=1e-2)  # 61.2
    assert float(found["ll"]) == pytest.approx(40 * math.log(7), rel=1e-2)  # 77.8
    assert float(found["gl"]) == pytest.approx(4 * 4 * math.log(4), rel=1e-2)  # 22.2


def test_values_at_the_best() -> None:
    n = 6
    axes = torch.eye(n, dtype=torch.float64)
    assert float(nt_xent(axes, axes, TAU)) == pytest.approx(
        math.log(1 + (2 * n - 2) * math.exp(-1 / TAU)), rel=1e-12
    )
    times = torch.eye(4, dtype=torch.float64)[:, None].expand(4, B, 4).expand(2, 4, B, 4)
    assert float(global_local(times, times, TAU)) == pytest.approx(
        16 * math.log(1 + 3 * math.exp(-1 / TAU)), rel=1e-12
    )
    assert float(local_local(times, TAU)) == pytest.approx(
        B * math.log(1 + 6 * math.exp(-1 / TAU)), rel=1e-12
    )
    same = torch.nn.functional.normalize(torch.ones(2, 4, B, 3, dtype=torch.float64), dim=-1)
    assert float(local_instances(same, TAU)) == pytest.approx(14 * math.log(2 * B - 1), rel=1e-12)


# Samples.


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    """Numbered films of 40, 24, 15 and 14 frames: with clips of 8 frames a sample spans 16 and needs 15."""
    folder = tmp_path_factory.mktemp("films")
    return [
        Video(f"film{n}", film(folder / f"film{n}.mp4", n, start=10 * k))
        for k, n in enumerate((40, 24, 15, 14))
    ]


def samples(films: list[Video], **options: Any) -> TwoViews:
    return TwoViews(films, Timing(8, parts=2), 32, **{"max_video_frames": 100, **options})


def test_the_published_timing() -> None:
    timing = Timing()
    sparse, *dense = timing.clips()
    assert timing.span == 64
    assert sparse == list(range(0, 64, 4))
    assert [frame for clip in dense for frame in clip] == list(range(64)), (
        "local clips tile the span"
    )
    assert [clip[0] for clip in dense] == [sparse[4 * j] for j in range(4)]


def test_each_clip_has_its_frames(films: list[Video], monkeypatch: pytest.MonkeyPatch) -> None:
    data, read = samples(films), []

    def counted(video: Video, spec: ClipSpec, indices: Any, lost: Any = None) -> Any:
        read.append(list(indices))
        return frames_at(video, spec, indices, lost)

    monkeypatch.setattr("oddframe.methods.tclr.sampling.frames_at", counted)
    for number, first in ((0, 0), (1, 10)):
        decoded = data.decode(number, np.random.default_rng(number))
        assert decoded is not None
        frames, clips = decoded
        numbers = [number_of(frame.numpy()) - first for frame in frames]
        start = numbers[0]
        assert [[numbers[k] - start for k in clip] for clip in clips] == Timing(8, parts=2).clips()
        assert read[-1] == list(range(start, start + 16)), "each frame is decoded once"
    assert len(read) == 2


def test_short_videos_are_mirrored_and_shorter_ones_named(films: list[Video]) -> None:
    data = samples(films)
    assert [video.name for video in data.videos] == ["film40", "film24", "film15"]
    assert [(one.video, one.reason) for one in data.skipped] == [
        ("film14", "has 14 frames, a sample needs 15")
    ]
    decoded = data.decode(2, np.random.default_rng(0))
    assert decoded is not None
    assert decoded[1] == [
        [0, 2, 4, 6, 8, 10, 12, 14],
        list(range(8)),
        [8, 9, 10, 11, 12, 13, 14, 13],
    ]


def test_57_frames_are_the_least_of_the_published_timing(tmp_path: Path) -> None:
    lengths = (56, 57, 58)
    videos = [Video(str(n), film(tmp_path / f"{n}.mp4", n)) for n in lengths]
    assert [
        video.name for video in TwoViews(videos, Timing(), 32, max_video_frames=1024).videos
    ] == [
        "57",
        "58",
    ]


def test_an_item_depends_on_seed_epoch_and_number_alone(films: list[Video]) -> None:
    one, other = samples(films, seed=3), samples(films, seed=3)
    assert one[1].shape == (2, 3, 3, 8, 32, 32)
    other[0]
    assert torch.equal(one[1], other[1])
    other.set_epoch(1)
    assert not torch.equal(one[1], other[1])
    assert not torch.equal(one[1], samples(films, seed=4)[1])
    assert not torch.equal(one[1][0], one[1][1]), "two looks"
    assert (
        one.fingerprint()
        == samples(films, seed=3).fingerprint()
        != samples(films[:2], seed=3).fingerprint()
    )


def test_long_films_count_as_several_videos(films: list[Video]) -> None:
    data = samples(films[:1], max_video_frames=20)
    assert [len(frames) for frames in data.frames] == [20, 20]
    assert np.concatenate(data.frames).tolist() == list(range(40))


def test_fewer_than_two_videos_cannot_be_contrasted(films: list[Video]) -> None:
    with pytest.raises(
        BadInput, match=r"1 of 2 can be used \(film14: has 14 frames, a sample needs 15\)"
    ):
        samples([films[0], films[3]])


def test_damage_is_drawn_around_and_all_damaged_is_one_line(
    films: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(video: Video, spec: ClipSpec, indices: Any, lost: list[str]) -> Any:
        if video.name == "film40":
            raise BadVideo("cannot be read")
        if video.name == "film24":
            lost.append("a frame was damaged")
        return frames_at(video, spec, indices)

    monkeypatch.setattr("oddframe.methods.tclr.sampling.frames_at", damaged)
    data = samples(films)
    assert all(data[k].shape == (2, 3, 3, 8, 32, 32) for k in range(3)), (
        "the third video takes their place"
    )
    with pytest.raises(BadInput, match="50 samples in a row cannot be read"):
        samples(films[:2])[0]


# Looks.


def test_a_look_is_one_for_all_frames() -> None:
    random = np.random.default_rng(0)
    still = torch.from_numpy(random.integers(0, 255, (1, 3, 40, 60), np.uint8)).expand(
        5, -1, -1, -1
    )
    for seed in range(40):
        out = varied(still, (24, 24), np.random.default_rng(seed))
        assert out.shape == (5, 3, 24, 24)
        assert out.dtype == torch.uint8
        assert torch.equal(out, out[:1].expand_as(out))


def test_crops_reach_every_place() -> None:
    """The published crop never saw the right quarter of a 4:3 picture."""
    across = torch.arange(160, dtype=torch.uint8).expand(1, 3, 120, 160).contiguous()
    plain = Jitter(contrast=0, colour=0, grey=0, channel=0, flip=0, erase=0)
    seen = [varied(across, (32, 32), np.random.default_rng(seed), plain) for seed in range(200)]
    assert min(int(one.min()) for one in seen) <= 2
    assert max(int(one.max()) for one in seen) >= 157
    assert all(64 <= int(one.max()) - int(one.min()) <= 120 for one in seen), (
        "0.6 to 1 of the height"
    )


def test_each_change_comes_as_often_as_published() -> None:
    grey = torch.full((1, 3, 32, 32), 100, dtype=torch.uint8)
    grey[:, 0] = 180
    counts = {"grey": 0, "channel gone": 0, "erased": 0}
    N = 1000
    for seed in range(N):
        out = varied(grey, (32, 32), np.random.default_rng(seed)).flatten(2)[0].int()  # (C, S S)
        full = out.amax(1)
        counts["channel gone"] += int((full == 0).any())
        counts["grey"] += int((out[0] == out[1]).all() and (out[1] == out[2]).all())
        counts["erased"] += int((out == 0).all(0).any())
    for name, share in (("grey", 0.175), ("channel gone", 0.125), ("erased", 0.5)):
        assert counts[name] / N == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / N)
        ), name


def test_the_centre_is_cut_out_and_scaled() -> None:
    picture = torch.zeros(1, 3, 100, 140, dtype=torch.uint8)
    picture[..., 10:90, 30:110] = 200
    assert torch.equal(
        centred(picture, (40, 40)), torch.full((1, 3, 40, 40), 200, dtype=torch.uint8)
    )


# The method.

SINGLE = Training(batch=2, precision="float32")
TINY: dict[str, Any] = {
    "network": "small",
    "clip_length": 8,
    "size": 32,
    "projection": 8,
    "max_video_frames": 20,
}


def test_it_learns_logs_six_scalars_and_goes_on_after_an_interruption(
    films: list[Video], tmp_path: Path
) -> None:
    def fit(folder: Path, epochs: int, gradient_cache: Any = "exact") -> TCLR:
        training = Training(
            epochs=epochs,
            batch=2,
            optimizer="adam",
            precision="float32",
            schedule="plateau",
            warm_up=1,
        )
        detector = TCLR(**TINY, gradient_cache=gradient_cache, training=training)
        detector.pretrain(films, Run(folder))
        return detector

    once = fit(tmp_path / "once", 2)
    fit(tmp_path / "twice", 1)
    torch.testing.assert_close(
        fit(tmp_path / "twice", 2).state_dict(), once.state_dict(), rtol=0, atol=0
    )
    table = (tmp_path / "once" / "logs" / "tclr.csv").read_text().splitlines()
    assert {"loss", "lr", "ic2", "ic1", "ll", "gl"} <= set(table[0].split(","))
    assert len(table) == 3
    assert list((tmp_path / "once" / "logs" / "tclr").glob("events*")), "TensorBoard"


def test_published_weights_are_taken_as_they_are(films: list[Video], tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = ContrastedNetwork("small", 8)
    torch.save(
        {"state_dict": {f"module.{name}": part for name, part in source.state_dict().items()}},
        tmp_path / "w.pth",
    )
    detector = TCLR(
        **TINY,
        weights=str(tmp_path / "w.pth"),
        channel_order="bgr",
        keep_time=True,
        training=SINGLE,
    )
    detector.pretrain(films, Run(tmp_path))
    pixels = torch.randint(0, 255, (2, 3, 8, 24, 32), dtype=torch.uint8)
    with torch.inference_mode():
        found = detector.eval().embed(pixels)
        expected = source.eval()[0](pixels[:, [2, 1, 0]].float() / 255)
    assert found.shape == (2, 128 * 2)
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-5, atol=1e-6)
    wrong = TCLR(**{**TINY, "network": "r3d18"}, weights=str(tmp_path / "w.pth"))
    with pytest.raises(BadInput, match="holds the weights of another network"):
        wrong.pretrain(films, Run(tmp_path))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"clip_length": 10}, "multiple of 4"),
        ({"clip_length": 4}, "clip_length is from 8 to"),
        ({"size": 8}, "size is from 16 to"),
        ({"train_frame_step": 0}, "train_frame_step is from 1 to"),
        ({"frame_step": 0}, "frame_step is from 1 to"),
        (
            {"head": HeadOptions(layers=(8, 4))},
            "layers does nothing with the head knn; --head auto",
        ),
        ({"training": Training(batch=1)}, "two videos or more"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TCLR(**{"network": "small", **options})


def test_weights_of_losses_are_numbers() -> None:
    with pytest.raises(ValueError, match="local_local is from 0"):
        LossWeights(local_local=-1)
    with pytest.raises(ValueError, match="temperature is from"):
        LossWeights(temperature=0)


RECIPE = Path(__file__).parents[1] / "recipes" / "tclr-published.yaml"


def test_the_published_configuration_starts(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for k in range(3):
        film(tmp_path / "films" / f"{k}.mp4", 30, start=10 * k)
    words = ["fit", "tclr", str(tmp_path / "films"), "--out", str(tmp_path / "run")]
    words += ["--config", str(RECIPE), "--network", "small", "--clip-length", "8", "--size", "32"]
    words += ["--epochs", "1", "--batch", "2", "--workers", "0", "--cache", str(tmp_path / "cache")]
    assert main(words) == 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["options"]["channel_order"] == "bgr"


def test_the_published_warm_up() -> None:
    training = Training(lr=1e-3, warm_up_factors=(0.01, 0.05, 0.1, 0.5, 1.0), schedule="plateau")
    rates = [rate_at(training, step, 10, []) for step in (0, 9, 10, 25, 39, 49, 50)]
    assert rates == pytest.approx([1e-5, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-3])
    with pytest.raises(ValueError, match="not both"):
        Training(warm_up=2, warm_up_factors=(0.5,))
