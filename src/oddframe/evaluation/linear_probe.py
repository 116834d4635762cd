"""What embeddings are worth: a linear classifier on them, and whether the nearest of a clip is of
its class.

Videos are cut as TCLR's authors evaluate: clips at equally distant places, the middle of the frame.
V videos, K clips of each, D numbers in an embedding, C channels, T frames in a clip, h × w pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from oddframe.datasets.base import Split
from oddframe.datasets.splits import labels_of_videos
from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.store import Rows, cache_path, open_embeddings, write_embeddings
from oddframe.errors import BadInput, BadVideo, Leak
from oddframe.files import aside
from oddframe.progress import logger, progress
from oddframe.types import ClipSpec, Floats, Ints, Video
from oddframe.video.augment import CENTRE, centred, crop_spec, mirrored
from oddframe.video.reader import content_hash, frames_at
from oddframe.video.sampling import frames_at_rate

RANKS = (1, 5, 10, 20, 50)  # published up to 20
GRAINS = (4, 12, 12)  # frames, rows and columns that raw pixels are averaged to for comparison
# inverse regularisation of the classifier; chosen among on the training videos alone
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
CHOSEN_ON = 2000  # videos
STRENGTH_FOLDS = 5  # parts of the training videos, each left out once
MOST_STEPS = 500  # of the classifier's optimizer
SMALLEST_SPREAD = 1e-6  # by which embeddings are divided
CONFIDENCE = 1.96  # standard deviations: 95 %


@dataclass(frozen=True)
class SideEmbeddings:
    """The embeddings of one side of a split."""

    videos: tuple[Video, ...]  # V
    vector: Floats  # (V, K, D)
    pixels: Floats  # (V, P) the same clips as a few grey averages, for comparison
    left_out: tuple[str, ...] = ()  # a line for each video that could not be read

    @property
    def labels(self) -> list[str]:
        """The class of each video."""
        return [str(video.label) for video in self.videos]


@dataclass(frozen=True)
class Classification:
    """What a classifier predicts for V test videos."""

    classes: list[str]
    truth: Ints  # (V,) positions in classes
    predicted: Ints  # (V,)

    @property
    def accuracy(self) -> float:
        """Share of the videos whose class is predicted."""
        return float((self.truth == self.predicted).mean())

    @property
    def confusion(self) -> Ints:
        """(classes, classes): videos by true class and predicted class."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (self.truth, self.predicted), 1)
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Accuracy with its interval, the commonest class's share, accuracy by class, and the
        confusion matrix.
        """
        counts = self.confusion
        per_class = {}
        for number, name in enumerate(self.classes):
            videos = counts[number].sum()
            if videos:
                per_class[name] = float(counts[number, number] / videos)
        low, high = wilson_interval(int(counts.trace()), int(counts.sum()))
        return {
            "accuracy": self.accuracy,
            "interval": [low, high],
            "commonest": float(np.bincount(self.truth).max() / len(self.truth)),
            "per_class": per_class,
            "confusion": counts.tolist(),
        }


@dataclass(frozen=True)
class LinearClassifier:
    """A softmax regression on standardised embeddings."""

    classes: list[str]
    mean: Floats  # (D,) of the training embeddings
    spread: Floats  # (D,)
    model: Any  # scikit-learn's

    def probabilities(self, vectors: Floats) -> Floats:
        """(N, classes) from (N, D)."""
        found: Floats = self.model.predict_proba((vectors - self.mean) / self.spread)
        return found

    def save(self, path: Path) -> None:
        """Write it as plain arrays: class scores are ((vector - mean) / spread) @ weight.T + bias.

        With two classes there is one score, of the second.
        """
        arrays = {
            "classes": np.array(self.classes),
            "mean": self.mean,
            "spread": self.spread,
            "weight": self.model.coef_,
            "bias": self.model.intercept_,
        }
        with aside(path) as part:
            np.savez(part, **arrays)


def refuse_unlabelled(name: str, split: Split) -> None:
    """Raise BadInput unless both sides have videos, all with classes, and those of the test side
    can be learned.

    Raise Leak where the same content is on both sides.
    """
    for side, videos in (("learn from", split.train), ("test on", split.test)):
        if not videos:
            raise BadInput(
                f"{name} has no video to {side}; a probe needs a train side and a test side, "
                "with classes"
            )
    every = (*split.train, *split.test)
    unlabelled = []
    for video in every:
        if video.label is None:
            unlabelled.append(video.name)
    if unlabelled:
        raise BadInput(
            f"{len(unlabelled)} of {len(every)} videos of {name} have no class, "
            f"such as {unlabelled[0]}; "
            "a probe needs videos in folders of classes: ucf101, hmdb51, labelled"
        )
    known = labels_of_videos(split.train)
    if len(known) < 2:
        raise BadInput(f"{name} has one class, {known.pop()}; telling classes apart takes two")
    unknown = sorted(labels_of_videos(split.test) - known)
    if unknown:
        raise BadInput(
            f"the test side of {name} has the class {unknown[0]}, "
            "of which there is nothing to learn from"
        )
    refuse_shared_content(name, split)


def refuse_shared_content(name: str, split: Split) -> None:
    """Raise Leak where the same content is on both sides."""
    train = {content_hash(video.source) for video in split.train}
    shared = {}
    for video in split.test:
        content = content_hash(video.source)
        if content in train:
            shared[content] = video.name
    if shared:
        one = min(shared.values())
        raise Leak(
            f"{len(shared)} videos of {name} are both learned from and tested on, such as {one}"
        )


def embed_side(
    embedder: Embedder,
    videos: Sequence[Video],
    positions: int,
    folder: Path,
    what: str = "embedding",
) -> SideEmbeddings:
    """Embed each video's clips; those embedded before are read from `folder`.

    Videos that cannot be read are named and left out. Raises BadVideo when none can.
    """
    cut = (embedder.spec, positions, CENTRE)
    depends_on = embedder.depends_on()
    kept: list[Video] = []
    vectors: list[Floats] = []
    pixels: list[Floats] = []
    left_out: list[str] = []
    with progress(what, len(videos), "videos") as tick:
        for video in videos:
            paths = (
                cache_path(folder, video, *cut, depends_on),
                cache_path(folder, video, *cut, "pixels", GRAINS),
            )
            try:
                vector, grains = embed_video(embedder, video, positions, paths)
                vectors.append(vector)
                pixels.append(grains)
                kept.append(video)
            except BadVideo as error:
                logger.warning(f"left out: {error}")
                left_out.append(str(error))
            tick()
    if not kept:
        raise BadVideo(f"none of {len(videos)} videos can be read; the first: {left_out[0]}")
    return SideEmbeddings(tuple(kept), np.stack(vectors), np.stack(pixels), tuple(left_out))


def embed_video(
    embedder: Embedder, video: Video, positions: int, paths: tuple[Path, Path]
) -> tuple[Floats, Floats]:
    """The embeddings (K, D) of a video's clips, and their grey averages (P,); each from its file,
    or written there.
    """
    of_network, of_pixels = paths
    vectors = open_embeddings(of_network, video)
    grains = open_embeddings(of_pixels, video)
    if vectors is None or grains is None:
        clips = evenly_spaced_clips(video, embedder.spec, positions)
        number = np.arange(positions)
        embedded: Rows = (number, number.astype(float), embedder.embed(clips).cpu().numpy())
        averaged: Rows = (number[:1], np.zeros(1), grey_averages(clips)[None])
        vectors = write_embeddings(of_network, video, [embedded])
        grains = write_embeddings(of_pixels, video, [averaged])
    return np.array(vectors.vector), np.array(grains.vector)[0]


def grey_averages(clips: Tensor) -> Floats:
    """(P,) the mean over clips (K, C, T, h, w) of a few grey averages of each, less the clip's own
    mean.
    """
    grey = clips.float().mean(1, keepdim=True)  # (K, 1, T, h, w)
    grains = (min(GRAINS[0], clips.shape[2]), *GRAINS[1:])
    small = functional.adaptive_avg_pool3d(grey, grains).flatten(1)
    small = small - small.mean(1, keepdim=True)  # or all would be alike for being bright
    return np.asarray(small.mean(0).numpy())


def evenly_spaced_clips(video: Video, spec: ClipSpec, positions: int) -> Tensor:
    """(K, C, T, h, w) uint8 clips at equally distant places, the first at the start and the last at
    the end.

    Each needed frame is decoded once. What a short video lacks is mirrored. Raises BadVideo.
    """
    frames = frames_at_rate(video, spec)
    if not len(frames):
        raise BadVideo(f"{video.source} has no frame to embed")
    size = crop_size(spec)
    starts = np.linspace(0, max(0, len(frames) - spec.span), positions).astype(int)
    within = spec.stride * np.arange(spec.length)  # positions of a clip's frames, from its start
    windows = []
    for start in starts:
        windows.append(mirrored((start + within).tolist(), len(frames)))
    # rows[k, t]: which of the needed frames is frame t of clip k
    needed, rows = np.unique(windows, return_inverse=True)
    rows = rows.reshape(len(windows), -1)
    whole = ClipSpec(size=None)
    if size is not None:
        whole = crop_spec(video, max(size), CENTRE)
    decoded = ClipSpec(size=whole.size, colour=spec.colour)
    pixels = torch.from_numpy(frames_at(video, decoded, frames[needed].tolist()))  # (n, H, W, C)
    pixels = pixels.permute(0, 3, 1, 2)
    cut = centred(pixels, size or middle_square(pixels))  # (n, C, h, w)
    clips = [cut[torch.from_numpy(row)].transpose(0, 1) for row in rows]
    return torch.stack(clips)


def crop_size(spec: ClipSpec) -> tuple[int, int] | None:
    """(height, width) of what a probe cuts out: as the spec says, or a square of a 4:3 frame's
    height.
    """
    if isinstance(spec.size, int):
        side = round(spec.size * 3 / 4)
        return side, side
    return spec.size


def middle_square(frames: Tensor) -> tuple[int, int]:
    """(height, width) of the middle square of frames (n, C, H, W) as large as they come."""
    shorter = min(frames.shape[-2:])
    side = max(1, round(shorter * CENTRE))
    return side, side


def fit_linear(vectors: Floats, labels: Sequence[str]) -> LinearClassifier:
    """A softmax regression on the mean of each video's embeddings (V, K, D).

    How strongly it is regularised is chosen on parts of the training videos.
    """
    classes = sorted(set(labels))
    truth = np.array(positions_among(classes, labels))
    rows = vectors.mean(1)  # (V, D)
    mean = rows.mean(0)
    spread = np.maximum(rows.std(0), SMALLEST_SPREAD)
    rows = (rows - mean) / spread
    model = fit_regression(choose_strength(rows, truth), rows, truth)
    return LinearClassifier(classes, mean, spread, model)


def positions_among(classes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The position of each label among the classes."""
    return [classes.index(label) for label in labels]


def linear(
    train: Floats,
    train_labels: Sequence[str],
    test: Floats,
    test_labels: Sequence[str],
    save_to: Path | None = None,
) -> Classification:
    """A classifier learned on embeddings (V, K, D), asked of others, and written to `save_to` if
    given.
    """
    classifier = fit_linear(train, train_labels)
    if save_to is not None:
        classifier.save(save_to)
    return classify(classifier, test, test_labels)


def classify(
    classifier: LinearClassifier, vectors: Floats, labels: Sequence[str]
) -> Classification:
    """Asked of each clip (V, K, D); the probabilities of a video's clips are averaged."""
    V, K, D = vectors.shape
    probabilities = classifier.probabilities(vectors.reshape(V * K, D)).reshape(V, K, -1).mean(1)
    truth = positions_among(classifier.classes, labels)
    return Classification(classifier.classes, np.array(truth), probabilities.argmax(1))


def find_neighbours(
    gallery: Floats, gallery_labels: Sequence[str], queries: Floats, query_labels: Sequence[str]
) -> tuple[dict[str, float], Ints, Floats]:
    """R@k, and the positions (Q, 50) and cosines (Q, 50) of the nearest of the gallery, for vectors
    (V, D).

    A query counts at k if any of its k nearest is of its class. The ranks go as far as the gallery
    does.
    """
    one = functional.normalize(torch.from_numpy(queries).double(), dim=1)
    other = functional.normalize(torch.from_numpy(gallery).double(), dim=1)
    most = min(RANKS[-1], len(gallery))
    cosine, nearest = (one @ other.T).topk(most, dim=1)
    found_labels = np.array(gallery_labels)[nearest.numpy()]
    right = np.array(query_labels)[:, None] == found_labels
    recall = {}
    for k in RANKS:
        if k <= most:
            recall[f"R@{k}"] = float(right[:, :k].any(1).mean())
    return recall, nearest.numpy(), cosine.numpy()


def chance_at_1(gallery_labels: Sequence[str], query_labels: Sequence[str]) -> float:
    """R@1 of a neighbour drawn at random."""
    shares = [gallery_labels.count(label) / len(gallery_labels) for label in query_labels]
    return float(np.mean(shares))


def wilson_interval(right: int, count: int, z: float = CONFIDENCE) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    >>> [round(end, 3) for end in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    p = right / count
    n = count
    middle = p + z * z / (2 * n)
    variance = p * (1 - p) / n + z * z / (4 * n * n)
    half = z * np.sqrt(variance)
    scale = 1 + z * z / n
    low = (middle - half) / scale
    high = (middle + half) / scale
    return float(low), float(high)


def fit_regression(strength: float, rows: Floats, truth: Ints) -> Any:
    """scikit-learn's softmax regression, fitted."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # the last step serves as well as the next
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=MOST_STEPS).fit(rows, truth)


def choose_strength(rows: Floats, truth: Ints) -> float:
    """The one of STRENGTHS that is best on parts left out, of at most so many training videos."""
    random = np.random.default_rng(0)
    sample = random.permutation(len(rows))[:CHOSEN_ON]
    rows = rows[sample]
    truth = truth[sample]
    order = np.argsort(truth, kind="stable")  # every class in every fold, as far as it goes
    fold = np.empty(len(rows), int)
    fold[order] = np.arange(len(rows)) % STRENGTH_FOLDS
    right = [count_right(strength, rows, truth, fold) for strength in STRENGTHS]
    return STRENGTHS[int(np.argmax(right))]


def count_right(strength: float, rows: Floats, truth: Ints, fold: Ints) -> int:
    """How many rows a regression that was fitted on the other folds classifies rightly."""
    right = 0
    for number in range(STRENGTH_FOLDS):
        learned = fold != number
        if learned.all() or len(set(truth[learned].tolist())) < 2:
            continue
        model = fit_regression(strength, rows[learned], truth[learned])
        right += int((model.predict(rows[~learned]) == truth[~learned]).sum())
    return right
