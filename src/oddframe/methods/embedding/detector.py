"""Ready-made space-time networks with a head: what is far from the embeddings of normal video is
anomalous.

E. Randellini, *Video anomaly detection with pretrained space-time models*: a network trained on
actions embeds clips, and a small model that knows normal embeddings judges new ones.

Where we differ from the published code:
- the network is always in eval mode, where the original's batch norm and dropout went on as in
  training;
- a stream is cut into clips of a fixed duration, where the original squeezed each whole film into
  eight frames; only videos shorter than a clip are resampled to its length as there
  (`resample_short`);
- training and judging see the same whole picture, where the original cropped at random and squashed
  when judging;
- when the network is fine-tuned the target is detached, or shrinking all embeddings to a point
  would be the best it could do;
- the default head is knn, which needs no training; `recipes/embedding-*.yaml` are the published
  configurations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from oddframe import serialization
from oddframe.embeddings.embedder import Embedder, held_out_heads
from oddframe.embeddings.head import HeadOptions
from oddframe.embeddings.heads.autoencoder import Autoencoder
from oddframe.embeddings.store import VideoEmbeddings, total
from oddframe.errors import BadInput
from oddframe.methods.embedding.encoders import Encoder, EncoderName, encoder_named, normalise
from oddframe.methods.embedding.finetuning import finetune
from oddframe.methods.embedding.pretrained import load_pretrained
from oddframe.options import Range, check_ranges
from oddframe.progress import logger
from oddframe.registry import member
from oddframe.run import Run
from oddframe.training.config import rate_at
from oddframe.training.network_detector import load_module_state
from oddframe.training.precision import Precision, channels_last
from oddframe.types import ClipSpec, Scores, Video

HOUR = 3600.0
Duration = Annotated[float, Range(0, HOUR, open_low=True)]


class Embedding(Embedder):
    """A ready-made video network and a small model of what its embeddings are like on normal video.

    Args:
        network: The network; docs: Embedding lists what each wants to see. With run, one of your
            own runs embeds.
        weights: Of the network: random, hub (downloaded from where they are published), or a file;
            with run, its folder. A file of the published autoencoder gives the head too, which is
            then not trained.
        head: What knows which embeddings are normal. While the network is unfrozen, its layers and
            training count.
        clip_seconds: How long a clip lasts; as the network was trained unless given.
        hop_seconds: Time from one clip to the next; half a clip unless given.
        clip_length: Frames in a clip; as the network was trained unless given.
        size: Pixels of the square that frames are scaled to; as the network was trained unless
            given.
        resample_short: Sample videos that are shorter than a clip to its length, repeating frames:
            those of data in classes, always, or never; where not, they are left out.
        unfreeze_epoch: Epoch from which on the network is trained along with an autoencoder; never
            unless given.
        unfreeze_from: First part of the network that is then trained: its name's beginning, or a
            parameter's number.
        precision: What the network computes in; auto takes bfloat16 where it is faster.
    """

    name = "embedding"

    def __init__(
        self,
        *,
        network: EncoderName = "r2plus1d-18",
        weights: str = "random",
        head: HeadOptions = HeadOptions(),  # noqa: B008
        clip_seconds: Duration | None = None,
        hop_seconds: Duration | None = None,
        clip_length: Annotated[int, Range(1, 10_000)] | None = None,
        size: Annotated[int, Range(1, 10_000)] | None = None,
        resample_short: Literal["classes", "always", "never"] = "classes",
        unfreeze_epoch: Annotated[int, Range(1, 1_000_000)] | None = None,
        unfreeze_from: str = "0",
        precision: Precision = "auto",
    ) -> None:
        check_ranges(type(self), locals())
        also_read = () if unfreeze_epoch is None else Autoencoder.reads
        super().__init__(head=head, also_read=also_read)
        self.of_run = network == "run"
        self.encoder: Encoder = encoder_named("r2plus1d-18" if self.of_run else network)
        self.clip_length = clip_length or self.encoder.clip_length
        self.size = size or self.encoder.size
        self.encoder.check(self.clip_length, self.size)
        self.clip_seconds = clip_seconds or self.encoder.seconds
        self.hop_seconds = hop_seconds or self.clip_seconds / 2
        given = (clip_length, size, clip_seconds, hop_seconds, unfreeze_epoch)
        if self.of_run and any(value is not None for value in given):
            raise ValueError(
                "a run cuts video as it did when it was fitted: "
                "leave clip_length, size, clip_seconds, hop_seconds and unfreeze_epoch"
            )
        check_unfreezing(unfreeze_epoch, unfreeze_from, head.training.epochs)
        self.weights = weights
        self.resample_short = resample_short
        self.unfreeze_epoch = unfreeze_epoch
        self.unfreeze_from = unfreeze_from
        self.source = ""  # where the weights came from, in words
        self.resamples = resample_short == "always"  # or once it is known that videos have classes
        # calibrate by leaving videos out where a head is fitted in no time
        self.quick = not self.head.slow and unfreeze_epoch is None
        self.published_head: dict[str, Tensor] = {}
        self.net: nn.Module | None = None  # made when needed: it may have a hundred million weights
        if self.of_run and Path(weights).is_dir():
            self.net = load_embedder(Path(weights))

    @property
    def spec(self) -> ClipSpec:
        if isinstance(self.net, Embedder):
            return self.net.spec
        rate = self.clip_length / self.clip_seconds
        return ClipSpec(
            length=self.clip_length,
            hop=max(1, round(self.hop_seconds * rate)),
            size=(self.size, self.size),
            fps=rate,
            resample_short=self.resamples,
        )

    @property
    def asked_precision(self) -> Precision:
        """The option `precision`."""
        asked: Precision = self.options["precision"]
        return asked

    def core(self) -> nn.Module:
        """The network. Raises BadInput before it is made."""
        if self.net is None:
            raise BadInput("the network is made by fitting; fit first")
        if isinstance(self.net, Embedder):
            return self.net.core()
        return self.net

    @property
    def embedding_width(self) -> int | None:
        if isinstance(self.net, Embedder):
            return self.net.embedding_width
        return self.encoder.width

    @classmethod
    def refuse_size(cls, options: Mapping[str, Any], most: int) -> None:
        """Nothing to refuse: the network is made with the weights, in `load_state_dict`."""

    def prepare(self, pixels: Tensor) -> Tensor:
        """(N, 3, T, H, W) float, in the colours that the network was trained on."""
        if isinstance(self.net, Embedder):
            return self.net.prepare(pixels)
        return normalise(pixels, self.encoder)

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, D) float32 from clips (N, C, T, H, W) uint8, by a run of one's own as that run would."""
        if isinstance(self.net, Embedder):
            return self.net.embed(pixels)
        return super().embed(pixels)

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Make the network, with the weights asked for, and fine-tune it if that is asked for.

        Raises BadInput for weights that do not fit or cannot be had.
        """
        if self.resample_short == "classes":
            self.resamples = all(video.label is not None for video in videos)
        if self.of_run:
            self.take_run(run)
            return
        net = self.make_network(int(run.random(21).integers(2**31)))
        if self.weights == "random":
            self.source = f"random, seed {run.seed}"
            logger.warning(
                f"{self.encoder.name} has random weights; "
                "--weights hub or a file gives it trained ones"
            )
        else:
            self.source, self.published_head = load_pretrained(net, self.encoder, self.weights)
        run.notes["encoder"] = {
            "name": self.encoder.name,
            "weights": self.source,
            "numbers": self.encoder.width,
        }
        self.net = net.to(run.device)
        shape = (1, 3, self.clip_length, self.size, self.size)
        pixels = torch.zeros(shape, dtype=torch.uint8, device=run.device)
        self.choose_precision(net, self.prepare(pixels), run)
        if self.unfreeze_epoch is not None:
            self.finetune_network(net, self.unfreeze_epoch, videos, run)

    def take_run(self, run: Run) -> None:
        """Embed with the network of a run of one's own. Raises BadInput where there is none."""
        if self.net is None:
            raise BadInput(
                f"no such run folder: {self.weights}; with --network run, --weights names one"
            )
        self.source = f"the run {self.weights}"
        run.notes["encoder"] = {"name": "run", "weights": self.source}
        self.net.to(run.device)

    def finetune_network(
        self, net: nn.Module, frozen: int, videos: Sequence[Video], run: Run
    ) -> None:
        """Train an autoencoder on frozen embeddings first, then both together for the epochs that
        are left.
        """
        training = self.head.options.training
        first = replace(training, epochs=frozen, keep="last")
        head = Autoencoder(replace(self.head.options, training=first))
        embedded = self.embed_videos(videos, run)
        head.fit(embedded, run, self.embed_videos(run.validation, run))
        clips = total(embedded)
        steps = max(1, clips // training.batch)
        rest = replace(
            training,
            epochs=training.epochs - frozen,
            lr=rate_at(training, frozen * steps, steps, []),
            keep="last",
        )
        if head.net is None:
            raise BadInput("there is nothing to fine-tune on; give longer videos")
        autoencoder = head.net.float().requires_grad_(True)
        try:
            history = finetune(
                net,
                autoencoder,
                self.prepare,
                videos,
                self.spec,
                run,
                rest,
                clips=clips,
                first=self.unfreeze_from,
            )
        except ValueError as error:
            raise BadInput(f"{self.name}: {error}") from error
        channels_last(net)
        run.notes["finetune"] = history

    def fit_head(
        self, embedded: Sequence[VideoEmbeddings], run: Run, validation: Sequence[VideoEmbeddings]
    ) -> None:
        """Fit the head, unless it came trained with the weights."""
        if self.published_head and isinstance(self.head, Autoencoder):
            self.head.load_published(self.published_head)
        else:
            super().fit_head(embedded, run, validation)

    @property
    def quick_to_fit(self) -> bool:
        return self.quick

    def score_folds(
        self, videos: Sequence[Video], folds: Sequence[int], run: Run
    ) -> Iterator[Scores]:
        if self.net is None:
            self.pretrain(videos, run)  # which depends on the seed alone
        return held_out_heads(self, videos, folds, run)

    def embedding_options(self) -> dict[str, Any]:
        """What an embedding depends on besides weights, spec and video."""
        if isinstance(self.net, Embedder):
            return {"network": self.net.name, **self.net.embedding_options()}
        return {"network": self.encoder.name, "precision": self.precision}

    def make_network(self, seed: int = 0) -> nn.Module:
        """The network with random weights, in eval mode and frozen."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = self.encoder.make(self.clip_length, self.size)
        net.eval().requires_grad_(False)
        channels_last(net)
        return net

    def train(self, mode: bool = True) -> Embedding:
        """The head alone: the network stays as it is, batch norm included."""
        super().train(mode)
        if self.net is not None:
            self.net.eval()
        return self

    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Make the network that was saved, and take its weights."""
        inner = state.get("_extra_state", {}).get("run")
        if inner is None:
            self.net = self.make_network()
        else:  # the folder that it was borrowed from may be gone
            net = member("methods", inner["method"], "method").of(inner["options"])
            own = {}
            for name, value in state.items():
                if name.startswith("net."):
                    own[name.removeprefix("net.")] = value
            load_module_state(net, own)
            net.check_learned()
            self.net = net.eval()
        return super().load_state_dict(state, strict, assign)

    def get_extra_state(self) -> dict[str, Any]:
        """Plain values that were learned: where the weights came from, and of which run."""
        found: dict[str, Any] = {"source": self.source, "resamples": self.resamples}
        if isinstance(self.net, Embedder):
            found["run"] = {"method": self.net.name, "options": self.net.options}
        return found

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` gave."""
        self.source = str(state["source"])
        self.resamples = bool(state["resamples"])


def load_embedder(folder: Path) -> Embedder:
    """The fitted embedder of a run. Raises BadInput for a run of a method that has no embeddings."""
    found = serialization.load(folder)
    if not isinstance(found, Embedder):
        raise BadInput(f"{folder} is a run of {found.name}, which has no embeddings")
    return found.requires_grad_(False)


def check_unfreezing(epoch: int | None, first: str, epochs: int) -> None:
    """Raise ValueError unless there are epochs before and after the network is unfrozen."""
    if epoch is None and first != "0":
        raise ValueError("unfreeze_from counts only with --unfreeze-epoch")
    if epoch is not None and not 1 <= epoch < epochs:
        raise ValueError(f"unfreeze_epoch is between 1 and the {epochs} epochs, got {epoch}")
