"""Half precision where it is safe, and channels last where it pays."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from oddframe.training.precision import SmallInSingle, autocast, channels_last


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
        with autocast("cpu", "bf16"), SmallInSingle():
            made = layer(pixels)
        assert made.dtype == torch.float32
        (made**2).mean().backward()
        torch.testing.assert_close(layer.weight.grad, single.weight.grad, rtol=1e-4, atol=1e-7)


def test_all_others_run_in_bfloat16() -> None:
    layer = nn.Conv3d(2, 4, 3, padding=1)
    with autocast("cpu", "bf16"), SmallInSingle():
        assert layer(torch.randn(1, 2, 4, 8, 8)).dtype == torch.bfloat16
    with autocast("cpu", "float32"), SmallInSingle():
        assert layer(torch.randn(1, 2, 2, 8, 8)).dtype == torch.float32


def test_channels_last_changes_the_layout_and_no_value() -> None:
    net = nn.Sequential(nn.Conv3d(2, 4, 3), nn.Conv2d(2, 4, 3), nn.Linear(2, 2))
    before = [parameter.clone() for parameter in net.parameters()]
    channels_last(net)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert net[1].weight.is_contiguous(memory_format=torch.channels_last)
