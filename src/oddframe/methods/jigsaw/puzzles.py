"""The puzzles' loss, and the anomaly score of a cube that is not shuffled.

Wang et al. (ECCV 2022, and their code) answer a puzzle of R pieces by multi-label classification:
R independent softmaxes over the R places, of logits z (R, R). With y_p the place of piece p,

    loss        L = − (1/R) Σ_p log softmax(z_p)[y_p]      summed over the tasks, equal weights
    regularity  r = min_p softmax(z_p)[p]                  of the cube as it is, 1 for normal ones

What is used here in place of r is higher for what is less normal:

    NLL      −log softmax(z_p)[p], reduced over the pieces by max (the published score as a falling
             function of it: −log of the least probability) or by mean
    excess   NLL_p − H(softmax(z_p)), H the entropy in nats: by how much the answer surprises the
    NLL      network beyond what it expects itself. An answer that is uncertain because a slow
             walker's frames look alike has a high NLL and no excess; one that is certain and wrong
             has both

B cubes, C channels, T frames, S pixels a side; R places and K pieces of a puzzle.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oddframe.methods.jigsaw.shuffling import make_puzzles, temporal_change, with_border

EPSILON = 1e-6  # nats: a lower NLL counts as this, before the logarithm
BATCH = 32  # cubes for which the validation loss is computed together

Reduce = Literal["mean", "max"]


def is_temporal(head: str) -> bool:
    """Whether a head orders pieces of time; the others order tiles.

    >>> [is_temporal(head) for head in ("temporal", "pace", "clip-temporal", "spatial")]
    [True, True, True, False]
    """
    return head.endswith(("temporal", "pace"))


def level_of(head: str) -> str:
    """The beginning of a head's name.

    >>> level_of("frame-spatial"), level_of("spatial")
    ('frame', '')
    """
    level, _, _ = head.rpartition("-")
    return level


def puzzle_loss(logits: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """Mean cross-entropy over all rows of the puzzles that count: R independent softmaxes each.

    logits (B, K, R), places (B, K), counts (B,) bool. Zero, with a gradient, when a batch has no
    such puzzle.
    """
    flat = logits.flatten(0, 1).float()
    losses = F.cross_entropy(flat, places.flatten(), reduction="none")
    counted = losses.view_as(places) * counts[:, None]
    rows = counts.sum() * places.shape[1]
    return counted.sum() / rows.clamp(min=1)


def identity_target(logits: Tensor) -> Tensor:
    """(B, K) places of the pieces of an unshuffled puzzle, for logits (B, K, R).

    With K = R − 1 the middle piece is the one that is missing.
    """
    B, K, R = logits.shape
    places = torch.arange(R, device=logits.device)
    if K < R:
        places = places[places != R // 2]
    return places.expand(B, K)


def nll(logits: Tensor, reduce: Reduce = "max") -> Tensor:
    """(B,) negative log-likelihood of the unshuffled order, in nats, of logits (B, K, R)."""
    z = logits.double()
    right_place = identity_target(logits)[..., None]
    right = z.gather(2, right_place)[..., 0]  # (B, K)
    others = z.scatter(2, right_place, -torch.inf)
    wrong = others.logsumexp(2)  # (B, K)
    # −log p = log(1 + exp(wrong − right)), which still orders pieces that are nearly certain, where
    # 1 − p is rounded to 0
    return reduced(F.softplus(wrong - right), reduce)


def excess_nll(logits: Tensor, reduce: Reduce = "max", ends: bool = False) -> Tensor:
    """(B,) negative log-likelihood less the entropy of the answer, in nats, of logits (B, K, R).

    The first and the last piece do not count, unless `ends` or there are no others: nothing moves
    too far to be placed there.
    """
    log_p = logits.double().log_softmax(2)
    right_place = identity_target(logits)[..., None]
    entropy = -(log_p.exp() * log_p).sum(2)
    likelihood = log_p.gather(2, right_place)[..., 0]
    pieces = -likelihood - entropy  # (B, K)
    if not ends and pieces.shape[1] > 2:
        pieces = pieces[:, 1:-1]
    return reduced(pieces, reduce)


def reduced(pieces: Tensor, reduce: Reduce) -> Tensor:
    """(B,) of values of pieces (B, K): their maximum, or their mean."""
    if reduce == "max":
        return pieces.amax(1)
    return pieces.mean(1)


def unit_range(cubes: Tensor) -> Tensor:
    """uint8 pixels as floating point numbers in [0, 1]."""
    return cubes.float() / 255


@dataclass(frozen=True)
class ShuffledTask:
    """The published task: shuffled cubes in training, the weighted sum of the losses of all heads.

    Heads of two levels (`frame-…`, `clip-…`) share what they can of one network: those of the frame
    level are given a short clip out of the long one.
    """

    head_weights: dict[str, float]  # of each head's loss, by name
    clip_length: int  # frames of the short clip
    min_motion: float  # change of a pixel, of 1, below which a cube keeps its temporal order
    reduce: Reduce = "max"
    partial: bool = False  # only some of the pieces of a temporal puzzle move

    @property
    def levels(self) -> list[str]:
        """The beginnings of the heads' names: one without a name, or frame and clip."""
        found: list[str] = []
        for name in self.head_weights:
            level = level_of(name)
            if level not in found:
                found.append(level)
        return found

    def heads_of(self, level: str) -> list[str]:
        """The heads of one level."""
        return [name for name in self.head_weights if level_of(name) == level]

    def __call__(self, net: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        """The losses of uint8 cubes (B, C, T, S, S) by head, and `loss`, their weighted sum."""
        cubes = unit_range(batch)
        losses: dict[str, Tensor] = {}
        for level in self.levels:
            heads = self.heads_of(level)
            temporal = [name for name in heads if is_temporal(name)]
            puzzles = make_puzzles(
                self.random_input(cubes, level),
                temporal_pieces_of(net, temporal),
                self.min_motion,
                len(temporal) / len(heads),
                self.partial,
            )
            logits = net(puzzles.pixels, level)
            for name in heads:
                if name in temporal:
                    places, counts = puzzles.temporal, puzzles.is_temporal
                else:
                    places, counts = puzzles.spatial, ~puzzles.is_temporal
                losses[name] = puzzle_loss(logits[name], places, counts)
        return self.with_sum(losses)

    def head_scores(self, net: nn.Module, cubes: Tensor) -> dict[str, Tensor]:
        """(B,) anomaly scores by head of uint8 cubes that are not shuffled.

        Of `pace` the excess NLL. Of the others the logarithm of the NLL, which spans many orders of
        magnitude: a little for long then counts for more than much for a moment. Heads of the frame
        level are given the middle of a long clip.
        """
        pixels = with_border(unit_range(cubes))
        values: dict[str, Tensor] = {}
        for level in self.levels:
            given = pixels
            if level == "frame":
                given = self.short_clip(pixels, self.short_clips(pixels) // 2)
            values |= self.nats(net(given, level), given)
        scores: dict[str, Tensor] = {}
        for name in self.head_weights:
            value = values[name]
            scores[name] = value if name == "pace" else (value + EPSILON).log()
        return scores

    def nats(self, logits: dict[str, Tensor], cubes: Tensor) -> dict[str, Tensor]:
        """(B,) NLL (of pace: excess NLL) by head, of logits (B, K, R) for these cubes."""
        del cubes
        values: dict[str, Tensor] = {}
        for name, rows in logits.items():
            values[name] = nll(rows, self.reduce)
        return values

    def with_sum(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses by head, and `loss`, their weighted sum."""
        weighted: list[Tensor] = []
        for name, weight in self.head_weights.items():
            weighted.append(losses[name] * weight)
        total = torch.stack(weighted).sum()
        return {"loss": total, **losses}

    def random_input(self, cubes: Tensor, level: str) -> Tensor:
        """What a level learns from: at frame level a short clip anywhere in the long one."""
        if level != "frame":
            return cubes
        count = self.short_clips(cubes)
        start = int(torch.randint(count, ()))
        return self.short_clip(cubes, start)

    def short_clips(self, cubes: Tensor) -> int:
        """How many short clips lie in a long one."""
        return int(cubes.shape[2] - self.clip_length + 1)

    def short_clip(self, cubes: Tensor, start: int) -> Tensor:
        """(B, C, t, S, S): the short clip from that frame on."""
        return cubes[:, :, start : start + self.clip_length]


def temporal_pieces_of(net: Any, temporal: Sequence[str]) -> int:
    """The number of pieces of a network's temporal puzzle, also where Fabric has wrapped it."""
    if not temporal:
        return 1
    pieces = getattr(net, "pieces", None)
    if pieces is None:
        pieces = net.module.pieces
    return int(pieces[temporal[0]])


class UnshuffledTask(ShuffledTask):
    """For a network that encodes each piece alone: every cube is a puzzle of all heads, unshuffled.

    Pieces in another order would be the same puzzle, as answers come in the order of the pieces.
    `pace` is a temporal puzzle whose middle frame is given, and each of the others is compared with
    it alone. What does not move keeps its order in the published puzzles, and the network learns to
    say so; here it has no temporal puzzle, in training and in scoring.
    """

    def __call__(self, net: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        """The losses of uint8 cubes (B, C, T, S, S) by head, and `loss`, their weighted sum."""
        cubes = with_border(unit_range(batch))
        losses: dict[str, Tensor] = {}
        for level in self.levels:
            given = self.random_input(cubes, level)
            moves = temporal_change(given) >= self.min_motion
            for name, rows in net(given, level).items():
                counts = moves if is_temporal(name) else torch.ones_like(moves)
                losses[name] = puzzle_loss(rows, identity_target(rows), counts)
        return self.with_sum(losses)

    def nats(self, logits: dict[str, Tensor], cubes: Tensor) -> dict[str, Tensor]:
        """(B,) NLL (of pace: excess NLL) by head; 0 of temporal puzzles where nothing moves."""
        moves = temporal_change(cubes) >= self.min_motion
        values = super().nats(logits, cubes)
        if "pace" in logits:
            values["pace"] = excess_nll(logits["pace"], self.reduce)
        for name, value in values.items():
            if is_temporal(name):
                values[name] = value * moves
        return values


@dataclass(frozen=True)
class ValidationLoss:
    """The loss on cubes that are not learned from: the same puzzles whenever it is asked for.

    They are cut when first asked for: a training that had ended before asks for none.
    """

    task: ShuffledTask
    cut: Callable[[], Tensor]  # (n, C, T, S, S) uint8

    @cached_property
    def cubes(self) -> Tensor:
        """(n, C, T, S, S) uint8."""
        return self.cut()

    def __call__(self, net: nn.Module) -> float:
        """The mean loss of a network."""
        device = next(net.parameters()).device
        total = 0.0
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for cubes in torch.split(self.cubes, BATCH):
                losses = self.task(net, cubes.to(device))
                total += float(losses["loss"]) * len(cubes)
        return total / len(self.cubes)


class PuzzleScorer(nn.Module):
    """The network of scoring: uint8 cubes (n, C, T, S, S) to scores (n, heads), float64.

    The scores of an ensemble are the mean of its networks' scores.
    """

    def __init__(self, nets: Sequence[nn.Module], task: ShuffledTask) -> None:
        super().__init__()
        self.nets, self.task = nn.ModuleList(nets), task

    def forward(self, cubes: Tensor) -> Tensor:
        """(n, heads) scores, in the order of `task.head_weights`."""
        total: Tensor | None = None
        for net in self.nets:
            by_head = self.task.head_scores(net, cubes)
            scores = torch.stack(list(by_head.values()), 1)
            total = scores if total is None else total + scores
        assert total is not None
        return total / len(self.nets)


def parse_heads(heads: str, known: Sequence[str]) -> dict[str, float]:
    """`temporal,spatial:0.5` as weights by head; `all` is each of `known`. Raises ValueError.

    >>> parse_heads("spatial:0.5", ("temporal", "spatial"))
    {'spatial': 0.5}
    """
    if heads == "all":
        return dict.fromkeys(known, 1.0)
    weights: dict[str, float] = {}
    for word in heads.split(","):
        name, _, weight = word.strip().partition(":")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            weights[name] = -1
        if name not in known or not 0 < weights[name] < math.inf:
            raise ValueError(
                f"heads are of {', '.join(known)}, each perhaps with a weight as in "
                f"{known[0]}:0.5, got {word!r}"
            )
    return {name: weights[name] for name in known if name in weights}
