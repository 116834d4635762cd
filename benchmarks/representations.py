"""What TCLR's and the temporal queue's embeddings are worth for finding anomalies: python benchmarks/representations.py
PED2_ROOT

Networks small enough for minutes on two cores, learned from Ped2's training clips and from a simulated street, against
the same networks untrained, each with every head. AUC over all frames, no statistic of the test videos used. And what
the temporal queue's three losses do to embeddings: how far they are spread, and whether a frame's nearest, not from its
own queue, is of the same film.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from machine import FILMS, write
from oddframe import simulate
from oddframe.datasets.base import Split, open_data
from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.head import HeadOptions, make_head
from oddframe.embeddings.store import VideoEmbeddings
from oddframe.evaluation.evaluated_video import every_frame
from oddframe.evaluation.metrics import auc
from oddframe.methods.tclr.detector import TCLR
from oddframe.methods.temporal_queue.detector import TemporalQueue
from oddframe.methods.temporal_queue.losses import QueueOptions
from oddframe.run import Run
from oddframe.training.collapse import measure_spread
from oddframe.training.config import Training
from oddframe.types import Floats, Scores
from oddframe.video.reader import times_of

HEADS = ("knn", "centroid", "mahalanobis", "mixture")
QUEUE = 28


def tclr(epochs: int) -> TCLR:
    """About a minute of Ped2 a piece of 64 frames."""
    training = Training(
        epochs=epochs, batch=10, optimizer="adam", lr=1e-3, warm_up=2, schedule="cosine"
    )
    return TCLR(
        network="small",
        clip_length=8,
        frame_step=1,
        hop=2,
        size=80,
        max_video_frames=64,
        gradient_cache="plain",
        training=training,
    )


def queue(epochs: int, loss: Any = "infonce") -> TemporalQueue:
    training = Training(epochs=epochs, batch=1, optimizer="adam", lr=3e-4)
    return TemporalQueue(
        network="resnet18",
        size=64,
        hop=2,
        contrast=QueueOptions(loss=loss, update="segment"),
        training=training,
    )


def heads(embedder: Embedder, split: Split, run: Run) -> dict[str, float]:
    """AUC over all test frames with each head, of embeddings made once."""
    embedder.eval()
    normal, tested = embedder.embed_videos(split.train, run), embedder.embed_videos(split.test, run)
    odd = np.concatenate(
        [video.truth(len(times_of(video))).frame for video in split.test if video.truth]
    )
    found = {}
    for name in HEADS:
        head = make_head(HeadOptions(name=name))
        head.fit(normal, run)
        head.eval()
        found[name] = auc(odd, np.concatenate([_frames(one, head) for one in tested])) or float(
            "nan"
        )
    return found


def _frames(one: VideoEmbeddings, head: Any) -> Floats:
    """(frames,) the score of each frame of a video."""
    with torch.inference_mode():
        value = head.distance(torch.from_numpy(np.array(one.vector))).numpy()
    count = len(times_of(one.video))
    return np.asarray(every_frame(Scores(one.video.name, one.frame, one.seconds, value), count))


def same_film(embedded: Sequence[VideoEmbeddings]) -> dict[str, float]:
    """How often a frame's nearest is of its own film, frames nearer in time than a queue's length left aside."""
    number = np.concatenate([np.full(len(one), k) for k, one in enumerate(embedded)])
    frame = np.concatenate([one.frame for one in embedded])
    vector = np.concatenate([np.array(one.vector) for one in embedded])
    kept = np.unique(np.linspace(0, len(vector) - 1, min(1500, len(vector))).astype(int))
    number, frame, vector = number[kept], frame[kept], vector[kept]
    cosine = vector @ vector.T
    near = (number[:, None] == number) & (np.abs(frame[:, None] - frame) < QUEUE)
    nearest = np.where(near, -np.inf, cosine).argmax(1)
    rest = ((number[:, None] == number) & ~near).sum(1) / (~near).sum(1)
    return {"found": float((number[nearest] == number).mean()), "chance": float(rest.mean())}


def three_losses(split: Split, epochs: int) -> dict[str, Any]:
    """Spread and retrieval before and after training with each."""
    found: dict[str, Any] = {}
    for loss in ("pairwise", "pairwise-no-diagonal", "infonce"):
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder))
            detector = queue(epochs, loss)
            torch.manual_seed(0)
            if not found:
                untrained = detector.fresh().eval()
                vectors = untrained.embed_videos(split.train, run)
                spread = measure_spread(
                    np.concatenate([np.array(one.vector) for one in vectors])[::2]
                )
                found["untrained"] = {**spread.told(), **same_film(vectors)}
            began = time.perf_counter()
            detector.pretrain(split.train, run)
            seconds = time.perf_counter() - began
            vectors = detector.eval().embed_videos(split.train, run)
            spread = measure_spread(np.concatenate([np.array(one.vector) for one in vectors])[::2])
            found[loss] = {
                **spread.told(),
                **same_film(vectors),
                "seconds": seconds,
                "loss": run.notes["loss"],
            }
        print(loss, found[loss], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ped2", type=Path, help="the folder that holds UCSDped2")
    parser.add_argument("--epochs", type=int, default=20, help="of TCLR")
    parser.add_argument("--queue-epochs", type=int, default=4)
    asked = parser.parse_args()
    street = FILMS / "representations-street"
    if not (street / "scene.json").is_file():
        simulate(street, train=6, test=4, seconds=40.0)
    result: dict[str, Any] = {
        "epochs": {"tclr": asked.epochs, "temporal-queue": asked.queue_epochs}
    }
    for name, root in (("ped2", asked.ped2), ("simulated", street)):
        split = open_data(name, root)[1]
        if name == "ped2":
            half = Split(split.train[:8], [])
            result["losses of the temporal queue, eight films of ped2"] = three_losses(
                half, asked.queue_epochs
            )
        for make, epochs in ((tclr, asked.epochs), (queue, asked.queue_epochs)):
            with tempfile.TemporaryDirectory() as folder:
                torch.manual_seed(0)
                untrained = make(epochs)
                result[f"{untrained.name} untrained, {name}"] = heads(
                    untrained, split, Run(Path(folder))
                )
                trained, run, began = make(epochs), Run(Path(folder)), time.perf_counter()
                trained.pretrain(split.train, run)
                seconds = round(time.perf_counter() - began, 1)
                result[f"{trained.name}, {name}"] = {
                    **heads(trained, split, run),
                    "seconds": seconds,
                }
            for key in list(result)[-2:]:
                print(key, result[key], flush=True)
    print(write("representations", result))


if __name__ == "__main__":
    main()
