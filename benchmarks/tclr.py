"""What TCLR learns of the surveillance clips without labels: python benchmarks/tclr.py ROOT

ROOT is the folder surv_fight: 300 clips of two seconds, fight or not, cut from 46 sources; a third, by source, is for
testing. A small network is trained for minutes on two cores, for three seeds, and held against the same network
untrained and against raw pixels. Then what feeding it costs: decoding and ten looks against decoding alone.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from machine import write
from oddframe.datasets.labelled import Labelled
from oddframe.evaluation.linear_probe import chance_at_1, embed_side, find_neighbours, linear
from oddframe.methods.tclr.detector import TCLR
from oddframe.methods.tclr.networks import ContrastedNetwork
from oddframe.methods.tclr.sampling import Timing, TwoViews
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Video
from oddframe.video.augment import crop_spec
from oddframe.video.reader import frames_at
from oddframe.video.sampling import frames_at_rate

SMALL: dict[str, Any] = {
    "network": "small",
    "clip_length": 8,
    "train_frame_step": 2,
    "size": 48,
}


def worth(detector: TCLR, split: Any, folder: Path) -> dict[str, float]:
    """Retrieval at 1 and 5, and linear accuracy."""
    train, test = (embed_side(detector, side, 9, folder) for side in (split.train, split.test))
    found, *_ = find_neighbours(
        train.vector.mean(1), train.labels, test.vector.mean(1), test.labels
    )
    pixels, *_ = find_neighbours(train.pixels, train.labels, test.pixels, test.labels)
    accuracy = linear(train.vector, train.labels, test.vector, test.labels).accuracy
    by_pixels = linear(
        train.pixels[:, None], train.labels, test.pixels[:, None], test.labels
    ).accuracy
    return {
        "R@1": found["R@1"],
        "R@5": found["R@5"],
        "linear": accuracy,
        "pixels R@1": pixels["R@1"],
        "pixels linear": by_pixels,
        "chance at 1": chance_at_1(train.labels, test.labels),
    }


def one_seed(split: Any, seed: int, epochs: int, batch: int, lr: float) -> dict[str, Any]:
    """Untrained and trained."""
    training = Training(
        epochs=epochs,
        batch=batch,
        optimizer="adam",
        lr=lr,
        warm_up=2,
        schedule="cosine",
        precision="bf16",
    )
    detector = TCLR(**SMALL, gradient_cache="plain", training=training)
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        detector.model = ContrastedNetwork("small", 128)
        untrained = worth(detector.eval(), split, Path(folder) / "embedded")
        began = time.perf_counter()
        run = Run(Path(folder), seed=seed)
        detector.pretrain(split.train, run)
        seconds = time.perf_counter() - began
        trained = worth(detector.eval(), split, Path(folder) / "embedded")
    return {
        "untrained": untrained,
        "trained": trained,
        "seconds": seconds,
        "losses": run.notes["loss"],
    }


def feeding(videos: Sequence[Video]) -> dict[str, float]:
    """Clips a second of the published sampling (ten of 16 × 112²), and how long decoding its frames alone takes."""
    long = [video for video in videos if len(frames_at_rate(video, crop_spec(video, 112))) >= 64]
    data = TwoViews(long, Timing(), 112, max_video_frames=1024)
    samples = len(data)
    data[0]  # what is imported on the way
    begun = time.perf_counter()
    for item in range(samples):
        data[item]
    whole = (time.perf_counter() - begun) / samples
    begun = time.perf_counter()
    for video in data.videos:
        frames_at(video, crop_spec(video, 112), list(range(64)))
    alone = (time.perf_counter() - begun) / samples
    return {
        "clips_per_second": 10 / whole,
        "sample_seconds": whole,
        "decode_seconds": alone,
        "ratio": whole / alone,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="the folder surv_fight")
    parser.add_argument("--seeds", type=int, default=3, help="0: only what feeding costs")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--lr", type=float, default=1e-3)
    asked = parser.parse_args()
    split = Labelled().read(asked.root)
    result: dict[str, Any] = {
        "recipe": {**SMALL, **{k: v for k, v in vars(asked).items() if k != "root"}}
    }
    result["videos"] = {"train": len(split.train), "test": len(split.test)}
    result["seeds"] = []
    if not asked.seeds:
        fed = feeding(split.train)
        print(fed, write("tclr-feeding", fed))
        return
    for seed in range(asked.seeds):
        result["seeds"].append(one_seed(split, seed, asked.epochs, asked.batch, asked.lr))
        print(result["seeds"][-1], flush=True)
        for what in ("untrained", "trained"):
            for name in ("R@1", "R@5", "linear"):
                values = [one[what][name] for one in result["seeds"]]
                result[f"{what} {name}"] = {
                    "mean": float(np.mean(values)),
                    "spread": float(np.std(values)),
                }
        write("tclr", result)  # seeds take minutes: those that are done are kept
    for what in ("untrained", "trained"):
        for name in ("R@1", "R@5", "linear"):
            print(
                f"{what:10}{name:8}{result[f'{what} {name}']['mean']:.3f} ± {result[f'{what} {name}']['spread']:.3f}"
            )


if __name__ == "__main__":
    main()
