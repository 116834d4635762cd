"""Half precision where it is safe, and channels last where it pays."""

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.network_detector import NetworkDetector
from oddframe.training.precision import (
    PrecisionChoice,
    SmallConvolutionsInFloat32,
    Support,
    autocast,
    bf16_support,
    channels_last,
    choose_precision,
    cpu_support,
    onednn_bf16,
    speed_ratio,
)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv3d(8, 16, 3, padding=1), (2, 8, 2, 8, 12)),
        (nn.Conv3d(8, 16, 5, padding=2), (2, 8, 4, 8, 12)),
        (nn.ConvTranspose3d(8, 16, 5, padding=2), (2, 8, 3, 8, 12)),
        (nn.Conv2d(8, 16, 7, padding=3), (2, 8, 4, 4)),
    ],
)
def test_small_inputs_of_large_kernels_have_exact_gradients(
    layer: Any, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    single = copy.deepcopy(layer)
    channels_last(layer)
    pixels = torch.randn(shape)
    (single(pixels) ** 2).mean().backward()
    for _ in range(3):
        layer.zero_grad()
        with autocast("cpu", "bf16"), SmallConvolutionsInFloat32():
            made = layer(pixels)
        assert made.dtype == torch.float32
        (made**2).mean().backward()
        torch.testing.assert_close(layer.weight.grad, single.weight.grad, rtol=1e-4, atol=1e-7)


def test_all_others_run_in_bfloat16() -> None:
    layer = nn.Conv3d(2, 4, 3, padding=1)
    with autocast("cpu", "bf16"), SmallConvolutionsInFloat32():
        assert layer(torch.randn(1, 2, 4, 8, 8)).dtype == torch.bfloat16
    with autocast("cpu", "float32"), SmallConvolutionsInFloat32():
        assert layer(torch.randn(1, 2, 2, 8, 8)).dtype == torch.float32


def test_channels_last_changes_the_layout_and_no_value() -> None:
    net = nn.Sequential(nn.Conv3d(2, 4, 3), nn.Conv2d(2, 4, 3), nn.Linear(2, 2))
    before = [parameter.clone() for parameter in net.parameters()]
    channels_last(net)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert net[1].weight.is_contiguous(memory_format=torch.channels_last)


NATIVE = Support(True, "this processor has avx512_bf16")
EMULATED = Support(False, "this processor has no bfloat16 instructions")


def trial_that_takes(**seconds: float) -> Any:
    """A piece of work of so many seconds in each precision."""

    def trial(precision: str) -> None:
        time.sleep(seconds[precision])

    return trial


@pytest.mark.parametrize(
    ("flags", "onednn", "native", "reason"),
    [
        ({"avx2": True, "avx512_bf16": False}, False, False, "no bfloat16 instructions"),
        ({"avx2": True}, True, False, "no bfloat16 instructions"),
        ({"avx512_bf16": True}, True, True, "has avx512_bf16"),
        ({"amx_bf16": True}, True, True, "has amx_bf16"),
        ({"bf16": True}, True, True, "has bf16"),
        ({"avx512_bf16": True}, False, False, "oneDNN does not use it"),
    ],
)
def test_a_processor_is_looked_at(
    flags: dict[str, bool], onednn: bool, native: bool, reason: str
) -> None:
    found = cpu_support(flags, onednn)
    assert found.native is native
    assert reason in found.reason


def test_this_processor_is_known() -> None:
    found = bf16_support("cpu")
    assert found == cpu_support(torch.cpu.get_capabilities(), onednn_bf16())


def test_where_bfloat16_is_emulated_nothing_is_tried() -> None:
    def trial(_: str) -> None:
        raise AssertionError("one emulated step can take minutes")

    choice = choose_precision("auto", "cpu", trial, support=EMULATED)
    assert choice == PrecisionChoice("float32", "this processor has no bfloat16 instructions")


@pytest.mark.parametrize(
    ("bf16", "chosen"), [(0.01, "bf16"), (0.027, "float32"), (0.06, "float32")]
)
def test_on_a_cpu_bfloat16_must_be_faster_by_a_fifth(bf16: float, chosen: str) -> None:
    trial = trial_that_takes(float32=0.03, bf16=bf16)
    choice = choose_precision("auto", "cpu", trial, support=NATIVE)
    assert choice.precision == chosen
    assert "times as fast as float32 in a trial of this network" in choice.reason


def test_without_a_trial_a_cpu_computes_in_float32() -> None:
    choice = choose_precision("auto", "cpu", support=NATIVE)
    assert choice == PrecisionChoice("float32", "bfloat16 was not tried against float32")


def test_a_gpu_is_not_tried() -> None:
    trial = trial_that_takes(float32=0.0, bf16=9.0)
    choice = choose_precision("auto", "cuda", trial, support=Support(True, "H100 has bfloat16"))
    assert choice == PrecisionChoice("bf16", "H100 has bfloat16")
    old = choose_precision("auto", "cuda", trial, support=Support(False, "V100 has no bfloat16"))
    assert old.precision == "float32"


@pytest.mark.parametrize("asked", ["bf16", "float32"])
def test_what_is_asked_for_is_obeyed(asked: Any) -> None:
    choice = choose_precision(asked, "cpu", support=EMULATED)
    assert choice == PrecisionChoice(asked, "as asked for")


def test_a_trial_leaves_the_random_state_alone() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    assert speed_ratio(lambda _: void(torch.rand(3))) > 0
    assert torch.equal(torch.get_rng_state(), before)


def void(_: Any) -> None:
    """Drops what it is given."""


class Small(NetworkDetector):
    """The smallest detector with a network."""

    name = "small"

    def __init__(self, *, training: Training = Training()) -> None:  # noqa: B008  frozen
        super().__init__()
        self.training_options = training
        self.net = nn.Linear(2, 2)

    @property
    def spec(self) -> Any:
        raise NotImplementedError

    def fit(self, videos: Any, run: Run) -> None:
        del videos
        self.choose_precision(self.net, torch.zeros(1, 2), run)

    def score(self, clips: Any) -> Any:
        raise NotImplementedError


def supports(monkeypatch: pytest.MonkeyPatch, support: Support) -> None:
    """Let every device be like this."""
    for module in ("precision", "network_detector"):
        monkeypatch.setattr(f"oddframe.training.{module}.bf16_support", lambda _: support)


def test_the_choice_is_of_the_run_and_not_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    monkeypatch.setattr("oddframe.training.precision.speed_ratio", lambda _: 1.7)
    supports(monkeypatch, NATIVE)
    fast = Small()
    fast.fit([], run)
    assert fast.precision == "bf16"
    assert "1.70 times as fast" in str(run.notes["precision"])

    slow = Small()
    supports(monkeypatch, EMULATED)
    slow.fit([], run)
    assert slow.precision == "float32"
    again = Small()
    again.load_state(fast.state(), fast.metadata())
    assert again.precision == "float32", "never emulated unless asked for"
    supports(monkeypatch, NATIVE)
    assert again.precision == "bf16"
    again.load_state(slow.state(), slow.metadata())
    assert again.precision == "float32", "the scores are those that it was calibrated with"


def test_bfloat16_that_was_asked_for_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    supports(monkeypatch, EMULATED)
    assert Small(training=Training(precision="bf16")).precision == "bf16"
    assert Small(training=Training(precision="float32")).precision == "float32"
