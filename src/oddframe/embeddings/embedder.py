"""Methods that judge vectors: a network turns clips into embeddings, a head knows which embeddings
are normal.

N clips in a batch, C channels, T frames, H × W pixels; D numbers in an embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from oddframe.cache import key
from oddframe.embeddings.head import Head, HeadOptions, make_head
from oddframe.embeddings.store import (
    Rows,
    VideoEmbeddings,
    cache_path,
    open_embeddings,
    write_embeddings,
)
from oddframe.progress import logger, progress
from oddframe.run import Run
from oddframe.training.inference import infer
from oddframe.training.network_detector import NetworkDetector
from oddframe.types import Clips, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.prefetch import prefetch_many
from oddframe.video.reader import read

AHEAD = 3  # batches that each decoding thread may have ready


class Embedder(NetworkDetector):
    """Write `core`, `prepare`, and `pretrain` if the network learns; `embed`, `fit` and `score` are
    the same for all.

    A subclass hands its option `head` to this `__init__`. Embeddings are kept on disk, by content,
    spec and `depends_on`.
    """

    batch: ClassVar[int] = 16  # clips cut at a time while fitting
    rows: ClassVar[int] = 8  # clips in every pass of the network on a GPU; on a CPU it is one

    def __init__(self, *, head: HeadOptions | None = None, also_read: Sequence[str] = ()) -> None:
        """`also_read` are options of the head that count for the network."""
        super().__init__()
        self.head: Head = make_head(head or HeadOptions(), also_read)

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network. Nothing to do where it comes ready-made."""

    @abstractmethod
    def core(self) -> nn.Module:
        """The network: what `prepare` makes of N clips to N embeddings (N, D). Raises BadInput
        before it is made.
        """

    @abstractmethod
    def prepare(self, pixels: Tensor) -> Tensor:
        """What the network takes of clips (N, C, T, H, W) uint8."""

    @property
    def embedding_width(self) -> int | None:
        """D; None where only embedding tells."""
        return None

    def check_learned(self) -> None:
        self.head.check_learned()
        width = self.embedding_width
        if not self.head.width or width not in (None, self.head.width):
            raise ValueError(
                f"the head is for embeddings of {self.head.width} numbers, the network gives {width}"
            )

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, D) float32 from clips (N, C, T, H, W) uint8.

        The same clip gives the same embedding whatever else is in the batch.
        """
        return infer(
            self.core(),
            pixels,
            batch=self.rows,
            precision=self.precision,
            prepare=self.prepare,
        )

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network, embed every clip of the videos once, and fit the head to the
        embeddings.
        """
        torch.manual_seed(run.seed)
        self.to(run.device)
        self.pretrain(videos, run)
        self.eval()
        embedded = self.embed_videos(videos, run)
        validation = self.embed_videos(run.validation, run)
        self.fit_head(embedded, run, validation)
        self.eval()

    def fit_head(
        self, embedded: Sequence[VideoEmbeddings], run: Run, validation: Sequence[VideoEmbeddings]
    ) -> None:
        """Fit the head to embeddings of normal videos."""
        self.head.fit(embedded, run, validation)

    def score(self, clips: Clips) -> Scores:
        """How far, as the head measures it, each clip's embedding is from the normal ones."""
        pixels = torch.from_numpy(clips.pixels)
        with torch.inference_mode():
            vectors = self.embed(pixels)
            distance = self.head.distance(vectors)
        value = distance.cpu().numpy()
        return Scores(clips.video, clips.frame_index, clips.seconds, value)

    def embed_videos(self, videos: Sequence[Video], run: Run) -> list[VideoEmbeddings]:
        """The embeddings of every clip of each video. Videos shorter than a clip are named, and
        come back empty.

        They are kept in `run.kept`, so that a second call only opens files and an interrupted one
        goes on. Decoding runs ahead in `run.threads` threads.
        """
        depends_on = self.depends_on()
        spec = self.spec
        paths: list[Path] = []
        missing: list[int] = []  # numbers of videos
        embedded: dict[int, VideoEmbeddings] = {}
        for number, video in enumerate(videos):
            path = cache_path(run.kept, video, spec, depends_on)
            paths.append(path)
            one = open_embeddings(path, video)
            if one is None:
                missing.append(number)
            else:
                embedded[number] = one
        decoded = map(self.decode, [videos[number] for number in missing])
        streams = prefetch_many(decoded, max(1, run.threads), AHEAD)
        with closing(streams), progress("embedding", len(missing), "videos") as tick:
            for number, clips in zip(missing, streams, strict=True):
                video = videos[number]
                one = write_embeddings(paths[number], video, self.embed_stream(clips))
                if not len(one):
                    too_short = f"is shorter than a clip of {spec.span} frames"
                    logger.warning(f"left out: {video.name} {too_short}")
                embedded[number] = one
                tick()
        return [embedded[number] for number in range(len(videos))]

    def depends_on(self) -> str:
        """A key of what an embedding depends on besides video and spec: some of the options, and
        the weights.
        """
        weights = self.state_dict()
        for name in list(weights):
            if name.startswith("head."):
                del weights[name]
        options = self.embedding_options()
        return key(self.name, options, weights)

    def embedding_options(self) -> dict[str, Any]:
        """The options that an embedding may depend on: all but the head, unless a method knows
        better.
        """
        options = dict(self.options)
        options.pop("head", None)
        return options

    def decode(self, video: Video) -> Iterator[Clips]:
        """The clips of a video, some at a time; damage is logged."""
        damage: list[str] = []
        spec = self.spec
        frames = read(video, spec, damage, threads=1)
        yield from clips_of(frames, spec, video.name, self.batch)
        for line in damage:
            logger.warning(f"damaged: {line}")

    def embed_stream(self, stream: Iterable[Clips]) -> Iterator[Rows]:
        """The embeddings of clips as they come, with the frame and the time of each."""
        for clips in stream:
            pixels = torch.from_numpy(clips.pixels)
            vector = self.embed(pixels).cpu().numpy()  # (N, D)
            yield clips.frame_index, clips.seconds, vector


def held_out_heads(
    embedder: Embedder, videos: Sequence[Video], folds: Sequence[int], run: Run
) -> Iterator[Scores]:
    """`FastFolds.score_folds` of an embedder whose network does not learn: only heads are fitted
    anew.
    """
    embedded = embedder.embed_videos(videos, run)
    validation = embedder.embed_videos(run.validation, run)
    heads: dict[int, Head] = {}
    for one, fold in zip(embedded, folds, strict=True):
        if fold not in heads:
            others = embeddings_outside(embedded, folds, fold)
            head = embedder.head.fresh()
            head.fit(others, run, validation)
            head.eval()
            heads[fold] = head
        yield score_embeddings(heads[fold], one)


def embeddings_outside(
    embedded: Sequence[VideoEmbeddings], folds: Sequence[int], fold: int
) -> list[VideoEmbeddings]:
    """The embeddings of the videos of all other folds."""
    others = []
    for one, of_fold in zip(embedded, folds, strict=True):
        if of_fold != fold:
            others.append(one)
    return others


def score_embeddings(head: Head, one: VideoEmbeddings) -> Scores:
    """The scores of a video's embeddings, which may be none."""
    value = torch.zeros(0)
    if len(one):
        vectors = torch.from_numpy(one.vector.copy())
        with torch.inference_mode():
            value = head.distance(vectors)
    return Scores(one.video.name, one.frame, one.seconds, value.numpy())
