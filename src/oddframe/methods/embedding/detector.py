"""Ready-made space-time networks with a head: what is far from the embeddings of normal video is strange.

E. Randellini, *Video anomaly detection with pretrained space-time models*: a network trained on actions embeds clips,
and a small model that knows normal embeddings judges new ones. Where we differ: the network is always in eval mode (the
original's batch norm kept moving), a stream is cut into clips of a fixed time instead of squeezing whole films into
eight frames, training and judging see the same whole picture, and when the network is fine-tuned the target is
detached, or shrinking all embeddings to a point would be the best it could do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from oddframe import serialization as saving
from oddframe.embeddings.embedder import Embedder, held_out_heads
from oddframe.embeddings.heads.autoencoder import Autoencoder
from oddframe.embeddings.heads.base import AS_PUBLISHED, HeadName, HeadOptions
from oddframe.embeddings.store import total
from oddframe.errors import BadInput
from oddframe.methods.embedding.encoders import Encoder, EncoderName, encoder, normalised
from oddframe.methods.embedding.finetuning import finetune
from oddframe.methods.embedding.pretrained import put_weights
from oddframe.progress import logger
from oddframe.registry import member
from oddframe.run import Run
from oddframe.training.config import Training, rate_at
from oddframe.training.network_detector import load_module_state
from oddframe.training.precision import autocast, channels_last
from oddframe.types import ClipSpec, Scores, Video

AT_ONCE = 8  # clips in one pass on a GPU, always as many, so that a clip's embedding does not depend on the batch
TRAINING = replace(AS_PUBLISHED, precision="auto")
TRAINED = ("autoencoder", "density")  # heads that take too long to be fitted again for every fold


class Embedding(Embedder):
    """A ready-made video network and a small model of what its embeddings are like on normal video.

    Args:
        encoder: The network; docs: Embedding lists what each wants to see. With run, one of your own runs embeds.
        weights: Of the network: random, hub (fetched from where they are published), or a file; with run, its folder.
        head: What knows which embeddings are normal.
        seconds: How long a clip lasts; as the network was trained unless given.
        hop_seconds: Time from one clip to the next; half a clip unless given.
        frames: Pictures in a clip; as the network was trained unless given.
        side: Pixels of the square that pictures are scaled to; as the network was trained unless given.
        neighbours: How many of the nearest embeddings give, by their mean distance, the score (head neighbours).
        bank: Embeddings that are remembered (head neighbours).
        components: Gaussians (head mixture).
        layers: Sizes of the autoencoder's two or three layers, the last one the latent's (head autoencoder).
        dropout: Share of the numbers between its layers that is dropped while it learns.
        variational: Make the autoencoder's latent a Gaussian.
        density_steps: Steps for which the density at several scales is learned (head density).
        density_by: What makes one number of those scales: their largest, or a mixture of Gaussians.
        unfreeze_epoch: Epoch from which on the network is trained along with an autoencoder; never unless given.
        unfreeze_from: First part of the network that is then trained: its name's beginning, or a parameter's number.
        training: Of the autoencoder, in single precision, and of the network once unfrozen; its precision is the
            network's.
    """

    name = "embedding"

    def __init__(
        self,
        *,
        encoder: EncoderName = "r2plus1d-18",
        weights: str = "random",
        head: HeadName = "neighbours",
        seconds: float | None = None,
        hop_seconds: float | None = None,
        frames: int | None = None,
        side: int | None = None,
        neighbours: int = 5,
        bank: int = 4096,
        components: int = 5,
        layers: tuple[int, ...] = (512, 256, 128),
        dropout: float = 0.3,
        variational: bool = False,
        density_steps: int = 1500,
        density_by: Literal["max", "mixture"] = "max",
        unfreeze_epoch: int | None = None,
        unfreeze_from: str = "0",
        training: Training = TRAINING,
    ) -> None:
        options = HeadOptions(
            neighbours=neighbours,
            bank=bank,
            components=components,
            layers=tuple(layers),
            dropout=dropout,
            variational=variational,
            training=training,
            density_steps=density_steps,
            density_by=density_by,
        )
        super().__init__(head=head, head_options=options)
        self.of_run = encoder == "run"
        self.recipe: Encoder = _recipe("r2plus1d-18" if encoder == "run" else encoder)
        self.frames, self.side = frames or self.recipe.frames, side or self.recipe.side
        self.recipe.check(self.frames, self.side)
        self.seconds = self.recipe.seconds if seconds is None else seconds
        self.hop_seconds = self.seconds / 2 if hop_seconds is None else hop_seconds
        for name, value in (("seconds", self.seconds), ("hop_seconds", self.hop_seconds)):
            if not 0 < value <= 3600:
                raise ValueError(f"{name} are above 0 and at most 3600, got {value}")
        if self.of_run and (frames, side, seconds, hop_seconds, unfreeze_epoch) != (None,) * 5:
            raise ValueError(
                "a run cuts video as it did when it was fitted: leave frames, side, seconds and unfreezing"
            )
        if unfreeze_epoch is not None and not 1 <= unfreeze_epoch < training.epochs:
            raise ValueError(
                f"unfreeze_epoch is between 1 and the {training.epochs} epochs, got {unfreeze_epoch}"
            )
        self.weights = weights
        self.unfreeze_epoch, self.unfreeze_from = unfreeze_epoch, unfreeze_from
        self.came_from = ""
        # calibrate by leaving videos out where a head is fitted in no time
        self.quick = head not in TRAINED and unfreeze_epoch is None
        self.net: nn.Module | None = None  # made when needed: it may have a hundred million weights
        if self.of_run and Path(weights).is_dir():
            self.net = _embedder_of(Path(weights))

    @property
    def spec(self) -> ClipSpec:
        if isinstance(self.net, Embedder):
            return self.net.spec
        rate = self.frames / self.seconds
        return ClipSpec(
            length=self.frames,
            hop=max(1, round(self.hop_seconds * rate)),
            size=(self.side, self.side),
            fps=rate,
        )

    def core(self) -> nn.Module | None:
        return self.net

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Make the network, with the weights asked for, and fine-tune it if that is asked for.

        Raises BadInput for weights that do not fit or cannot be had.
        """
        if self.of_run:
            if self.net is None:
                raise BadInput(
                    f"no such run folder: {self.weights}; with --encoder run, --weights names one"
                )
            self.came_from = f"the run {self.weights}"
            run.notes["encoder"] = {"name": "run", "weights": self.came_from}
            self.net.to(run.device)
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(run.random(21).integers(2**31)))
            net = self._made()
        if self.weights == "random":
            self.came_from = f"random, seed {run.seed}"
            logger.warning(
                f"{self.recipe.name} has random weights; --weights hub or a file gives it trained ones"
            )
        else:
            self.came_from = put_weights(net, self.recipe, self.weights)
        run.notes["encoder"] = {
            "name": self.recipe.name,
            "weights": self.came_from,
            "numbers": self.recipe.width,
        }
        self.net = net.to(run.device)
        pixels = torch.zeros((1, 3, self.frames, self.side, self.side), dtype=torch.uint8)
        self.choose_precision(net, normalised(pixels, self.recipe, torch.device(run.device)), run)
        if self.unfreeze_epoch is not None:
            self._finetune(net, self.unfreeze_epoch, videos, run)

    def _finetune(self, net: nn.Module, frozen: int, videos: Sequence[Video], run: Run) -> None:
        """An autoencoder on frozen embeddings first, then both together for the epochs that are left."""
        training = self.head.options.training
        head = Autoencoder(
            replace(self.head.options, training=replace(training, epochs=frozen, keep="last"))
        )
        embedded = self.embed_videos(videos, run)
        head.validation = self.embed_videos(run.validation, run)
        head.fit(embedded, run)
        assert head.net is not None
        steps = max(1, total(embedded) // training.batch)
        rest = replace(
            training,
            epochs=training.epochs - frozen,
            lr=rate_at(training, frozen * steps, steps, []),
            keep="last",
        )
        try:
            rows = finetune(
                net,
                head.net.float().requires_grad_(True),
                lambda pixels: normalised(pixels, self.recipe, next(net.parameters()).device),
                videos,
                self.spec,
                run,
                rest,
                clips=total(embedded),
                first=self.unfreeze_from,
            )
        except ValueError as error:
            raise BadInput(f"{self.name}: {error}") from error
        channels_last(net)
        run.notes["finetune"] = rows

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, D); every clip is embedded in a pass of the same shape, so that its neighbours do not matter."""
        if self.net is None:
            raise BadInput("the network is made by fitting; fit first")
        if isinstance(self.net, Embedder):
            return self.net.embed(pixels)
        device = next(self.net.parameters()).device
        size = 1 if device.type == "cpu" else AT_ONCE
        out = []
        for start in range(0, len(pixels), size):
            part = pixels[start : start + size]
            if len(part) < size:
                part = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
            with autocast(device, self.precision):
                vectors = self.net(normalised(part, self.recipe, device))
            out.append(vectors[: len(pixels) - start].float())
        return torch.cat(out)

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
            return {"encoder": self.net.name, **self.net.embedding_options()}
        return {"encoder": self.recipe.name, "precision": self.precision}

    def _made(self) -> nn.Module:
        net: nn.Module = self.recipe.make(self.frames, self.side).eval().requires_grad_(False)
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
        if (words := state.get("_extra_state", {}).get("run")) is None:
            self.net = self._made()
        else:  # the folder that it was borrowed from may be gone
            self.net = net = member("methods", words["method"], "method").of(words["options"])
            inside = {
                name.removeprefix("net."): value
                for name, value in state.items()
                if name.startswith("net.")
            }
            load_module_state(net, inside)
            net.eval()
        return super().load_state_dict(state, strict, assign)

    def get_extra_state(self) -> dict[str, Any]:
        told: dict[str, Any] = {"came_from": self.came_from}
        if isinstance(self.net, Embedder):
            told["run"] = {"method": self.net.name, "options": self.net.options}
        return told

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.came_from = str(state["came_from"])


def _embedder_of(folder: Path) -> Embedder:
    found = saving.load(folder)
    if not isinstance(found, Embedder):
        raise BadInput(f"{folder} is a run of {found.name}, which has no embeddings")
    return found.requires_grad_(False)


def _recipe(name: str) -> Encoder:
    return encoder(name)  # an option of the method has the function's name
