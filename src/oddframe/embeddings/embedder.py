"""Methods that judge vectors: a network turns clips into embeddings, a head knows which embeddings are normal.

N clips in a batch, D numbers in an embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Any, ClassVar

import torch
from torch import Tensor

from oddframe.embeddings.heads.base import Head, HeadName, HeadOptions, make_head
from oddframe.embeddings.store import Rows, VideoEmbeddings, open_embeddings, write_embeddings
from oddframe.progress import logger, progress
from oddframe.run import Run
from oddframe.training.network_detector import NetworkDetector
from oddframe.types import Clips, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.prefetch import prefetch_many
from oddframe.video.reader import content_hash, read

AHEAD = 3  # batches that each decoding thread may have ready


class Embedder(NetworkDetector):
    """Write `embed`, and `pretrain` if the network learns; `fit` and `score` are the same for all.

    A subclass hands its option `head` to this `__init__`. Embeddings are kept on disk, by content,
    spec and `depends_on`.
    """

    batch: ClassVar[int] = 16  # clips embedded at a time while fitting

    def __init__(
        self, *, head: HeadName = "neighbours", head_options: HeadOptions | None = None
    ) -> None:
        super().__init__()
        self.head: Head = make_head(head, head_options or HeadOptions())

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network. Nothing to do where it comes ready-made."""

    @abstractmethod
    def embed(self, pixels: Tensor) -> Tensor:
        """(N, D) floats from clips (N, C, T, H, W) uint8.

        The same clip gives the same embedding whatever else is in the batch.
        """

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network, embed every clip of the videos once, and fit the head to the embeddings."""
        torch.manual_seed(run.seed)
        self.to(run.device)
        self.pretrain(videos, run)
        self.eval()
        embedded = self.embed_videos(videos, run)
        self.head.validation = self.embed_videos(run.validation, run)
        self.head.fit(embedded, run)
        self.eval()

    def score(self, clips: Clips) -> Scores:
        """How far, in the head's eyes, each clip's embedding is from the normal ones."""
        with torch.inference_mode():
            distance = self.head.distance(self.embed(torch.from_numpy(clips.pixels)))
        return Scores(clips.video, clips.frame_index, clips.seconds, distance.cpu().numpy())

    def embed_videos(self, videos: Sequence[Video], run: Run) -> list[VideoEmbeddings]:
        """The embeddings of every clip of each video. Videos shorter than a clip are named, and come back empty.

        They are kept in `run.kept`, so that a second call only opens files and an interrupted one goes on.
        Decoding runs ahead in `run.threads` threads.
        """
        named, hashes = (
            self.depends_on(),
            {source: content_hash(source) for source in {v.source for v in videos}},
        )
        paths = []
        for video in videos:
            words = f"{hashes[video.source]} {video.span} {video.fps} {self.spec} {named}"
            paths.append(run.kept / f"{blake2b(words.encode(), digest_size=16).hexdigest()}.npy")
        found = [open_embeddings(path, video) for path, video in zip(paths, videos, strict=True)]
        missing = [k for k, one in enumerate(found) if one is None]
        streams = prefetch_many(
            (self._decoded(videos[k]) for k in missing), max(1, run.threads), AHEAD
        )
        with closing(streams), progress("embedding", len(missing), "videos") as tick:
            for k, clips in zip(missing, streams, strict=True):
                found[k] = one = write_embeddings(paths[k], videos[k], self._rows(clips))
                if not len(one):
                    logger.warning(
                        f"left out: {videos[k].name} is shorter than a clip of {self.spec.span} frames"
                    )
                tick()
        return [one for one in found if one is not None]

    def depends_on(self) -> str:
        """A name for what an embedding depends on besides video and spec: some of the options, and the weights."""
        digest = blake2b(repr((self.name, self.embedding_options())).encode(), digest_size=16)
        for name, value in self.state_dict().items():
            if not name.startswith("head."):
                digest.update(name.encode())
                digest.update(
                    _bytes_of(value) if isinstance(value, Tensor) else repr(value).encode()
                )
        return digest.hexdigest()

    def embedding_options(self) -> dict[str, Any]:
        """The options that an embedding may depend on: all but the head, unless a method knows better."""
        return {name: value for name, value in self.options.items() if name != "head"}

    def _decoded(self, video: Video) -> Iterator[Clips]:
        damage: list[str] = []
        yield from clips_of(
            read(video, self.spec, damage, threads=1), self.spec, video.name, self.batch
        )
        for line in damage:
            logger.warning(f"damaged: {line}")

    def _rows(self, stream: Iterable[Clips]) -> Iterator[Rows]:
        for clips in stream:
            with torch.inference_mode():
                vector = self.embed(torch.from_numpy(clips.pixels))  # (N, D)
            yield clips.frame_index, clips.seconds, vector.float().cpu().numpy()


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def held_out_heads(
    embedder: Embedder, videos: Sequence[Video], folds: Sequence[int], run: Run
) -> Iterator[Scores]:
    """`FastFolds.score_folds` of an embedder whose network does not learn: only heads are fitted anew."""
    embedded = embedder.embed_videos(videos, run)
    heads: dict[int, Head] = {}
    for one, fold in zip(embedded, folds, strict=True):
        if fold not in heads:
            heads[fold] = embedder.head.fresh()
            heads[fold].fit(
                [other for other, of in zip(embedded, folds, strict=True) if of != fold], run
            )
            heads[fold].eval()
        with torch.inference_mode():
            value = (
                heads[fold].distance(torch.from_numpy(one.vector.copy()))
                if len(one)
                else torch.zeros(0)
            )
        yield Scores(one.video.name, one.frame, one.seconds, value.numpy())
