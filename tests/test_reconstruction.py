"""Reconstruction autoencoders: sizes, equations, errors, and what they refuse."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oddframe
from films import film
from oddframe.cli.main import main
from oddframe.errors import BadInput, BadRun
from oddframe.methods.reconstruction import C3D, ConvLSTM, ReconstructionOptions
from oddframe.methods.reconstruction.detector import Reconstruction
from oddframe.methods.reconstruction.networks import ConvLSTMLayer
from oddframe.methods.reconstruction.window_errors import ERROR_CELL, ERROR_WINDOW, window_errors
from oddframe.run import Run
from oddframe.serialization import load, save
from oddframe.training.config import Training
from oddframe.training.random_clips import RandomClips
from oddframe.types import Clips, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read, video_of

RECIPES = Path(__file__).parents[1] / "recipes"
BRIEF = Training(epochs=1, batch=2, precision="float32")


def conv_lstm(*, training: Training = BRIEF, **options: Any) -> ConvLSTM:
    """The method with options of its group by name."""
    return ConvLSTM(reconstruction=ReconstructionOptions(**options), training=training)


def c3d(*, network: Any = "light", training: Training = BRIEF, **options: Any) -> C3D:
    """The same."""
    return C3D(network=network, reconstruction=ReconstructionOptions(**options), training=training)


def clips(shape: tuple[int, ...], seed: int = 0) -> Clips:
    N, _, T = shape[:3]
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    times = np.arange(N)[:, None] + np.arange(T)[None] / 10.0
    return Clips(pixels, "film", np.arange(N), np.arange(N) / 10.0, times)


def parameters(net: nn.Module) -> tuple[int, int]:
    """Trainable ones, and all with the running statistics of batch normalisation."""
    learned = sum(p.numel() for p in net.parameters())
    return learned, learned + sum(b.numel() for b in net.buffers() if b.is_floating_point())


@pytest.mark.parametrize(
    ("detector", "learned", "total"),
    [
        (conv_lstm(), 5_763_137, 5_765_249),
        (c3d(), 5_303_873, 5_305_793),
        (c3d(network="deep"), 17_288_705, 17_292_673),
    ],
)
def test_the_networks_have_the_published_sizes(
    detector: Reconstruction, learned: int, total: int
) -> None:
    assert parameters(detector.net) == (learned, total)


@pytest.mark.parametrize(
    "detector", [conv_lstm(), c3d(), c3d(network="deep"), c3d(colour="rgb", output="sigmoid")]
)
def test_what_comes_out_has_the_shape_of_what_goes_in(detector: Reconstruction) -> None:
    detector.eval()
    clip = torch.rand(2, detector.copying.channels, detector.clip_length, 32, 48)
    with torch.inference_mode():
        made = detector.net(clip)
    assert made.shape == clip.shape
    lowest = 0 if detector.copying.output == "sigmoid" else -1
    assert float(made.min()) >= lowest
    assert float(made.max()) <= 1


def test_the_cell_is_the_published_equations() -> None:
    torch.manual_seed(1)
    layer = ConvLSTMLayer(3, 5).double()
    layer.start()
    clip = torch.randn(2, 4, 3, 6, 7, dtype=torch.float64)
    weights, bias, of_state = layer.of_input.weight, layer.of_input.bias, layer.of_state.weight
    assert bias is not None
    assert bias[5:10].tolist() == [1.0] * 5, "the forget gate begins open"

    def conv(x: Tensor, w: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, w, padding=1)

    hidden = cell = torch.zeros(2, 5, 6, 7, dtype=torch.float64)
    expected = []
    for t in range(4):
        i, f, g, o = (
            conv(clip[:, t], weights[5 * k : 5 * k + 5])
            + conv(hidden, of_state[5 * k : 5 * k + 5])
            + bias[5 * k : 5 * k + 5, None, None]
            for k in range(4)
        )
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        expected.append(hidden)
    torch.testing.assert_close(layer(clip), torch.stack(expected, 1), rtol=1e-12, atol=1e-12)


def test_window_errors_are_those_of_all_positions() -> None:
    error = np.random.default_rng(0).random((40, 48)).astype(np.float32)
    found = window_errors(error)
    assert found.shape == (40 // ERROR_CELL, 48 // ERROR_CELL)
    every = np.lib.stride_tricks.sliding_window_view(error, (ERROR_WINDOW, ERROR_WINDOW)).mean(
        (-1, -2)
    )  # 25 × 33 positions
    assert found.max() >= np.sqrt(every.max()) - 1e-6
    inside = found[3:7, 3:9]  # cells whose windows lie within the picture
    # the cell at row r covers windows whose middle is within two pixels of 4 r + 2
    for row in range(3, 7):
        for column in range(3, 9):
            y, x = 4 * row + 2 - 8, 4 * column + 2 - 8
            near = every[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            assert (
                np.sqrt(near.min()) - 1e-5
                <= inside[row - 3, column - 3]
                <= np.sqrt(near.max()) + 1e-5
            )


def test_the_score_is_the_error_of_the_clip() -> None:
    detector = conv_lstm(size=(32, 48), clip_length=4).eval()
    given = clips((3, 1, 4, 32, 48))
    scores = detector.score(given)
    wanted, made = detector.reconstruct(given)
    with torch.inference_mode():
        whole = detector.net(torch.from_numpy(given.pixels).float() / 255)
    expected = (
        (255**2 * (whole - torch.from_numpy(given.pixels) / 255.0) ** 2).mean((1, 2, 3, 4)).sqrt()
    )
    np.testing.assert_allclose(scores.value, expected.numpy(), rtol=1e-4)
    assert wanted.shape == made.shape == (3, 4, 32, 48, 1)
    np.testing.assert_allclose(wanted[..., 0], given.pixels[:, 0] / 255, atol=1e-6)


def test_half_precision_scores_alike() -> None:
    """Tiny, for bfloat16 is emulated on many processors."""
    torch.manual_seed(0)
    exact = conv_lstm(size=(16, 16), clip_length=2).eval()
    half = conv_lstm(size=(16, 16), clip_length=2, training=Training(precision="bf16")).eval()
    half.net.load_state_dict(exact.net.state_dict())
    given = clips((2, 1, 2, 16, 16))
    values = half.score(given).value
    np.testing.assert_allclose(values, exact.score(given).value, rtol=0.01)
    assert not np.array_equal(half.reconstruct(given)[1], exact.reconstruct(given)[1])


def test_a_place_that_is_copied_badly_is_hot() -> None:
    detector = conv_lstm(size=(48, 64), clip_length=4).eval()

    class Copies(nn.Module):
        """A network that has learned everything but one corner."""

        def __init__(self) -> None:
            super().__init__()
            self.any = nn.Parameter(torch.zeros(1))

        def forward(self, clip: Tensor) -> Tensor:
            made = clip.clone()
            made[..., 30:40, 40:52] = 1 - made[..., 30:40, 40:52]
            return made

    detector.net = Copies()
    given = clips((2, 1, 4, 48, 64))
    heat = detector.score(given).map
    assert heat is not None
    row, column = np.unravel_index(heat[0].argmax(), heat[0].shape)
    assert 30 <= ERROR_CELL * row + 2 <= 40
    assert 40 <= ERROR_CELL * column + 2 <= 52
    assert heat[0][:4, :6].max() == 0


@pytest.mark.parametrize("task", ["copy", "predict"])
def test_motion_weighs_what_changes(task: Any) -> None:
    detector = conv_lstm(
        size=(32, 48), clip_length=4, motion_weight=9.0, task=task, error_of="frame"
    )
    T = detector.spec.length
    pixels = torch.full((1, 1, T, 32, 48), 100, dtype=torch.uint8)
    pixels[:, :, :, 10:20, 10:20] = torch.arange(T, dtype=torch.uint8)[:, None, None] * 40
    given, wanted, weight = detector.exercise(pixels)
    assert given.shape[2] == 4
    assert wanted.shape[2] == (1 if task == "predict" else T)
    assert float(weight[0, 0, -1, 15, 15]) == 10
    assert float(weight[0, 0, -1, 28, 40]) == 1


def test_what_is_predicted_has_not_been_seen() -> None:
    detector = conv_lstm(size=(32, 48), clip_length=4, task="predict", error_of="frame").eval()
    one = clips((1, 1, 5, 32, 48))
    other = Clips(one.pixels.copy(), "film", one.frame_index, one.seconds, one.times)
    other.pixels[:, :, -1] = 0
    np.testing.assert_array_equal(detector.reconstruct(one)[1], detector.reconstruct(other)[1])
    assert detector.score(one).value != detector.score(other).value


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (C3D, {"clip_length": 8}, "a multiple of 16 frames, got 8"),
        (C3D, {"size": (100, 100)}, "sides of 16"),
        (ConvLSTM, {"size": (224, 225)}, "sides of 8"),
        (ConvLSTM, {"size": (8, 8)}, "size is from 16 to"),
        (ConvLSTM, {"clip_length": 1}, "clip_length is from 2 to"),
        (ConvLSTM, {"frame_step": 0}, "frame_step is from 1 to"),
        (ConvLSTM, {"task": "predict"}, "--error-of frame"),
        (ConvLSTM, {"motion_weight": -1.0}, "motion_weight is from 0 to 100"),
    ],
)
def test_impossible_options_are_refused(kind: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(reconstruction=ReconstructionOptions(**options))


def test_videos_shorter_than_a_clip_are_refused_in_one_line(tmp_path: Path) -> None:
    path = film(tmp_path / "short.mp4", 10)
    with pytest.raises(
        BadInput,
        match=r"none of 1 videos gives a clip of 16 frames \(short: has 10 frames, a clip needs 16\)",
    ):
        c3d(size=(32, 48)).fit([video_of(path)], Run(tmp_path))
    with pytest.raises(BadInput, match="none of 0 videos gives a clip"):
        c3d(size=(32, 48)).fit([], Run(tmp_path))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save(c3d(size=(32, 48)), tmp_path / "c3d")
    save(c3d(size=(32, 48), network="deep"), tmp_path / "deep")
    (tmp_path / "c3d" / "state.safetensors").write_bytes(
        (tmp_path / "deep" / "state.safetensors").read_bytes()
    )
    with pytest.raises(BadRun, match="does not fit a c3d with these options"):
        load(tmp_path / "c3d")


def test_a_short_film_is_scored_from_its_first_whole_clip(tmp_path: Path) -> None:
    video: Video = video_of(film(tmp_path / "film.mp4", 20))
    detector = c3d(size=(32, 48)).eval()
    found = [
        detector.score(part) for part in clips_of(read(video, detector.spec), detector.spec, "film")
    ]
    assert [frame for scores in found for frame in scores.frame] == [15, 16, 17, 18, 19]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"netwrok": "deep"}, "no option of c3d is called 'netwrok'; did you mean 'network'"),
        (
            {"reconstruction": {"clip_length": 5}},
            "c3d: a clip of c3d has a multiple of 16 frames, got 5",
        ),
        ({"training": {"epochs": 0}}, "c3d: epochs is from 1 to"),
        ({"training": {"epocs": 1}}, "c3d: .*epocs"),
    ],
)
def test_wrong_options_in_python_are_one_line(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=told):
        oddframe.fit("c3d", tmp_path, out=tmp_path / "run", options=options)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epoch", "3"], "did you mean --epochs?"),
        (["--epochs", "many"], "--epochs takes a whole number, got 'many'"),
        (["--schedule", "cosin"], "--schedule takes one of constant, step"),
        (["--config", "recipe.yaml"], "training has no option 'epocs', did you mean 'epochs'?"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text("training:\n  epocs: 3\n")
    assert main(["fit", "c3d", "nowhere", "--out", "run", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_understood(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says how it is used: that line is parsed."""
    said = [line.removeprefix("#").split() for line in recipe.read_text().splitlines()]
    command = next(words for words in said if words[:2] == ["oddframe", "fit"])
    assert f"recipes/{recipe.name}" in command
    words = [str(recipe) if word.startswith("recipes/") else word for word in command[1:]]
    assert main([*words, "--print_config"]) == 0
    assert "epochs" in capsys.readouterr().out


def test_statistics_of_batches_are_those_of_the_weights_as_they_are(tmp_path: Path) -> None:
    """After a short training the running ones are of weights of long ago."""
    video = video_of(film(tmp_path / "film.mp4", 40))
    torch.manual_seed(0)
    detector = conv_lstm(size=(32, 48), clip_length=2)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(3.0)  # type: ignore[union-attr]
    data = RandomClips([video], detector.spec, count=40)
    given = detector.exercise(torch.stack([data[k].pixels for k in range(8)]))[0]
    with torch.no_grad():
        trained = detector.net.train()(given)
        before = detector.net.eval()(given)
        detector.renew_statistics(data)
        after = detector.net.eval()(given)
    assert float((before - trained).abs().mean()) > 5 * float((after - trained).abs().mean())


PUBLISHED = ("conv-lstm-ped2", "c3d-light-ped2", "c3d-deep-ped2")


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_recipes_as_published_begin_to_learn(recipe: str, tmp_path: Path) -> None:
    """A few steps, on smaller pictures, with everything else as the notebooks have it."""
    method = "conv-lstm" if recipe.startswith("conv-lstm") else "c3d"
    (tmp_path / "normal").mkdir()
    for k in range(2):
        frames = 50 if method == "conv-lstm" else 90  # a batch of four clips of each
        film(tmp_path / "normal" / f"{k}.mp4", frames, start=90 * k)
    words = ["fit", method, str(tmp_path / "normal"), "--out", str(tmp_path / "run")]
    words += ["--config", str(RECIPES / f"{recipe}.yaml"), "--size", "[16,16]", "--epochs", "1"]
    assert main(words) == 0
    detector = load(tmp_path / "run")
    assert isinstance(detector, Reconstruction)
    training = detector.training_options
    assert (training.optimizer, training.lr, training.momentum) == ("sgd", 0.01, 0.9)
    assert (training.batch, training.nesterov, training.schedule) == (4, True, "constant")
    assert detector.clip_length == (8 if method == "conv-lstm" else 16)
    assert (tmp_path / "run" / "logs" / "train.csv").is_file()


def test_a_clip_has_the_same_score_in_any_company() -> None:
    detector = c3d(size=(32, 48)).eval()
    given = clips((5, 1, 16, 32, 48))
    together = detector.score(given)
    for k in range(5):
        one = slice(k, k + 1)
        alone = detector.score(
            Clips(
                given.pixels[one],
                "film",
                given.frame_index[one],
                given.seconds[one],
                given.times[one],
            )
        )
        np.testing.assert_array_equal(alone.value, together.value[one])
        assert alone.map is not None
        assert together.map is not None
        np.testing.assert_array_equal(alone.map, together.map[one])


def test_options_of_the_group_are_few() -> None:
    for method in (ConvLSTM, C3D):
        beside = [name for name in method().options if name not in ("reconstruction", "training")]
        assert len(beside) <= 2
    assert len(fields(ReconstructionOptions)) <= 12
