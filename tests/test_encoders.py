"""Ready-made networks: what they were published as, their weights, and the method built on them."""

import inspect
import re
import shutil
import types
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn

from films import film
from oddframe.cli.main import main, parser_of
from oddframe.cli.parser import nested
from oddframe.embeddings.head import AUTOENCODER_TRAINING, HeadOptions
from oddframe.embeddings.heads.autoencoder import AutoencoderNetwork
from oddframe.errors import BadInput
from oddframe.methods.embedding import encoders
from oddframe.methods.embedding import pretrained as weights
from oddframe.methods.embedding.encoders import (
    ENCODERS,
    Encoder,
    FrameAverage,
    encoder_named,
    normalise,
)
from oddframe.methods.embedding.finetuning import finetune, unfreeze
from oddframe.methods.embedding.slowfast import SlowFastR50, SlowR50, pooled
from oddframe.methods.embedding.timesformer import DividedAttention, TimeSformer
from oddframe.registry import members
from oddframe.run import Run
from oddframe.serialization import load, save
from oddframe.types import Clips, ClipSpec, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read

Embedding = members("methods")["embedding"]
OURS = [one for one in ENCODERS if not one.foreign]


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# The networks.


@pytest.mark.parametrize("name", [one.name for one in OURS])
def test_an_encoder_gives_as_many_numbers_as_it_says(name: str) -> None:
    one = encoder_named(name)
    with torch.device("meta"):  # shapes without numbers
        net = one.make(one.clip_length, one.size).eval()
        assert net(torch.zeros(2, 3, one.clip_length, one.size, one.size)).shape == (2, one.width)


def filled(one: Encoder, start: int) -> nn.Module:
    """The network with other numbers in every tensor, without the time that drawing them takes."""
    with torch.device("meta"):
        net = one.make(4, 64)
    net.to_empty(device="cpu")
    for k, value in enumerate(net.state_dict().values(), start):
        value.fill_(k)
    return net


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # with the 400 classes of Kinetics: PyTorchVideo's model zoo says 32.45 and 34.57 million
        pytest.param("slow", 32_454_096, id="slow-r50"),
        pytest.param("slowfast", 34_566_488, id="slowfast-r50"),
        # torchvision's own numbers, less the classifier of 512 × 400 + 400
        pytest.param("r2plus1d-18", 31_505_325 - 205_200, id="r2plus1d-18"),
        pytest.param("r3d-18", 33_371_472 - 205_200, id="r3d-18"),
    ],
)
def test_networks_have_the_published_number_of_parameters(name: str, published: int) -> None:
    made = {"slow": lambda: SlowR50(400), "slowfast": lambda: SlowFastR50(400)}
    with torch.device("meta"):
        net = made[name]() if name in made else encoder_named(name).make(16, 112)
    assert count(net) == published


def test_slowfast_has_the_published_names() -> None:
    """Some of each sort, written down from PyTorchVideo's definition."""
    with torch.device("meta"):
        held = {key: tuple(value.shape) for key, value in SlowFastR50(400).state_dict().items()}
    assert held["blocks.0.multipathway_blocks.1.conv.weight"] == (8, 3, 5, 7, 7)
    assert held["blocks.0.multipathway_fusion.conv_fast_to_slow.weight"] == (16, 8, 7, 1, 1)
    assert held["blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight"] == (
        256,
        80,
        1,
        1,
        1,
    )
    assert held["blocks.1.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight"] == (
        64,
        80,
        1,
        1,
        1,
    )
    assert held["blocks.3.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight"] == (
        256,
        640,
        3,
        1,
        1,
    )
    assert held["blocks.4.multipathway_blocks.1.res_blocks.2.branch2.norm_c.running_var"] == (256,)
    assert held["blocks.3.multipathway_fusion.norm.weight"] == (256,)
    assert not [key for key in held if key.startswith(("blocks.4.multipathway_fusion", "blocks.5"))]
    assert held["blocks.6.proj.weight"] == (400, 2304)
    with torch.device("meta"):
        slow = SlowR50(400).state_dict()
    assert tuple(slow["blocks.2.res_blocks.0.branch1_norm.weight"].shape) == (512,)
    assert tuple(slow["blocks.5.proj.weight"].shape) == (400, 2048)


def test_timesformer_has_the_published_names_and_number() -> None:
    with torch.device("meta"):
        net = TimeSformer()
    held = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    assert len(held) == 5 + 12 * 20 + 2
    assert held["embeddings.position_embeddings"] == (1, 197, 768)
    assert held["embeddings.patch_embeddings.projection.weight"] == (768, 3, 16, 16)
    assert held["encoder.layer.0.temporal_attention.attention.qkv.weight"] == (2304, 768)
    assert held["encoder.layer.11.attention.output.dense.bias"] == (768,)
    assert held["encoder.layer.5.intermediate.dense.weight"] == (3072, 768)
    assert round((count(net) + 768 * 400 + 400) / 1e6, 1) == 121.6  # the paper says 121.4


def test_divided_attention_is_what_the_paper_says() -> None:
    """One layer against loops over patches and frames, in float64."""
    torch.manual_seed(0)
    N, P, T, D, heads = 2, 3, 4, 8, 2
    layer = DividedAttention(D, heads).double()
    x = torch.randn(N, 1 + P * T, D, dtype=torch.float64)

    def attend(attention: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        q, k, v = attention.attention.qkv(tokens).chunk(3, -1)
        out = []
        for h in range(heads):
            part = slice(h * D // heads, (h + 1) * D // heads)
            weight = (q[:, part] @ k[:, part].T / (D // heads) ** 0.5).softmax(-1)
            out.append(weight @ v[:, part])
        return attention.output.dense(torch.cat(out, -1))

    wanted = x.clone()
    for n in range(N):
        tokens = x[n, 1:].reshape(P, T, D).clone()
        for p in range(P):
            mixed = attend(layer.temporal_attention, layer.temporal_layernorm(tokens[p]))
            tokens[p] = tokens[p] + layer.temporal_dense(mixed)
        space, first = torch.zeros(P, T, D, dtype=x.dtype), []
        for t in range(T):
            frame = torch.cat([x[n, :1], tokens[:, t]])
            mixed = attend(layer.attention, layer.layernorm_before(frame))
            first.append(mixed[0])
            space[:, t] = mixed[1:]
        y = torch.cat([x[n, :1] + torch.stack(first).mean(0), (tokens + space).reshape(P * T, D)])
        inner = nn.functional.gelu(layer.intermediate.dense(layer.layernorm_after(y)))
        wanted[n] = y + layer.output.dense(inner)
    np.testing.assert_allclose(layer(x, T).detach(), wanted.detach(), rtol=1e-10, atol=1e-12)


def test_timesformer_takes_other_sizes_and_knows_place_and_time() -> None:
    torch.manual_seed(0)
    net = TimeSformer(size=32, clip_length=4, width=16, depth=2, heads=2).eval()
    nn.init.normal_(net.embeddings.time_embeddings)
    x = torch.randn(1, 3, 4, 32, 32)
    assert net(x).shape == (1, 16)
    assert net(torch.randn(2, 3, 6, 48, 32)).shape == (2, 16)
    assert not torch.allclose(net(x), net(x.flip(2)), atol=1e-4), "time has a direction"
    assert not torch.allclose(net(x), net(x.roll(16, 4)), atol=1e-4), "place matters"


def test_the_slow_pathway_and_the_pooling_are_as_published() -> None:
    x = torch.randn(2, 5, 4, 8, 8, dtype=torch.float64)
    wanted = np.mean(
        [x[:, :, :, a : a + 7, b : b + 7].mean((2, 3, 4)) for a in (0, 1) for b in (0, 1)], axis=0
    )
    np.testing.assert_allclose(pooled(x), wanted, rtol=1e-12)
    seen: list[torch.Tensor] = []
    net = SlowFastR50().eval()
    net.blocks[0].multipathway_blocks[0].register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )
    frames = torch.arange(32.0).view(1, 1, 32, 1, 1).expand(1, 3, 32, 32, 32)
    with torch.inference_mode():
        net(frames)
    assert seen[0][0, 0, :, 0, 0].tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


def test_pictures_are_averaged_over_time() -> None:
    net = FrameAverage(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)))
    x = torch.randn(2, 3, 7, 2, 2)
    wanted = torch.stack([net.picture(x[:, :, t]) for t in range(7)]).mean(0)
    torch.testing.assert_close(net(x), wanted)


def test_colours_are_those_of_training() -> None:
    one = encoder_named("r2plus1d-18")
    pixels = torch.full((1, 3, 2, 4, 4), 51, dtype=torch.uint8)
    got = normalise(pixels, one)[0, :, 0, 0, 0]
    wanted = [
        (0.2 - m) / d
        for m, d in zip((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989), strict=True)
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "frames", "side", "why"),
    [
        pytest.param(
            "mvit-v2-s", 16, 112, "takes 16 frames of 224² pixels and no others", id="fixed"
        ),
        pytest.param("slowfast-r50", 10, 256, "a multiple of 4 frames, got 10", id="frames"),
        pytest.param(
            "timesformer", 8, 100, "multiple of 16 and at least 16, got 100", id="patches"
        ),
        pytest.param("r3d-18", 8, 8, "at least 16, got 8", id="tiny"),
        pytest.param("r3d", 8, 112, "network is one of r2plus1d-18", id="no such"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name: str, frames: int, side: int, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        Embedding(network=name, clip_length=frames, size=side)


# Weights.


@pytest.mark.parametrize(
    ("name", "classifier", "wrapped", "prefix"),
    [
        pytest.param("r3d-18", "fc.weight", None, "", id="torchvision"),
        pytest.param("slow-r50", "blocks.5.proj.weight", "model_state", "", id="pytorchvideo"),
        pytest.param(
            "slowfast-r50",
            "blocks.6.proj.weight",
            "model_state",
            "",
            id="pytorchvideo, two pathways",
        ),
        pytest.param("image-resnet18", "fc.bias", "state_dict", "module.", id="from several GPUs"),
    ],
)
def test_published_files_are_loaded(
    name: str, classifier: str, wrapped: str | None, prefix: str, tmp_path: Path
) -> None:
    one = encoder_named(name)
    theirs, ours = filled(one, 1), filled(one, 0)
    state = {
        prefix + key.removeprefix("picture."): value for key, value in theirs.state_dict().items()
    }
    state[prefix + classifier] = torch.zeros(4)
    torch.save({wrapped: state, "epoch": 3} if wrapped else state, tmp_path / "weights.pth")
    told, head = weights.load_pretrained(ours, one, str(tmp_path / "weights.pth"))
    assert not head
    assert told == str(tmp_path / "weights.pth")
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_timesformers_weights_are_loaded_under_the_hubs_names(tmp_path: Path) -> None:
    small = {"size": 32, "clip_length": 2, "width": 16, "depth": 1, "heads": 2}
    theirs, ours = TimeSformer(**small), TimeSformer(**small)
    state = {f"timesformer.{key}": value for key, value in theirs.state_dict().items()}
    torch.save(state | {"classifier.weight": torch.zeros(400, 16)}, tmp_path / "pytorch_model.bin")
    weights.load_pretrained(ours, encoder_named("timesformer"), str(tmp_path / "pytorch_model.bin"))
    assert torch.equal(
        ours.encoder.layer[0].temporal_dense.weight, theirs.encoder.layer[0].temporal_dense.weight
    )


TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def test_videomae_is_what_its_library_says_before_the_classifier(tmp_path: Path) -> None:
    library = pytest.importorskip("transformers")
    small = {"intermediate_size": 64, "use_mean_pooling": True, **TINY}
    sizes = {"num_frames": 4, "image_size": 32, **small}
    torch.manual_seed(0)
    theirs = library.VideoMAEForVideoClassification(
        library.VideoMAEConfig(num_labels=5, **sizes)
    ).eval()
    for (
        value
    ) in theirs.parameters():  # biases and norms are 0 and 1 at the start, and would hide a slip
        nn.init.normal_(value, std=0.3)
    state = {
        re.sub(
            r"attention\.(query|value)\.bias$", lambda found: f"attention.{found[1][0]}_bias", key
        ): value
        for key, value in theirs.state_dict().items()
    }
    assert (
        "videomae.encoder.layer.0.attention.attention.q_bias" in state
    )  # as the hub's file has it
    torch.save(state, tmp_path / "pytorch_model.bin")
    ours = encoders.make_transformers("VideoMAE", "pixel_values", small, 4, 32).eval()
    weights.load_pretrained(ours, encoder_named("videomae-b"), str(tmp_path / "pytorch_model.bin"))
    clip = torch.rand(2, 3, 4, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(
            theirs.classifier(ours(clip)), theirs(clip.transpose(1, 2)).logits, atol=1e-5
        )


def test_vjepa2_is_what_its_library_says_without_the_predictor(tmp_path: Path) -> None:
    library = pytest.importorskip("transformers")
    tensors = pytest.importorskip("safetensors.torch")
    small = {
        "pred_hidden_size": 24,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
        **TINY,
    }
    torch.manual_seed(0)
    theirs = library.VJEPA2Model(
        library.VJEPA2Config(frames_per_clip=4, crop_size=32, **small)
    ).eval()
    for value in theirs.parameters():
        nn.init.normal_(value, std=0.3)
    tensors.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = encoders.make_transformers("VJEPA2", "pixel_values_videos", small, 4, 32).eval()
    weights.load_pretrained(ours, encoder_named("vjepa2-l"), str(tmp_path / "model.safetensors"))
    clip = torch.rand(2, 3, 4, 32, 32)
    with torch.inference_mode():
        tokens = theirs.get_vision_features(clip.transpose(1, 2))
        assert torch.allclose(ours(clip), tokens.mean(1), atol=1e-5)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:500])
    with pytest.raises(BadInput, match=r"cut\.safetensors is damaged"):
        weights.load_pretrained(ours, encoder_named("vjepa2-l"), str(tmp_path / "cut.safetensors"))


@pytest.mark.parametrize(
    ("name", "published"), [("videomae-b", 86_227_200), ("vjepa2-l", 325_971_328)]
)
def test_networks_of_the_transformers_library_have_their_published_sizes(
    name: str, published: int
) -> None:
    pytest.importorskip("transformers")
    one = encoder_named(name)
    with torch.device("meta"):
        net = one.make(one.clip_length, one.size).eval()
    assert count(net) == published
    with torch.device("meta"):
        assert net(torch.zeros(1, 3, one.clip_length, one.size, one.size)).shape == (1, one.width)


def test_the_transformers_hub_that_cannot_be_reached_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = pytest.importorskip("transformers")

    def unreachable(repository: str) -> None:
        raise OSError(f"cannot find {repository}\nand more lines")

    monkeypatch.setattr(library.VJEPA2Model, "from_pretrained", unreachable)
    with pytest.raises(
        BadInput, match=r"cannot get the weights of vjepa2-l from https://huggingface\.co"
    ) as caught:
        weights.load_pretrained(nn.Linear(1, 1), encoder_named("vjepa2-l"), "hub")
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    one = encoder_named("image-resnet18")
    net = filled(one, 0)
    assert isinstance(net, FrameAverage)
    state = dict(net.picture.state_dict())
    cases = {
        "missing": (
            {key: value for key, value in state.items() if key != "conv1.weight"},
            r"1 missing \(picture\.conv1\.weight\)",
        ),
        "unexpected": (state | {"extra.weight": torch.zeros(2)}, r"1 unexpected \(extra\.weight\)"),
        "shape": (
            state | {"bn1.bias": torch.zeros(3)},
            r"1 of another shape \(picture\.bn1\.bias is \(3,\) there and \(64,\) here\)",
        ),
    }
    for name, (held, why) in cases.items():
        torch.save(held, tmp_path / f"{name}.pth")
        with pytest.raises(BadInput, match=why) as caught:
            weights.load_pretrained(net, one, str(tmp_path / f"{name}.pth"))
        assert "\n" not in str(caught.value)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    one = encoder_named("r3d-18")
    (tmp_path / "text.pth").write_text("hello")
    torch.save(nn.Linear(2, 2), tmp_path / "code.pth")
    for name, why in (
        ("none.pth", "no such file"),
        ("text.pth", "damaged"),
        ("code.pth", "holds code .* which is not run"),
    ):
        with pytest.raises(BadInput, match=why):
            weights.load_pretrained(nn.Linear(1, 1), one, str(tmp_path / name))


def test_a_hub_that_cannot_be_reached_says_where_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route")

    caplog.set_level("INFO", logger="oddframe")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    one = encoder_named("image-resnet18")
    with pytest.raises(
        BadInput, match=r"cannot reach download\.pytorch\.org .*checkpoints/resnet18-f37072fd\.pth"
    ):
        weights.load_pretrained(nn.Linear(1, 1), one, "hub")
    assert "BSD-3-Clause" in caplog.text
    net = filled(one, 0)  # a file that was brought there is taken without a network
    torch.save(net.picture.state_dict(), tmp_path / "checkpoints" / one.file)
    assert "resnet18-f37072fd" in weights.load_pretrained(filled(one, 0), one, "hub")[0]


def test_a_library_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> types.ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(encoders, "import_module", absent)
    with pytest.raises(BadInput, match=r"needs transformers.*pip install 'oddframe\[hub\]'"):
        encoder_named("vjepa2-l").make(16, 256)
    with pytest.raises(BadInput, match=r"needs torchvision.*pip install 'oddframe\[networks\]'"):
        encoder_named("r3d-18").make(16, 112)


def test_every_encoder_says_where_its_weights_are_and_on_what_terms() -> None:
    for one in ENCODERS:
        assert one.url.startswith("https://")
        assert "trained on" in one.terms
        one.check(one.clip_length, one.size)


# The method.


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("moving")
    return [Video(f"m{k}", film(folder / f"{k}.mp4", 40, start=30 * k)) for k in range(3)]


SMALL = {
    "network": "image-resnet18",
    "clip_length": 2,
    "clip_seconds": 0.2,
    "hop_seconds": 0.2,
    "size": 32,
}


def clips(video: Video, spec: ClipSpec) -> Clips:
    return next(clips_of(read(video, spec), spec, video.name, 4))


def test_the_network_stays_in_eval_mode_whatever_is_asked(
    moving: list[Video], tmp_path: Path
) -> None:
    detector = Embedding(**SMALL)
    detector.fit(moving, Run(tmp_path))
    before = {key: value.clone() for key, value in detector.net.state_dict().items()}
    detector.train()
    assert not any(module.training for module in detector.net.modules())
    assert detector.head.training
    some = torch.from_numpy(clips(moving[0], detector.spec).pixels)
    with torch.inference_mode():
        one = detector.embed(some)
        two = torch.cat([detector.embed(some[k : k + 1]) for k in range(len(some))])
    assert torch.equal(one, two)
    for key, value in detector.net.state_dict().items():
        assert torch.equal(before[key], value)


def test_clips_last_as_long_as_asked() -> None:
    spec = Embedding(network="r2plus1d-18").spec
    assert (spec.length, spec.fps, spec.hop, spec.size) == (16, 16, 8, (112, 112))
    spec = Embedding(network="timesformer", clip_seconds=4, hop_seconds=1).spec
    assert (spec.length, spec.fps, spec.hop, spec.size) == (8, 2, 2, (224, 224))
    for wrong in (
        {"clip_seconds": 0.0},
        {"hop_seconds": -1.0},
        {"unfreeze_epoch": 30},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Embedding(**wrong)


def test_another_head_uses_the_same_embeddings(
    moving: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what is chosen by a trial of the processor may differ from one fit to the next
    options = {**SMALL, "precision": "float32"}
    run = Run(tmp_path / "a", cache=tmp_path / "cache")
    Embedding(**options).fit(moving, run)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(kept) == 3
    monkeypatch.setattr(Embedding, "embed", None)
    for head in ("centroid", "mahalanobis", "mixture"):
        Embedding(**options, head=HeadOptions(name=head)).fit(
            moving, Run(tmp_path / "b", cache=tmp_path / "cache")
        )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == kept


def test_a_run_of_ones_own_embeds_for_another_head(moving: list[Video], tmp_path: Path) -> None:
    first = Embedding(**SMALL)
    first.fit(moving, Run(tmp_path / "a", cache=tmp_path / "cache"))
    save(first, tmp_path / "run")
    other = Embedding(
        network="run", weights=str(tmp_path / "run"), head=HeadOptions(name="mahalanobis")
    )
    assert other.spec == first.spec
    other.fit(moving, Run(tmp_path / "b"))
    save(other, tmp_path / "other")
    some = clips(moving[1], first.spec)
    with torch.inference_mode():
        pixels = torch.from_numpy(some.pixels)
        assert torch.equal(other.embed(pixels), first.embed(pixels))
        wanted = other.eval().score(some).value
        shutil.rmtree(tmp_path / "run")  # a run is whole without what it was made from
        again = load(tmp_path / "other")
        np.testing.assert_array_equal(again.score(some).value, wanted)
    assert again.spec == first.spec
    with pytest.raises(BadInput, match="no such run folder"):
        Embedding(network="run", weights=str(tmp_path / "run")).fit(moving, Run(tmp_path / "c"))
    with pytest.raises(ValueError, match="a run cuts video as it did"):
        Embedding(network="run", weights="x", size=64)
    save(members("methods")["constant"](), tmp_path / "constant")
    with pytest.raises(BadInput, match="a run of constant, which has no embeddings"):
        Embedding(network="run", weights=str(tmp_path / "constant"))


def test_finetuning_moves_what_it_may_and_nothing_else(moving: list[Video], tmp_path: Path) -> None:
    training = replace(AUTOENCODER_TRAINING, epochs=3, batch=8)
    detector = Embedding(
        **SMALL,
        head=HeadOptions(name="autoencoder", layers=(16, 8), training=training),
        unfreeze_epoch=2,
        unfreeze_from="picture.layer4",
    )
    frozen = Embedding(**SMALL)
    frozen.fit(moving, Run(tmp_path / "frozen"))
    detector.fit(moving, Run(tmp_path / "tuned"))
    moved = [
        key
        for key, value in frozen.net.state_dict().items()
        if not torch.equal(value, detector.net.state_dict()[key])
    ]
    assert moved
    assert all(key.startswith("picture.layer4") for key in moved)
    assert not [key for key in moved if "running" in key], "batch norm does not move"
    with pytest.raises(
        BadInput, match=r"unfreeze_from is a number below .* or the beginning .* got 'layer9'"
    ):
        Embedding(
            **SMALL,
            head=HeadOptions(name="autoencoder", training=training),
            unfreeze_epoch=1,
            unfreeze_from="layer9",
        ).fit(moving, Run(tmp_path / "no"))


def test_unfreezing_counts_parameters_as_the_network_does() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert unfreeze(net, "3") == ["1.bias"]
    assert [p.requires_grad for p in net.parameters()] == [False, False, False, True]
    assert unfreeze(net, "1") == ["0.bias", "1.weight", "1.bias"], (
        "a number, even if a name begins with it"
    )


def test_a_detached_target_does_not_collapse(moving: list[Video], tmp_path: Path) -> None:
    """The original's target lets the encoder shrink what has to be reconstructed."""
    spec = ClipSpec(length=1, size=(8, 8), colour="grey", fps=10)
    training = replace(
        AUTOENCODER_TRAINING, epochs=15, batch=16, lr=6e-3, schedule="constant", keep="last"
    )
    spread = {}
    for detach in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
        rows = finetune(
            net,
            AutoencoderNetwork(16, (8, 4), 0.0, False),
            lambda pixels: pixels.float() / 64,
            moving,
            spec,
            Run(tmp_path / str(detach)),
            training,
            clips=48,
            detach=detach,
        )
        spread[detach] = rows[-1]["spread"] / rows[0]["spread"]
    assert 0.5 < spread[True] < 2, "nor does it grow without bounds"
    assert spread[False] < 0.5 * spread[True]


@pytest.mark.parametrize(
    "recipe",
    sorted((Path(__file__).parents[1] / "recipes").glob("embedding-*.yaml")),
    ids=lambda path: path.stem,
)
def test_recipes_are_understood_and_unfreeze_what_there_is(recipe: Path) -> None:
    command = parser_of("fit", "embedding")
    given = command.parse(["data", "--out", "run", "--config", str(recipe)])
    options = nested(command.with_defaults(given))
    names = inspect.signature(Embedding).parameters
    detector = Embedding.of({name: options[name] for name in names})
    assert detector.head.name == "autoencoder"
    assert detector.weights == "hub"
    assert detector.head.options.training.optimizer == "adam"
    if detector.unfreeze_epoch is not None:
        with torch.device("meta"):
            net = detector.encoder.make(detector.clip_length, detector.size)
        assert 0 < len(unfreeze(net, detector.unfreeze_from)) < len(list(net.parameters()))


def test_weights_laid_out_channels_last_are_saved_as_they_are(
    moving: list[Video], tmp_path: Path
) -> None:
    """The format of the state takes memory as it lies; layouts other than numpy's own would come back scrambled."""
    detector = Embedding(**SMALL)
    detector.fit(moving[:1], Run(tmp_path / "fit"))
    assert not detector.net.picture.conv1.weight.is_contiguous()
    save(detector, tmp_path)
    again = load(tmp_path)
    for name, value in detector.net.state_dict().items():
        assert torch.equal(again.net.state_dict()[name], value), name


def test_a_published_configuration_starts(moving: list[Video], tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "embedding-r2plus1d-2.yaml"
    words = ["fit", "embedding", str(moving[0].source.parent), "--out", str(tmp_path / "run")]
    words += ["--config", str(recipe), "--weights", "random", "--size", "16", "--clip-length", "2"]
    words += ["--epochs", "2", "--unfreeze-epoch", "1", "--cache", str(tmp_path / "cache")]
    assert main(words) == 0
    found = load(tmp_path / "run")
    assert found.head.options.layers == (384, 256, 128)


@pytest.mark.parametrize("resample_short", ["classes", "always", "never"])
def test_short_clips_are_sampled_to_the_networks_length(
    tmp_path: Path, resample_short: str
) -> None:
    """As the original samples a film: indices at equal distances, truncated, some of them twice."""
    sources = [film(tmp_path / f"{k}.mp4", count) for k, count in enumerate((5, 40))]
    for label in (None, "walk"):
        videos = [Video(f"v{k}", path, label=label) for k, path in enumerate(sources)]
        detector = Embedding(
            **{**SMALL, "clip_length": 8, "clip_seconds": 0.32}, resample_short=resample_short
        )
        run = Run(tmp_path / f"{resample_short}-{label}")
        detector.fit(videos, run)
        sampled = resample_short == "always" or (resample_short == "classes" and label is not None)
        counts = [len(one) for one in detector.embed_videos(videos, run)]
        assert counts == [1 if sampled else 0, counts[1]]
        assert counts[1] > 1
        save(detector, run.folder / "saved")
        again = load(run.folder / "saved")
        assert again.spec == detector.spec
        cut = list(clips_of(read(videos[0], again.spec), again.spec, "short"))
        assert len(cut) == sampled
        if sampled:
            frames = np.stack([frame.pixels for frame in read(videos[0], again.spec)])
            wanted = frames[[0, 0, 1, 1, 2, 2, 3, 4]].transpose(3, 0, 1, 2)
            np.testing.assert_array_equal(cut[0].pixels[0], wanted)
            assert cut[0].frame_index.tolist() == [4]
            assert np.isfinite(again.score(cut[0]).value).all()


def test_the_published_autoencoder_is_loaded_with_its_head(
    moving: list[Video], tmp_path: Path
) -> None:
    """Names as its authors' module has them: base_model.base_model.…, encoder.batchNorm1, decoder.layer_3."""
    torch.manual_seed(1)
    width, sizes = 512, (16, 12, 8)
    net = encoder_named("image-resnet18").make(2, 32)
    state = {f"base_model.base_model.{key}": value for key, value in net.state_dict().items()}
    norm = nn.BatchNorm1d(width).state_dict()
    state |= {f"encoder.batchNorm1.{key}": value for key, value in norm.items()}
    into, out = (width, *sizes), (*reversed(sizes), width)
    layers = {}
    for k in range(3):
        layers[f"encoder.layer_{k + 1}"] = nn.Linear(into[k], into[k + 1])
        layers[f"decoder.layer_{3 - k}"] = nn.Linear(out[k], out[k + 1])
    for name, layer in layers.items():
        state |= {f"{name}.{key}": value for key, value in layer.state_dict().items()}
    torch.save({"model_state_dict": state, "epoch": 29}, tmp_path / "best.pth")
    head = HeadOptions(name="autoencoder", layers=sizes)
    detector = Embedding(
        **SMALL, weights=str(tmp_path / "best.pth"), head=head, precision="float32"
    )
    run = Run(tmp_path / "run")
    detector.fit(moving, run)
    assert "head" not in run.notes, "nothing was trained"
    e = detector.embed(torch.from_numpy(clips(moving[0], detector.spec).pixels)).double()
    x = e / np.sqrt(1 + 1e-5)
    for name in ("encoder.layer_1", "encoder.layer_2", "encoder.layer_3"):
        x = layers[name].double()(x).relu()
    for name in ("decoder.layer_3", "decoder.layer_2"):
        x = layers[name].double()(x).relu()
    wanted = (layers["decoder.layer_1"].double()(x) - e).square().sum(1)
    np.testing.assert_allclose(detector.head.distance(e).detach(), wanted.detach(), rtol=1e-6)
    other = HeadOptions(name="autoencoder", layers=(16, 8))
    with pytest.raises(BadInput, match="--layers must be as there"):
        Embedding(**SMALL, weights=str(tmp_path / "best.pth"), head=other).fit(moving, run)
