"""What the jigsaw methods share: an ensemble that solves puzzles, and scores beside normal ones.

Wang et al., "Video Anomaly Detection by Solving Decoupled Spatio-Temporal Jigsaw Puzzles", ECCV
2022: a network learns to put shuffled normal video in order again; how unlikely it finds the right
order of a cube that is not shuffled is the anomaly score (`puzzles` has the equations).

N clips, C channels, T frames in a clip, H × W pixels; n cubes, S pixels a side; K normal ones.
Boxes are (n, 4), or (n, 0) where the cubes are whole frames.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.errors import BadInput
from oddframe.methods.jigsaw.cubes import BoxedVideo, FrameCache
from oddframe.methods.jigsaw.ensemble import EnsembleTraining
from oddframe.methods.jigsaw.local_zscore import (
    SMALLEST_UNIT,
    box_features,
    local_zscore,
    reference_level,
)
from oddframe.methods.jigsaw.proposals import crop_cubes, expand_boxes, touches_edge
from oddframe.methods.jigsaw.puzzles import PuzzleScorer
from oddframe.run import Run
from oddframe.training.inference import infer
from oddframe.training.network_detector import NetworkDetector
from oddframe.types import Bools, Bytes, Floats, Ints, Video

HALF_LIFE = 0.1943  # seconds: of scores ten a second the past counts 0.7
CLIPS_IN_MEMORY = 16  # of those whose scores are the reference


class NormalScores(NamedTuple):
    """How a network scores normal things."""

    features: Floats  # (K, 4) where they are and how large; (K, 0) of whole frames
    scores: Floats  # (K, heads)
    clip: Ints  # (K,) number of the clip that each is in


class PuzzleDetector(NetworkDetector):
    """A detector by puzzles, of whatever cubes: those of boxes, or whole frames."""

    pass_size: ClassVar[int]  # cubes that the network is given together when it scores
    feature_columns: ClassVar[int]  # numbers that say where a thing is, and how large
    reference_clips: ClassVar[int]  # normal clips whose scores are the reference, for all networks

    def __init__(
        self,
        *,
        network: Callable[[], nn.Module],
        ensemble: int,
        training: EnsembleTraining,
        half_life: float,
    ) -> None:
        super().__init__()
        self.new_network, self.ensemble = network, ensemble
        self.ensemble_training, self.task = training, training.task
        self.half_life_seconds = half_life
        self.heads = list(training.task.head_weights)
        self.nets = nn.ModuleList(network() for _ in range(ensemble))
        for name in ("reference_features", "reference_scores", "reference_level"):
            self.register_buffer(name, torch.empty(0))
        self.reference_features: Tensor  # (K, 4) where normal things are, and how large
        self.reference_scores: Tensor  # (K, heads) of one network or another
        self.reference_level: Tensor  # (heads,) a high z-score on normal video, the unit

    @property
    def half_life(self) -> float:
        return self.half_life_seconds

    def core(self) -> nn.Module:
        """The network of scoring: uint8 cubes (n, C, T, S, S) to scores (n, heads)."""
        return PuzzleScorer(list(self.nets), self.task)

    @abstractmethod
    def find_cubes(self, videos: Sequence[Video], run: Run) -> list[BoxedVideo]:
        """Learn where cubes are, and find those of the training videos."""

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        torch.manual_seed(run.seed)
        boxed = self.find_cubes(videos, run)
        run.notes["puzzles"] = {
            "cubes": sum(len(one.place) for one in boxed),
            "frames": sum(len(one.index) for one in boxed),
        }
        with torch.random.fork_rng():
            torch.manual_seed(run.seed)
            self.nets = nn.ModuleList(self.new_network() for _ in range(self.ensemble))
        self.to(run.device)
        normal: list[NormalScores] = []
        trained = self.ensemble_training.train(list(self.nets), boxed, run)
        for net, result in zip(self.nets, trained, strict=True):
            self.use_precision(result.precision)
            normal.append(self.score_normal(net, boxed, result.cache))
        self.learn_reference(normal)
        self.to(run.device)
        self.eval()

    def check_learned(self) -> None:
        columns, heads = self.feature_columns, len(self.heads)
        specs = {
            "reference_features": ArraySpec(("K", columns)),
            "reference_scores": ArraySpec(("K", heads)),
            "reference_level": ArraySpec((heads,), low=0.99 * SMALLEST_UNIT),
        }
        check_arrays({name: getattr(self, name).numpy() for name in specs}, specs)

    def check_fitted(self) -> None:
        """Raise BadInput where nothing has been learned yet."""
        if not self.reference_level.numel():
            raise BadInput("this jigsaw detector has learned nothing yet; fit it first")

    def cut_cubes(self, clip: Bytes, boxes: Floats) -> Bytes:
        """(n, T, S, S, C) cubes of a clip (T, H, W, C); without boxes one, which is all of it."""
        if not boxes.shape[1]:
            return clip[None]
        training = self.ensemble_training
        grown = expand_boxes(boxes, training.margin)
        return crop_cubes(clip, grown, training.side)

    def head_scores(self, core: nn.Module, cubes: Bytes, cut_off: Bools) -> Floats:
        """(n, heads) scores of cubes (n, T, S, S, C).

        What the picture's edge cuts off, (n,), has no `pace`, which is measured in widths of the
        box: the box is too narrow.
        """
        if not len(cubes):
            return np.zeros((0, len(self.heads)))
        pixels = torch.from_numpy(cubes).permute(0, 4, 1, 2, 3).contiguous()
        found = infer(
            core,
            pixels,
            batch=self.pass_size,
            cpu_batch=self.pass_size,
            precision=self.precision,
        )
        scores = np.array(found.cpu().numpy())
        if "pace" in self.heads:
            scores[cut_off, self.heads.index("pace")] = 0
        return scores

    def zscores(self, cubes: Bytes, boxes: Floats, shape: Sequence[int]) -> Floats:
        """(n, heads) of cubes (n, T, S, S, C): above normal things like them, in units of a head.

        One unit is what one normal clip in twenty exceeds.
        """
        scores = self.head_scores(self.core(), cubes, touches_edge(boxes, shape))
        above = local_zscore(
            scores,
            box_features(boxes, shape),
            self.reference_scores.cpu().numpy(),
            self.reference_features.cpu().numpy(),
        )
        unit = self.reference_level.cpu().numpy()
        return np.asarray(above / unit)

    def score_normal(
        self, net: nn.Module, boxed: Sequence[BoxedVideo], cache: FrameCache
    ) -> NormalScores:
        """How a network scores the training video, that which it learned from included.

        What was learned from looks a little more normal than other normal video, and yet all of it
        is the better reference: a few videos do not have things of all kinds at every place.
        """
        core = PuzzleScorer([net], self.task)
        places: list[tuple[int, int]] = []
        for k, one in enumerate(boxed):
            places += [(k, int(place)) for place in np.unique(one.place)]
        step = -(-len(places) * self.ensemble // self.reference_clips)
        chosen = places[::step]
        features: list[Floats] = []
        scores: list[Floats] = []
        things: list[int] = []  # in each clip
        for start in range(0, len(chosen), CLIPS_IN_MEMORY):
            cubes: list[Bytes] = []
            cut_off: list[Bools] = []
            for k, place in chosen[start : start + CLIPS_IN_MEMORY]:
                clip = cache.window(k, place)
                boxes = boxed[k].box[boxed[k].place == place]
                cubes.append(self.cut_cubes(clip, boxes))
                cut_off.append(touches_edge(boxes, clip.shape[1:3]))
                features.append(box_features(boxes, clip.shape[1:3]))
                things.append(len(boxes))
            scores.append(self.head_scores(core, np.concatenate(cubes), np.concatenate(cut_off)))
        clip_of = np.repeat(np.arange(len(things)), things)
        return NormalScores(np.concatenate(features), np.concatenate(scores), clip_of)

    def learn_reference(self, normal: Sequence[NormalScores]) -> None:
        """Remember how normal things are scored where, and the unit of each head."""
        features = np.concatenate([one.features for one in normal])
        scores = np.concatenate([one.scores for one in normal])
        above = local_zscore(scores, features, scores, features)
        counts = [len(one.scores) for one in normal]
        ends = np.cumsum(counts)[:-1]
        by_network = np.split(above, ends)
        level = reference_level(by_network, [one.clip for one in normal])
        self.reference_features = torch.from_numpy(features).float()
        self.reference_scores = torch.from_numpy(scores).float()
        self.reference_level = torch.from_numpy(level).float()


def head_components(peaks: Floats, heads: Iterable[str]) -> dict[str, Floats]:
    """(N,) each, of (N, heads): every head, and the mean of the heads of one level or one task.

    >>> four = ["frame-temporal", "frame-spatial", "clip-temporal", "clip-spatial"]
    >>> list(head_components(np.zeros((1, 4)), four))[4:]
    ['frame', 'clip', 'temporal', 'spatial']
    """
    columns = {head: [k] for k, head in enumerate(heads)}
    words = [head.split("-") for head in columns]
    levels_then_tasks = chain.from_iterable(zip(*words, strict=True))
    for word in dict.fromkeys(levels_then_tasks):
        with_word = [k for k, of_head in enumerate(words) if word in of_head]
        if 1 < len(with_word) < peaks.shape[1]:
            columns[word] = with_word
    components: dict[str, Floats] = {}
    for name, chosen in columns.items():
        components[name] = mean_of(peaks[:, chosen])
    return components


def mean_of(values: Floats) -> Floats:
    """(N,) float32 means of values (N, heads)."""
    return np.asarray(values.mean(1), np.float32)
