"""What embeddings are worth: a linear classifier on them, and whether the nearest of a clip is of its class.

Videos are cut as TCLR's authors evaluate: clips at equally distant places, the middle of the picture. V videos, K clips
of each, D numbers in an embedding, C channels, T frames in a clip, h × w pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from oddframe.datasets.base import Split
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput, BadVideo, Leak
from oddframe.files import aside
from oddframe.progress import logger, progress
from oddframe.types import ClipSpec, Floats, Ints, Video
from oddframe.video.augment import CENTRE, centred, crop_spec, mirrored
from oddframe.video.reader import content_hash, frames_at
from oddframe.video.sampling import frames_of

RANKS = (1, 5, 10, 20, 50)  # published up to 20
GRAINS = (4, 12, 12)  # frames, rows and columns that raw pixels are averaged to for comparison
STRENGTHS = (
    1e-4,
    1e-3,
    1e-2,
    1e-1,
    1.0,
)  # of what a classifier may weigh; chosen among on the training videos alone
CHOSEN_ON = 2000  # videos
FOLDS = 5


@dataclass(frozen=True)
class Embeddings:
    """One side of a split."""

    videos: tuple[Video, ...]  # V
    vector: Floats  # (V, K, D)
    pixels: Floats  # (V, P) the same clips as a few grey averages, for comparison
    left_out: tuple[str, ...] = ()  # a line for each video that could not be read

    @property
    def labels(self) -> list[str]:
        return [str(video.label) for video in self.videos]


def refuse_unlabelled(name: str, split: Split) -> None:
    """Raise BadInput unless both sides have videos, all with classes, and those of the test side can be learned.

    Raise Leak where the same content is on both sides.
    """
    for side, videos in (("learn from", split.train), ("test on", split.test)):
        if not videos:
            raise BadInput(
                f"{name} has no video to {side}; a probe needs a train side and a test side, with classes"
            )
    every = (*split.train, *split.test)
    if unlabelled := [video.name for video in every if video.label is None]:
        raise BadInput(
            f"{len(unlabelled)} of {len(every)} videos of {name} have no class, such as {unlabelled[0]}; "
            "a probe needs videos in folders of classes: ucf101, hmdb51, labelled"
        )
    known = {video.label for video in split.train}
    if len(known) < 2:
        raise BadInput(f"{name} has one class, {known.pop()}; telling classes apart takes two")
    if strange := sorted({str(video.label) for video in split.test if video.label not in known}):
        raise BadInput(
            f"the test side of {name} has the class {strange[0]}, of which there is nothing to learn from"
        )
    sides = [
        {content_hash(video.source): video.name for video in side}
        for side in (split.train, split.test)
    ]
    if both := sides[0].keys() & sides[1].keys():
        one = min(sides[1][key] for key in both)
        raise Leak(
            f"{len(both)} videos of {name} are both learned from and tested on, such as {one}"
        )


def embeddings(
    embedder: Embedder,
    videos: Sequence[Video],
    positions: int,
    folder: Path,
    what: str = "embedding",
) -> Embeddings:
    """Embed each video's clips, those embedded before from `folder`, by content, network and spec.

    Videos that cannot be read are named and left out. Raises BadVideo when none can.
    """
    named = f"{embedder.depends_on()} {embedder.spec} {positions} {CENTRE} {GRAINS}"
    kept: list[Video] = []
    vectors, pixels, left_out = [], [], []
    with progress(what, len(videos), "videos") as tick:
        for video in videos:
            words = f"{content_hash(video.source)} {video.span} {video.fps} {named}"
            path = folder / f"{blake2b(words.encode(), digest_size=16).hexdigest()}.npz"
            try:
                held = _held(path) or _embedded(embedder, video, positions, path)
                vectors.append(held["vector"])
                pixels.append(held["pixels"])
                kept.append(video)
            except BadVideo as error:
                logger.warning(f"left out: {error}")
                left_out.append(str(error))
            tick()
    if not kept:
        raise BadVideo(f"none of {len(videos)} videos can be read; the first: {left_out[0]}")
    return Embeddings(tuple(kept), np.stack(vectors), np.stack(pixels), tuple(left_out))


def clips_of(video: Video, spec: ClipSpec, positions: int) -> Tensor:
    """(K, C, T, h, w) uint8 clips at equally distant places, the first at the start and the last at the end.

    Each needed frame is decoded once. What a short video lacks is mirrored. Raises BadVideo.
    """
    frames, size = frames_of(video, spec), shape_of(spec)
    starts = np.linspace(0, max(0, len(frames) - spec.span), positions).astype(int).tolist()
    if not len(frames):
        raise BadVideo(f"{video.source} has no frame to embed")
    windows = [
        mirrored([s + k * spec.stride for k in range(spec.length)], len(frames)) for s in starts
    ]
    needed = sorted({position for window in windows for position in window})
    whole = ClipSpec(size=None) if size is None else crop_spec(video, max(size), CENTRE)
    pixels = frames_at(
        video, ClipSpec(size=whole.size, colour=spec.colour), frames[needed].tolist()
    )  # (n, H, W, C)
    cut = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    small = centred(cut, size or _middle(cut))  # (n, C, h, w)
    place = {position: k for k, position in enumerate(needed)}
    return torch.stack([small[[place[p] for p in window]].transpose(0, 1) for window in windows])


def shape_of(spec: ClipSpec) -> tuple[int, int] | None:
    """(height, width) of what a probe cuts out: as the spec says, or a square of a 4:3 picture's height."""
    if isinstance(spec.size, int):
        return (round(spec.size * 3 / 4),) * 2
    return spec.size


@dataclass(frozen=True)
class Verdict:
    """What a classifier said of V test videos."""

    classes: list[str]
    truth: Ints  # (V,) positions in classes
    said: Ints  # (V,)

    @property
    def accuracy(self) -> float:
        return float((self.truth == self.said).mean())

    @property
    def confusion(self) -> Ints:
        """(classes, classes): videos by what they are and what was said."""
        out = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(out, (self.truth, self.said), 1)
        return out

    def told(self) -> dict[str, Any]:
        """For JSON."""
        counts = self.confusion
        each = {
            name: float(counts[k, k] / counts[k].sum())
            for k, name in enumerate(self.classes)
            if counts[k].sum()
        }
        low, high = wilson(int(counts.trace()), int(counts.sum()))
        return {
            "accuracy": self.accuracy,
            "interval": [low, high],
            "commonest": float(np.bincount(self.truth).max() / len(self.truth)),
            "per_class": each,
            "confusion": counts.tolist(),
        }


def linear(
    train: Floats, train_labels: Sequence[str], test: Floats, test_labels: Sequence[str]
) -> Verdict:
    """A softmax regression on frozen embeddings (V, K, D): learned on the mean of a video's clips, and asked of each
    clip, whose probabilities are averaged.

    How strongly it is held back is chosen on parts of the training videos.
    """
    classes = sorted(set(train_labels))
    truth = np.array([classes.index(label) for label in train_labels])
    rows = train.mean(1)  # (V, D)
    centre, spread = rows.mean(0), np.maximum(rows.std(0), 1e-6)
    rows, clips = (rows - centre) / spread, (test - centre) / spread
    model = _regression(_strength(rows, truth), rows, truth)
    V, K, D = clips.shape
    share = model.predict_proba(clips.reshape(V * K, D)).reshape(V, K, -1).mean(1)
    return Verdict(
        classes, np.array([classes.index(label) for label in test_labels]), share.argmax(1)
    )


def retrieval(
    gallery: Floats, gallery_labels: Sequence[str], queries: Floats, query_labels: Sequence[str]
) -> tuple[dict[str, float], Ints, Floats]:
    """R@k, and the positions (Q, 50) and cosines (Q, 50) of the nearest of the gallery, for vectors (V, D).

    A query counts at k if any of its k nearest is of its class. The ranks go as far as the gallery does.
    """
    one, other = (
        functional.normalize(torch.from_numpy(part).double(), dim=1) for part in (queries, gallery)
    )
    most = min(RANKS[-1], len(gallery))
    cosine, nearest = (one @ other.T).topk(most, dim=1)
    right = np.array(query_labels)[:, None] == np.array(gallery_labels)[nearest.numpy()]
    found = {f"R@{k}": float(right[:, :k].any(1).mean()) for k in RANKS if k <= most}
    return found, nearest.numpy(), cosine.numpy()


def chance_at_1(gallery_labels: Sequence[str], query_labels: Sequence[str]) -> float:
    """R@1 of a neighbour drawn blindly."""
    share = {
        label: gallery_labels.count(label) / len(gallery_labels) for label in set(gallery_labels)
    }
    return float(np.mean([share.get(label, 0.0) for label in query_labels]))


def wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    p, n = right / count, count
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))


def _embedded(embedder: Embedder, video: Video, positions: int, path: Path) -> dict[str, Floats]:
    clips = clips_of(video, embedder.spec, positions)
    with torch.inference_mode():
        vector = embedder.embed(clips).float().cpu().numpy()
    grey = clips.float().mean(1, keepdim=True)  # (K, 1, T, h, w)
    small = functional.adaptive_avg_pool3d(
        grey, (min(GRAINS[0], clips.shape[2]), *GRAINS[1:])
    ).flatten(1)
    small = small - small.mean(1, keepdim=True)  # or all would be alike for being bright
    held: dict[str, Floats] = {"vector": vector, "pixels": small.mean(0).numpy()}
    with aside(path) as part:
        np.savez(part, **held)  # type: ignore[arg-type]
    return held


def _held(path: Path) -> dict[str, Floats] | None:
    try:
        with np.load(path, allow_pickle=False) as held:
            return {"vector": held["vector"], "pixels": held["pixels"]}
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _middle(cut: Tensor) -> tuple[int, int]:
    side = max(1, round(min(cut.shape[-2:]) * CENTRE))
    return side, side


def _regression(strength: float, rows: Floats, truth: Ints) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # the last step serves as well as the next
        return LogisticRegression(C=strength, max_iter=500).fit(rows, truth)


def _strength(rows: Floats, truth: Ints) -> float:
    """The one of STRENGTHS that is best on parts left out, of at most so many training videos."""
    random = np.random.default_rng(0)
    drawn = random.permutation(len(rows))[:CHOSEN_ON]
    rows, truth = rows[drawn], truth[drawn]
    order = np.argsort(truth, kind="stable")  # every class in every fold, as far as it goes
    fold = np.empty(len(rows), int)
    fold[order] = np.arange(len(rows)) % FOLDS
    scores = []
    for strength in STRENGTHS:
        right = 0
        for k in range(FOLDS):
            mine = fold != k
            if len(set(truth[mine].tolist())) > 1 and not mine.all():
                right += int(
                    (
                        _regression(strength, rows[mine], truth[mine]).predict(rows[~mine])
                        == truth[~mine]
                    ).sum()
                )
        scores.append(right)
    return STRENGTHS[int(np.argmax(scores))]
