"""TCLR's networks are those that were published, and files with published weights are read whatever their keys.

The files themselves are not here: dictionaries with exactly their keys are.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oddframe.errors import BadInput
from oddframe.methods.tclr.networks import ContrastedNetwork, VideoNetwork, VideoResNet, load_tclr
from oddframe.training.checkpoints import put_published, read_published


def authors(network: VideoNetwork) -> nn.Module:
    """The backbone as the authors' code makes it: torchvision's with two modules replaced, without classifier."""
    from torchvision.models.video import r2plus1d_18, r3d_18

    net: Any = {"r3d18": r3d_18, "r2plus1d18": r2plus1d_18}[network](weights=None)
    net.layer4[0].conv1[0] = nn.Conv3d(
        256, 512, 3, stride=(1, 2, 2), padding=(2, 1, 1), dilation=(2, 1, 1), bias=False
    )
    net.layer4[0].downsample[0] = nn.Conv3d(256, 512, 1, stride=(1, 2, 2), bias=False)
    net.fc = nn.Identity()
    return net  # type: ignore[no-any-return]


@cache
def whole(network: VideoNetwork) -> ContrastedNetwork:
    torch.manual_seed(0)
    return ContrastedNetwork(network)


def count(module: nn.Module) -> int:
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"), [("r3d18", 33_166_272), ("r2plus1d18", 31_300_587)]
)
def test_parameters_are_as_published(network: VideoNetwork, parameters: int) -> None:
    model = whole(network)
    assert count(model[0]) == parameters
    assert count(model[1]) == 329_472


@pytest.mark.parametrize("network", ["r3d18", "r2plus1d18"])
def test_keys_are_torchvisions_without_the_classifier(network: VideoNetwork) -> None:
    own, theirs = whole(network)[0].state_dict(), authors(network).state_dict()
    assert list(own) == list(theirs)
    assert [part.shape for part in own.values()] == [part.shape for part in theirs.values()]


def test_the_head_has_the_published_keys() -> None:
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    expected = {
        "fc1.weight",
        "fc1.bias",
        "fc2.weight",
        *(f"bn{n}.{part}" for n in (1, 2) for part in norm),
    }
    assert set(whole("r3d18")[1].state_dict()) == expected


@pytest.mark.parametrize("network", ["r3d18", "r2plus1d18"])
def test_features_are_the_authors(network: VideoNetwork) -> None:
    """The same weights give the same features, here with the last pooling as theirs: time kept."""
    net: Any = authors(network).eval()
    own = VideoResNet(network).eval()
    own.load_state_dict(net.state_dict())
    net.avgpool = nn.AdaptiveAvgPool3d((4, 1, 1))
    clips = torch.rand(1, 3, 16, 32, 32)
    with torch.inference_mode():
        mine, theirs = own(clips), net(clips)
    assert mine.shape == (1, 512, 4, 1, 1)
    torch.testing.assert_close(mine.flatten(1), theirs)


def test_the_small_network_keeps_time_as_well() -> None:
    model = ContrastedNetwork("small").eval()
    with torch.inference_mode():
        assert model[0](torch.rand(2, 3, 16, 32, 32)).shape == (2, 128, 4, 1, 1)
        parts = model(torch.rand(2, 3, 16, 32, 32), by_time=True)
        assert len(parts) == 5
        torch.testing.assert_close(torch.stack(parts).norm(dim=2), torch.ones(5, 2))
        (one,) = model(torch.rand(2, 3, 16, 32, 32))
        assert one.shape == (2, 128)


def moved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Other values under the same names, so that a loader that does nothing is seen."""
    return OrderedDict((name, part + 1) for name, part in state.items())


KEYS: dict[str, Callable[[dict[str, Tensor]], dict[str, Any]]] = {
    "one GPU": lambda state: {"state_dict": state, "epoch": 3},
    "several GPUs": lambda state: {
        "state_dict": {f"module.{name}": part for name, part in state.items()}
    },
    "backbone alone": lambda state: {
        "bb_state_dict": {k[2:]: v for k, v in state.items() if k.startswith("0.")}
    },
    "backbone of several GPUs": lambda state: {
        "bb_state_dict": {f"module.{k[2:]}": v for k, v in state.items() if k.startswith("0.")}
    },
    "backbone by number": lambda state: {
        "bb_state_dict": {k: v for k, v in state.items() if k.startswith("0.")}
    },
    "with a classifier": lambda state: {
        "state_dict": {k[2:]: v for k, v in state.items() if k.startswith("0.")}
        | {"fc.weight": torch.zeros(102, 128), "fc.bias": torch.zeros(102)}
    },
    "bare": lambda state: state,
    "of an old torch": lambda state: {
        "state_dict": {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    },
}


@pytest.mark.parametrize("variant", KEYS)
def test_published_weights_are_read_under_all_their_names(variant: str, tmp_path: Path) -> None:
    model = ContrastedNetwork("small")
    before = {name: part.clone() for name, part in model.state_dict().items()}
    given = moved(before)
    torch.save(KEYS[variant](given), tmp_path / "published.pth")
    load_tclr(model, tmp_path / "published.pth")
    with_head = "backbone" not in variant and variant != "with a classifier"
    for name, part in model.state_dict().items():
        if name.endswith("num_batches_tracked") and variant == "of an old torch":
            continue
        held = given[name] if with_head or name.startswith("0.") else before[name]
        torch.testing.assert_close(part, held, msg=f"{name} of {variant}")


@pytest.mark.parametrize("network", ["r3d18", "r2plus1d18"])
def test_the_published_networks_load_whole(network: VideoNetwork, tmp_path: Path) -> None:
    given = {f"module.{name}": part for name, part in whole(network).state_dict().items()}
    torch.save({"state_dict": given}, tmp_path / "published.pth")
    fresh = ContrastedNetwork(network)
    load_tclr(fresh, tmp_path / "published.pth")
    torch.testing.assert_close(fresh.state_dict(), whole(network).state_dict())


def test_the_pickled_scaler_is_read_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published files hold the gradient scaler itself, under the name that it had in torch 1.9."""
    import torch.cuda.amp.grad_scaler as place

    class GradScaler:
        def __init__(self) -> None:
            from collections import defaultdict

            self._init_scale, self._enabled, self._scale = 65536.0, True, None
            self._per_optimizer_states: dict[Any, Any] = defaultdict(refresh)

    def refresh() -> dict[str, Any]:
        return {}

    GradScaler.__module__ = refresh.__module__ = place.__name__
    GradScaler.__qualname__, refresh.__qualname__ = "GradScaler", "_refresh_per_optimizer_state"
    model = ContrastedNetwork("small")
    given = moved(model.state_dict())
    with monkeypatch.context() as patched:
        patched.setattr(place, "GradScaler", GradScaler)
        patched.setattr(place, "_refresh_per_optimizer_state", refresh, raising=False)
        torch.save(
            {"state_dict": given, "amp_scaler": GradScaler(), "epoch": 7},
            tmp_path / "published.pth",
        )
    load_tclr(model, tmp_path / "published.pth")
    torch.testing.assert_close(model.state_dict(), dict(given))


class Other:
    """Something that a file of weights has no business to hold."""


def refused(model: ContrastedNetwork, path: Path) -> str:
    with pytest.raises(BadInput) as told:
        load_tclr(model, path)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_what_is_no_published_file_is_refused_in_one_line(tmp_path: Path) -> None:
    model, path = ContrastedNetwork("small"), tmp_path / "published.pth"
    assert "no such file" in refused(model, path)
    path.write_bytes(b"not weights")
    assert "damaged" in refused(model, path)
    torch.save({"epoch": 3}, path)
    assert "holds no weights" in refused(model, path)
    torch.save([1, 2], path)
    assert "holds no weights" in refused(model, path)
    torch.save({"state_dict": model.state_dict(), "with": Other()}, path)
    assert re.search(r"holds code \(.*Other\), which is not run", refused(model, path))


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    from torchvision.models.video import r2plus1d_18

    model, path = ContrastedNetwork("small"), tmp_path / "published.pth"
    state = model.state_dict()
    del state["0.layer3.0.conv1.0.weight"]
    state["0.layer5.0.weight"] = torch.zeros(1)
    torch.save({"state_dict": state}, path)
    told = refused(model, path)
    assert "1 missing (layer3.0.conv1.0.weight)" in told
    assert "1 unexpected (layer5.0.weight)" in told
    wide = whole("r3d18").state_dict()
    torch.save({"state_dict": wide}, path)
    assert re.search(
        r"of another shape \(stem.0.weight is \(64, 3, 3, 7, 7\) there", refused(model, path)
    )
    stock = r2plus1d_18(weights=None).state_dict()  # its last stage is not the published one
    torch.save(stock, path)
    told = refused(whole("r2plus1d18"), path)
    assert "layer4.0.conv1.0.weight" in told
    assert "layer4.0.conv1.0.0.weight" in told


def test_weights_go_in_whole_or_not_at_all() -> None:
    model = nn.Linear(2, 2)
    before = model.weight.clone()
    with pytest.raises(BadInput, match="another network"):
        put_published(model, {"weight": torch.ones(2, 2)})
    torch.testing.assert_close(model.weight, before)


def test_tensors_under_any_usual_name(tmp_path: Path) -> None:
    for name in ("state_dict", "bb_state_dict", "model_state_dict", "model"):
        torch.save({name: {"a": torch.ones(1)}}, tmp_path / "some.pth")
        assert list(read_published(tmp_path / "some.pth")) == ["a"]
