"""What half precision and channels-last are worth, against plain float32: python benchmarks/reconstruct.py

Each ratio is of times of one round, one after the other; the median of the rounds counts. Processor seconds stand
beside seconds, for on a machine with other work to do the latter tell of that work. With `--root DATA/ucsd` a video of
Ped2 is scored, too, against each clip by itself; and the peak memory of training on one video and on sixteen is told.
"""

import argparse
import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from machine import middle, write
from oddframe.datasets.base import open_data
from oddframe.methods.reconstruction import C3D, ConvLSTM, ReconstructionOptions
from oddframe.methods.reconstruction.detector import Reconstruction
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.training.precision import SmallConvolutionsInFloat32, autocast
from oddframe.training.random_clips import clip_at
from oddframe.types import Video
from oddframe.video.sampling import clip_windows

NETWORKS: dict[str, Callable[..., Reconstruction]] = {
    "conv-lstm": ConvLSTM,
    "c3d light": C3D,
    "c3d deep": lambda **options: C3D(network="deep", **options),
}
MEMORY = """
import resource, sys
from pathlib import Path
from oddframe.datasets.base import open_data
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.methods.reconstruction import C3D, ReconstructionOptions
videos = open_data("ped2", Path(sys.argv[1]))[1].train[: int(sys.argv[2])]
training = Training(epochs=max(1, 16 // len(videos)), batch=4)
C3D(reconstruction=ReconstructionOptions(size=(64, 96)), training=training).fit(videos, Run(Path(sys.argv[3])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--root", type=Path, help="folder that holds UCSDped2")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--batch", type=int, default=4)
    words.add_argument("--size", type=int, nargs=2, default=(64, 96))
    asked = words.parse_args()
    size = (asked.size[0], asked.size[1])
    options = ReconstructionOptions(size=size)
    result: dict[str, Any] = {
        "size": size,
        "batch": asked.batch,
        "training step": {},
        "scoring": {},
    }
    for name, make in NETWORKS.items():
        result["training step"][name] = found = steps(
            make(reconstruction=options), asked.batch, asked.rounds
        )
        print(f"{name}: a training step {found}", flush=True)
    if asked.root:
        video = open_data("ped2", asked.root)[1].test[0]
        for name, make in NETWORKS.items():
            result["scoring"][name] = found = scoring(make(reconstruction=options), video)
            print(f"{name}: scoring {found}", flush=True)
        result["peak MB of training"] = {str(count): peak(asked.root, count) for count in (1, 16)}
        print(result["peak MB of training"])
    write("reconstruct", result)


def steps(detector: Reconstruction, batch: int, rounds: int) -> dict[str, float]:
    """Seconds of one step in plain float32 and as we do it, and their ratio."""
    pixels = torch.randint(
        0, 256, (batch, 1, detector.clip_length, *detector.copying.size), dtype=torch.uint8
    )
    ours, plain = detector.net.train(), as_published(detector.net).train()

    def step(net: nn.Module, half: bool) -> Callable[[], None]:
        optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9, nesterov=True)

        def one() -> None:
            optimizer.zero_grad()
            clip = pixels.float() / 255
            if half:
                with autocast("cpu", "bf16"), SmallConvolutionsInFloat32():
                    loss = detector.loss(net, (pixels,))
            else:
                loss = ((net(clip) - clip) ** 2).mean()
            loss.backward()
            optimizer.step()

        return one

    return compared(step(plain, False), step(ours, True), rounds)


def scoring(detector: Reconstruction, video: Video, most: int = 60) -> dict[str, float]:
    """Frames a second of a whole video, against each of its clips decoded and computed by itself in float32."""
    detector.eval()
    plain = as_published(detector.net).eval()
    windows = clip_windows(video, detector.spec)

    began = time.perf_counter(), time.process_time()
    scores = concatenate(score_video(detector, video))
    ours = time.perf_counter() - began[0], time.process_time() - began[1]
    began = time.perf_counter(), time.process_time()
    values = []
    for window in windows[:most]:
        with torch.inference_mode():
            clip = clip_at(video, detector.spec, window.tolist())[None].float() / 255
            values.append(255 * float(((plain(clip) - clip) ** 2).mean().sqrt()))
    theirs = time.perf_counter() - began[0], time.process_time() - began[1]
    near = np.abs(scores.value[: len(values)] / np.array(values) - 1).max()
    return {
        "frames_per_second": round(len(scores) / ours[0], 1),
        "ratio": round(theirs[0] / len(values) * len(scores) / ours[0], 2),
        "processor_ratio": round(theirs[1] / len(values) * len(scores) / ours[1], 2),
        "largest_relative_difference": float(f"{near:.2g}"),
    }


def as_published(net: nn.Module) -> nn.Module:
    """The same weights in the usual layout."""
    plain = copy.deepcopy(net)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    return plain


def compared(plain: Callable[[], None], ours: Callable[[], None], rounds: int) -> dict[str, float]:
    times: list[list[float]] = []
    for n in range(rounds + 1):
        row = []
        for one in (plain, ours):
            began = time.perf_counter(), time.process_time()
            one()
            row += [time.perf_counter() - began[0], time.process_time() - began[1]]
        if n:  # the first warms up
            times.append(row)
    return {
        "float32_seconds": round(middle([row[0] for row in times]), 3),
        "ours_seconds": round(middle([row[2] for row in times]), 3),
        "ratio": round(middle([row[0] / row[2] for row in times]), 2),
        "processor_ratio": round(middle([row[1] / row[3] for row in times]), 2),
    }


def peak(root: Path, videos: int) -> int:
    """Megabytes at most, of a process that trains on that many videos."""
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [sys.executable, "-c", MEMORY, str(root), str(videos), folder],
            check=True,
            capture_output=True,
            text=True,
        )
    return int(told.stdout.split()[-1])


if __name__ == "__main__":
    main()
