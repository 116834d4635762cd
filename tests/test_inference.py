"""The one place where a network runs at scoring: rows do not depend on each other, on any device."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oddframe.training.inference import infer, passes


class Counted(nn.Module):
    """A convolution that remembers how many rows each pass had, and in which type it worked."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.convolution = nn.Conv3d(2, 8, 3, padding=1)
        self.rows: list[int] = []
        self.types: set[torch.dtype] = set()

    def forward(self, clips: Tensor) -> Tensor:
        made: Tensor = self.convolution(clips)
        self.rows.append(len(clips))
        self.types.add(made.dtype)
        return made.mean((2, 3, 4))


@pytest.fixture
def clips() -> Tensor:
    return torch.rand(7, 2, 4, 16, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_a_row_does_not_depend_on_what_else_is_in_the_batch(clips: Tensor, size: int) -> None:
    core = Counted()
    together = infer(core, clips, batch=1, cpu_batch=size)
    alone = [infer(core, clips[k : k + 1], batch=1, cpu_batch=size) for k in range(7)]
    assert torch.equal(together, torch.cat(alone))
    assert set(core.rows) == {size}, "every pass is of one size"


def test_what_is_filled_up_is_left_out(clips: Tensor) -> None:
    found = list(passes(clips, 3))
    assert [count for _, count in found] == [3, 3, 1]
    assert torch.equal(found[2][0][0], clips[6])
    assert not found[2][0][1:].any()


def test_no_rows_have_the_shape_of_some(clips: Tensor) -> None:
    assert infer(Counted(), clips[:0], batch=4).shape == (0, 8)


def test_bytes_are_prepared_where_the_network_is() -> None:
    pixels = np.full((2, 2, 4, 8, 8), 255, np.uint8)
    core = Counted()
    found = infer(core, pixels, batch=2, prepare=lambda rows: rows.float() / 255)
    assert torch.equal(found, infer(core, torch.ones(2, 2, 4, 8, 8), batch=2))


def test_the_result_is_in_single_precision_whatever_the_network_works_in(clips: Tensor) -> None:
    core = Counted()
    found = infer(core, clips, batch=2, precision="bf16")
    assert core.types == {torch.bfloat16}
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_a_pass_has_rows(clips: Tensor) -> None:
    with pytest.raises(ValueError, match="a pass has 1 row or more"):
        infer(Counted(), clips, batch=0)


def test_what_is_computed_in_double_stays_so(clips: Tensor) -> None:
    def core(rows: Tensor) -> Tensor:
        return rows.double().mean((2, 3, 4)) / 3

    assert torch.equal(infer(core, clips, batch=2, cpu_batch=2), core(clips))
