"""Puzzles are what they say, their loss is the published formula, and the networks have the published sizes."""

import itertools
import math

import numpy as np
import pytest
import torch

from oddframe.methods.jigsaw.frame_level import FRAME_HEADS
from oddframe.methods.jigsaw.networks import FourHeadNet, PieceNet, WideBranchNet
from oddframe.methods.jigsaw.object_level import HEADS, PUBLISHED_HEADS
from oddframe.methods.jigsaw.puzzles import (
    Reduce,
    ShuffledTask,
    UnshuffledTask,
    excess_nll,
    nll,
    parse_heads,
    puzzle_loss,
)
from oddframe.methods.jigsaw.shuffling import (
    border_width,
    make_puzzles,
    random_permutations,
    shuffle_frames,
    shuffle_tiles,
    with_border,
)

MAX: Reduce = "max"
MEAN: Reduce = "mean"


def size_of(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("frames", "published"), [(7, 1_570_530), (9, 1_586_946)])
def test_the_wide_branch_network_has_the_published_parameters(frames: int, published: int) -> None:
    assert size_of(WideBranchNet(frames=frames)) == published


def test_the_four_headed_network_has_the_published_parameters_and_a_pooled_one_far_fewer() -> None:
    net = FourHeadNet(heads=FRAME_HEADS)
    assert round(size_of(net) / 1e6, 2) == 48.85
    first = net.heads["clip-temporal"][0]
    assert isinstance(first, torch.nn.Linear)
    assert round(first.weight.numel() / 1e6, 1) == 36.7
    assert size_of(FourHeadNet(heads=FRAME_HEADS, pool_clip_head=True)) < 14e6


def test_every_head_answers_one_row_for_each_piece() -> None:
    wide = WideBranchNet(frames=5, channels=1, side=32, width=2)(torch.rand(2, 1, 5, 32, 32))
    assert {name: tuple(rows.shape) for name, rows in wide.items()} == {
        "temporal": (2, 5, 5),
        "spatial": (2, 9, 9),
    }
    for pool in (False, True):
        net = FourHeadNet(heads=FRAME_HEADS, frames=3, clips=3, width=1, pool_clip_head=pool)
        told = net(torch.rand(2, 1, 3, 32, 32), "frame") | net(torch.rand(2, 1, 9, 32, 32), "clip")
        assert {name: rows.shape[1] for name, rows in told.items()} == dict(
            zip(FRAME_HEADS, (3, 9, 3, 9), strict=True)
        )


@pytest.mark.parametrize("side", [32, 48, 64, 96])
def test_our_network_answers_for_pieces_of_every_size(side: int) -> None:
    net = PieceNet(heads=HEADS, frames=5, side=side, width=2)
    shapes = {
        name: tuple(rows.shape) for name, rows in net(torch.rand(2, 1, 5, side, side)).items()
    }
    assert shapes == {"temporal": (2, 5, 5), "spatial": (2, 9, 9), "pace": (2, 4, 5)}
    net = PieceNet(heads=FRAME_HEADS, frames=3, clips=5, channels=3, side=side, width=2)
    told = net(torch.rand(2, 3, 3, side, side), "frame") | net(
        torch.rand(2, 3, 15, side, side), "clip"
    )
    assert {name: rows.shape[1] for name, rows in told.items()} == dict(
        zip(FRAME_HEADS, (3, 9, 5, 9), strict=True)
    )


def test_our_network_gives_shuffled_pieces_the_same_answers() -> None:
    torch.manual_seed(0)
    net = PieceNet(heads=FRAME_HEADS, frames=3, clips=5, side=32, width=4).eval()
    for level, long, pieces in (("frame", 3, 3), ("clip", 15, 5)):
        cubes = with_border(torch.rand(4, 1, long, 32, 32))
        to, cell = (torch.stack([torch.randperm(R) for _ in range(4)]) for R in (pieces, 9))
        told = net(cubes, level)
        for head, shuffled, went in (
            ("temporal", shuffle_frames(cubes, to), to),
            ("spatial", shuffle_tiles(cubes, cell), cell),
        ):
            again = net(shuffled, level)[f"{level}-{head}"]
            found = again.gather(1, went[:, :, None].expand_as(again))
            torch.testing.assert_close(found, told[f"{level}-{head}"], rtol=1e-4, atol=1e-5)
            assert not torch.allclose(again, told[f"{level}-{head}"], atol=1e-3), (
                "different pieces differ"
            )


def test_unshuffled_puzzles_are_told_as_they_lie_and_what_stands_still_is_none_in_time() -> None:
    torch.manual_seed(0)
    net = PieceNet(heads=HEADS, frames=5, side=32, width=2).eval()
    batch = torch.randint(0, 256, (6, 1, 5, 32, 32), dtype=torch.uint8)
    batch[2:4] = batch[2:4, :, :1]
    task = UnshuffledTask({"temporal": 1.0, "spatial": 0.5, "pace": 2.0}, 5, 0.2)
    with torch.no_grad():
        told, rows = task(net, batch), net(with_border(batch.float() / 255))
    moves = np.array([True, True, False, False, True, True])
    expected = {
        name: transcribed(rows[name].numpy(), np.tile(places, (6, 1)), counts)
        for name, places, counts in (
            ("temporal", np.arange(5), moves),
            ("spatial", np.arange(9), np.ones(6, bool)),
            ("pace", np.array([0, 1, 3, 4]), moves),
        )
    }
    for name, by_hand in expected.items():
        assert float(told[name]) == pytest.approx(by_hand, rel=1e-5)
    summed = expected["temporal"] + 0.5 * expected["spatial"] + 2 * expected["pace"]
    assert float(told["loss"]) == pytest.approx(summed, rel=1e-5)
    found = task.head_scores(net, batch)
    for name in ("temporal", "spatial"):
        nats = nll(rows[name]) * torch.from_numpy(moves | (name == "spatial"))
        torch.testing.assert_close(found[name], torch.log(nats + 1e-6))
    torch.testing.assert_close(found["pace"], excess_nll(rows["pace"]) * torch.from_numpy(moves))


def test_a_tile_goes_where_its_label_says_and_the_border_is_black() -> None:
    cubes = torch.rand(3, 2, 4, 64, 64) + 0.5
    to = torch.stack([torch.randperm(9) for _ in range(3)])
    got = shuffle_tiles(cubes, to)
    for b, t, p in itertools.product(range(3), range(4), range(9)):
        (r, c), (y, x) = divmod(p, 3), divmod(int(to[b, p]), 3)
        piece = cubes[b, :, t, 2 + 20 * r : 22 + 20 * r, 2 + 20 * c : 22 + 20 * c]
        assert torch.equal(got[b, :, t, 2 + 20 * y : 22 + 20 * y, 2 + 20 * x : 22 + 20 * x], piece)
    edge = torch.ones(64, 64, dtype=torch.bool)
    edge[2:-2, 2:-2] = False
    assert not got[..., edge].any()
    assert torch.equal(shuffle_tiles(cubes, torch.arange(9).expand(3, 9)), with_border(cubes))


@pytest.mark.parametrize(
    ("frames", "pieces"), [(7, 7), (35, 5)], ids=["frames", "sub-clips of seven, ordered inside"]
)
def test_a_frame_goes_where_its_label_says(frames: int, pieces: int) -> None:
    cubes = torch.arange(frames).float()[None, None, :, None, None].expand(2, 1, frames, 2, 2)
    to = torch.stack([torch.randperm(pieces) for _ in range(2)])
    got = shuffle_frames(cubes, to)[:, 0, :, 0, 0]
    long = frames // pieces
    for b, p in itertools.product(range(2), range(pieces)):
        at = int(to[b, p]) * long
        assert got[b, at : at + long].tolist() == list(range(p * long, (p + 1) * long))


@pytest.mark.parametrize("side", [32, 48, 64, 80, 96])
def test_nine_equal_tiles_fit_into_the_border(side: int) -> None:
    assert (side - 2 * border_width(side)) % 3 == 0
    assert 1 <= border_width(side) <= side // 8


def test_tasks_are_drawn_and_what_stands_still_keeps_its_order() -> None:
    torch.manual_seed(0)
    moving = torch.rand(400, 1, 7, 32, 32)
    puzzles = make_puzzles(moving, 7, min_motion=0.2)
    assert 0.4 < float(puzzles.is_temporal.float().mean()) < 0.6
    cells, times = torch.arange(9), torch.arange(7)
    assert (puzzles.spatial[puzzles.is_temporal] == cells).all()
    assert (puzzles.temporal[~puzzles.is_temporal] == times).all()
    assert (puzzles.temporal[puzzles.is_temporal] != times).any(1).float().mean() > 0.99
    assert (puzzles.spatial[~puzzles.is_temporal] != cells).any(1).all()
    assert torch.equal(puzzles.temporal.sort(1).values, times.expand(400, 7))
    still = moving[:, :, :1].expand(-1, -1, 7, -1, -1)
    assert (make_puzzles(still, 7, min_motion=0.2).temporal == times).all()


def test_of_some_only_a_random_number_moves() -> None:
    torch.manual_seed(0)
    to = random_permutations(4000, 7, True, torch.device("cpu"))
    places = torch.arange(7)
    assert torch.equal(to.sort(1).values, places.expand(4000, 7))
    moved = (to != places).float()
    # of k chosen places, k - 1 move on average; k is 2 … 7
    assert abs(float(moved.sum(1).mean()) - 3.5) < 0.1
    assert torch.allclose(moved.mean(0), torch.full((7,), 0.5), atol=0.03)
    assert (
        random_permutations(4000, 7, False, torch.device("cpu")) != places
    ).float().mean() > 0.84


def test_each_index_meets_both_tasks() -> None:
    """By parity, as published, half of the cubes would never see a task."""
    torch.manual_seed(0)
    cubes = torch.rand(8, 1, 3, 32, 32)
    drawn = torch.stack([make_puzzles(cubes, 3, 0.1).is_temporal for _ in range(20)])
    assert drawn.any(0).all()
    assert not drawn.all(0).any()


def transcribed(logits: np.ndarray, places: np.ndarray, counts: np.ndarray) -> float:
    """L = mean over the puzzles of the task and over their rows r of −log softmax(z_r)[y_r], in float64."""
    terms = []
    for z, y, counted in zip(logits.astype(np.float64), places, counts, strict=True):
        if counted:
            for r, row in enumerate(z):
                terms.append(-(row[y[r]] - row.max() - math.log(np.exp(row - row.max()).sum())))
    return float(np.mean(terms)) if terms else 0.0


@pytest.mark.parametrize("level", ["object", "full-frame"])
def test_the_loss_is_the_formula(level: str) -> None:
    random = np.random.default_rng(0)
    heads = PUBLISHED_HEADS if level == "object" else FRAME_HEADS
    pieces = {"temporal": 7, "spatial": 9, "frame-temporal": 7, "clip-temporal": 5}
    weights = dict(zip(heads, (1.0, 0.5, 2.0, 0.25), strict=False))
    given, expected = {}, 0.0

    class Told(torch.nn.Module):
        """Says what was drawn, whatever it is shown."""

        def __init__(self) -> None:
            super().__init__()
            self.pieces = {name: pieces.get(name, 9) for name in heads}

        def forward(self, cubes: torch.Tensor, level: str) -> dict[str, torch.Tensor]:
            lengths.append(cubes.shape[2])
            return {
                name: given.setdefault(
                    name, torch.from_numpy(random.normal(0, 3, (len(cubes), R, R)))
                )
                for name, R in self.pieces.items()
                if name.startswith(level)
            }

    lengths: list[int] = []
    batch = torch.randint(0, 256, (6, 1, 7 if level == "object" else 35, 32, 32), dtype=torch.uint8)
    task = ShuffledTask(weights, 7, 0.1)
    torch.manual_seed(3)
    told = task(Told(), batch)
    assert lengths == ([7] if level == "object" else [7, 35])
    torch.manual_seed(3)  # the same puzzles again
    for start, names in ((0, heads[:2]), (2, heads[2:])):
        if not names:
            continue
        cubes = batch.float() / 255
        if level == "full-frame" and start == 0:
            first = int(torch.randint(29, ()))
            cubes = cubes[:, :, first : first + 7]
        puzzles = make_puzzles(cubes, pieces[names[0]], 0.1)
        mine = puzzles.is_temporal.numpy()
        for name, places, counts in zip(
            names, (puzzles.temporal, puzzles.spatial), (mine, ~mine), strict=True
        ):
            by_hand = transcribed(given[name].numpy(), places.numpy(), counts)
            assert float(told[name]) == pytest.approx(by_hand, rel=1e-5)
            expected += weights[name] * by_hand
    assert float(told["loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_batch_without_a_task_costs_nothing_and_is_no_nan() -> None:
    logits = torch.randn(4, 7, 7, requires_grad=True)
    loss = puzzle_loss(
        logits, torch.zeros(4, 7, dtype=torch.long), torch.zeros(4, dtype=torch.bool)
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_score_is_the_least_probability_of_a_right_place() -> None:
    z = np.random.default_rng(1).normal(0, 4, (5, 9, 9))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    least = np.array([min(one[r, r] for r in range(9)) for one in p])
    np.testing.assert_allclose(np.exp(-nll(torch.from_numpy(z)).numpy()), least, rtol=1e-12)
    # where float32 probabilities would all be 1 or 0, order is kept
    sure = torch.eye(9) * torch.tensor([200.0, 400.0])[:, None, None]
    assert nll(sure)[0] > nll(sure)[1] > 0
    assert np.isfinite(nll(-10 * sure).numpy()).all()


def test_a_puzzle_may_be_as_strange_as_its_pieces_in_the_mean() -> None:
    z = np.random.default_rng(2).normal(
        0, 4, (5, 6, 7)
    )  # the middle one of seven frames lies there already
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    each = np.array(
        [[-np.log(one[k, place]) for k, place in enumerate((0, 1, 2, 4, 5, 6))] for one in p]
    )
    for reduce, expected in ((MAX, each.max(1)), (MEAN, each.mean(1))):
        np.testing.assert_allclose(nll(torch.from_numpy(z), reduce).numpy(), expected, rtol=1e-12)


def test_pace_is_as_strange_as_it_surprises() -> None:
    z = np.random.default_rng(3).normal(0, 4, (5, 6, 7))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    places = enumerate((0, 1, 2, 4, 5, 6))
    each = np.stack(
        [-np.log(p[:, k, place]) + (p[:, k] * np.log(p[:, k])).sum(1) for k, place in places], 1
    )
    for ends, counted in ((True, each), (False, each[:, 1:-1])):
        for reduce, expected in ((MAX, counted.max(1)), (MEAN, counted.mean(1))):
            found = excess_nll(torch.from_numpy(z), reduce, ends).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-10)
    # unsure is no surprise, sure and right neither, sure and wrong is
    unsure, right = torch.zeros(6, 7), 20 * torch.eye(7)[[0, 1, 2, 4, 5, 6]]
    told = excess_nll(torch.stack([unsure, right, right.roll(1, 1)]))
    torch.testing.assert_close(
        told, torch.tensor([0.0, 0.0, 20.0], dtype=told.dtype), rtol=0, atol=1e-6
    )
    assert excess_nll(torch.zeros(1, 2, 3)).isfinite().all(), "of three frames, there are only ends"


def test_pace_sees_each_frame_beside_the_middle_one_alone() -> None:
    torch.manual_seed(0)
    net = PieceNet(heads=HEADS, frames=5, side=32, width=4).eval()
    cubes = torch.rand(2, 1, 5, 32, 32)
    other = cubes.clone()
    other[:, :, 1] = torch.rand(2, 1, 32, 32)
    was, now = net(cubes), net(other)
    same = [bool(torch.equal(a, b)) for a, b in zip(was["pace"][0], now["pace"][0], strict=True)]
    assert same == [True, False, True, True], "the row of the frame that changed, and no other"
    assert not torch.allclose(was["temporal"][0, 0], now["temporal"][0, 0]), (
        "all frames are compared there"
    )


@pytest.mark.parametrize(
    ("heads", "weights"),
    [
        ("all", {"temporal": 1, "spatial": 1}),
        ("spatial, temporal:0.5", {"temporal": 0.5, "spatial": 1}),
    ],
)
def test_heads_may_be_chosen_and_weighed(heads: str, weights: dict[str, float]) -> None:
    assert parse_heads(heads, PUBLISHED_HEADS) == weights


@pytest.mark.parametrize(
    "heads", ["", "tempral", "spatial:x", "spatial:-1", "spatial:0", "clip-spatial", "spatial,,"]
)
def test_other_heads_are_refused(heads: str) -> None:
    with pytest.raises(ValueError, match="heads are of temporal, spatial"):
        parse_heads(heads, PUBLISHED_HEADS)
