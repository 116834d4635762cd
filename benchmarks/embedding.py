"""What ready-made networks and heads give: python benchmarks/embedding.py again|precision|memory|table|collapse …

again      embedding the surveillance fights a second time against the first (about two minutes)
precision  bfloat16 with channels last against float32: seconds a clip and how far embeddings move (two minutes)
memory     peak memory of fitting on an hour of video against a minute (three minutes)
table      clip AUC on the fights and on simulated classes, network × head (ten minutes)
collapse   fine-tuning with the target detached and not (two minutes)

The fights are the folder surv_fight under --root. All networks here have random weights: nothing is downloaded.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from machine import FILMS, write
from memory import repeated
from oddframe.datasets.base import data_set
from oddframe.datasets.classes import ClassData, ClassVideos
from oddframe.datasets.splits import SPLIT_NAMES, split_clips
from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.head import AUTOENCODER_TRAINING, HeadOptions
from oddframe.embeddings.heads.autoencoder import AutoencoderNetwork
from oddframe.evaluation.class_report import class_summary, class_table
from oddframe.evaluation.metrics import auc
from oddframe.methods.embedding.encoders import Encoder, encoder_named, normalise
from oddframe.methods.embedding.finetuning import finetune
from oddframe.methods.tclr.detector import TCLR
from oddframe.registry import member
from oddframe.run import Run
from oddframe.serialization import save
from oddframe.synthetic.simulate import Shot, film
from oddframe.training.config import Training
from oddframe.training.precision import autocast, channels_last
from oddframe.types import ClipSpec, Video
from oddframe.video.reader import read
from oddframe.video.writer import video_writer

HEADS: dict[str, dict[str, Any]] = {
    "knn": {"name": "knn"},
    "centroid": {"name": "centroid"},
    "mahalanobis": {"name": "mahalanobis"},
    "mixture": {"name": "mixture"},
    "autoencoder": {"name": "autoencoder"},
    "variational": {"name": "autoencoder", "variational": True},
    "density": {"name": "density", "steps": 150},
}
NETWORKS: dict[str, dict[str, Any]] = {  # small clips: two busy cores have to embed them
    "r2plus1d-18, 8 × 80²": {"network": "r2plus1d-18", "clip_length": 8, "size": 80},
    "timesformer, 8 × 96²": {
        "network": "timesformer",
        "size": 96,
        "clip_seconds": 1.0,
        "hop_seconds": 1.0,
    },
    "image-resnet18, 4 × 112²": {"network": "image-resnet18", "size": 112},
}
NORMAL, ODD = ("people", "cyclist"), ("car", "runner")  # simulated classes


def fights(root: Path) -> ClassVideos:
    data = data_set("surv-fight")
    assert isinstance(data, ClassData)
    return data.class_videos(root / "surv_fight")


def again(root: Path) -> dict[str, Any]:
    parts = fights(root)
    videos = [video for part in SPLIT_NAMES for video in parts[part]]
    # small clips: with larger ones the second time is a smaller share still
    detector = member("methods", "embedding", "method")(
        network="r2plus1d-18", clip_length=8, size=80
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        detector.pretrain(videos, run)
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            embedded = detector.eval().embed_videos(videos, run)
            seconds.append(round(time.perf_counter() - began, 3))
        size = sum(path.stat().st_size for path in run.kept.iterdir())
    clips = sum(len(one) for one in embedded)
    ratio = seconds[1] / seconds[0]
    print(
        f"{len(videos)} videos, {clips} clips: {seconds[0]:.1f} s, again {seconds[1]:.2f} s (1/{1 / ratio:.0f})"
    )
    return {
        "videos": len(videos),
        "clips": clips,
        "seconds": seconds,
        "ratio": ratio,
        "megabytes": size / 1e6,
    }


def precision(root: Path) -> dict[str, Any]:
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    parts = fights(root)
    for name, rounds in (("r2plus1d-18", 7), ("timesformer", 5)):
        one = encoder_named(name)
        torch.manual_seed(0)
        net = one.make(one.clip_length, one.size).eval()
        spec = ClipSpec(
            length=one.clip_length, size=(one.size, one.size), fps=one.clip_length / 1.9
        )
        pixels = []
        for video in parts["test"][:6]:
            frames = [frame.pixels for frame in read(video, spec)][: one.frames]
            if len(frames) == one.frames:
                pixels.append(torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None])
        seconds: dict[str, list[float]] = {"float32": [], "bf16": []}
        vectors: dict[str, list[torch.Tensor]] = {"float32": [], "bf16": []}
        with torch.inference_mode():
            plain = net
            fast = one.make(one.clip_length, one.size).eval()
            fast.load_state_dict(net.state_dict())
            channels_last(fast)

            for clip in pixels:
                for kind, used in (("float32", plain), ("bf16", fast)):
                    vectors[kind].append(pass_of(one, used, kind, clip))
            for _ in range(rounds):
                for kind, used in (("float32", plain), ("bf16", fast)):
                    began = time.perf_counter()
                    pass_of(one, used, kind, pixels[0])
                    seconds[kind].append(time.perf_counter() - began)
        moved = [
            float((a - b).norm() / a.norm())
            for a, b in zip(vectors["float32"], vectors["bf16"], strict=True)
        ]
        told = {kind: statistics.median(times) for kind, times in seconds.items()}
        apart = float(
            torch.cat(vectors["float32"]).std(0).norm()
            / torch.cat(vectors["float32"]).norm(dim=1).mean()
        )
        result[name] = {
            "seconds": told,
            "times_as_fast": told["float32"] / told["bf16"],
            "largest_relative_difference": max(moved),
            "spread_between_clips": apart,
        }
        print(
            f"{name}: {told['float32']:.3f} s, bf16 {told['bf16']:.3f} s ({told['float32'] / told['bf16']:.2f} ×), "
            f"embeddings move by at most {max(moved):.2%}, clips differ by {apart:.2%}"
        )
    return result


def pass_of(one: Encoder, net: nn.Module, kind: str, clip: torch.Tensor) -> torch.Tensor:
    """(1, D): as the method embeds a clip, or in single precision with channels first."""
    x = normalise(clip, one)
    with autocast("cpu", "bf16" if kind == "bf16" else "float32"):
        out: torch.Tensor = net(x if kind == "bf16" else x.contiguous())
    return out.float()


def memory(root: Path) -> dict[str, Any]:
    """`oddframe fit embedding` in a process of its own, on a film of 320 × 180 at 10 frames a second."""
    del root
    minute = FILMS / "small-minute.mp4"
    if not minute.is_file():
        FILMS.mkdir(parents=True, exist_ok=True)
        with video_writer(minute, 10, (180, 320), crf=22) as video:
            for picture, _seen in film(Shot(0, 1, 600, 10, (180, 320))):
                video.write(picture)
    told: dict[str, Any] = {}
    for name, source in (("minute", minute), ("hour", repeated(minute, 60))):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "oddframe.cli.main",
                "fit",
                "embedding",
                str(source),
                "--out",
                f"{folder}/run",
            ]
            command += [
                "--network",
                "image-resnet18",
                "--size",
                "64",
                "--cache",
                f"{folder}/cache",
                "--head",
                "centroid",
            ]
            began = time.perf_counter()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _pid, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        told[name] = {
            "megabytes": used.ru_maxrss / 1024,
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(f"{name}: {told[name]['megabytes']:.0f} MB, {told[name]['seconds']} s")
    ratio = told["hour"]["megabytes"] / told["minute"]["megabytes"]
    print(f"an hour takes {ratio:.3f} times the memory of a minute")
    return {**told, "ratio": ratio, "within_10_percent": ratio <= 1.1}


def simulated(folder: Path, seconds: float = 2.0, fps: float = 10.0, each: int = 16) -> ClassVideos:
    """Clips of a plaza in classes: people alone, and with a cyclist, are normal; a car and a runner are not."""
    for k, label in enumerate((*NORMAL, *ODD)):
        for n in range(each if label in NORMAL else each // 2):
            path = folder / label / f"{label}{n:02d}.mp4"
            if path.is_file():
                continue
            kinds = () if label == "people" else (label,)
            frames = [
                picture
                for picture, seen in film(Shot(0, 1000 * k + n, 200, fps, (120, 160), kinds))
                if label == "people" or seen.kind
            ][: round(seconds * fps)]
            if len(frames) < seconds * fps:
                continue
            with video_writer(path, fps, (120, 160), crf=20) as video:
                for picture in frames:
                    video.write(picture)
    data = data_set("class-folders")
    assert isinstance(data, ClassData)
    divided = split_clips(data.clips(folder), ODD)
    return {
        part: [
            Video(f"{part}-{clip.path.stem}", clip.path, label=clip.label) for clip in divided[part]
        ]
        for part in SPLIT_NAMES
    }


def table(root: Path) -> dict[str, Any]:
    """Clip AUC of anomaly against test; train and val only choose."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, parts in (
            ("surv_fight", fights(root)),
            ("simulated", simulated(FILMS / "classes")),
        ):
            counts = {part: len(parts[part]) for part in SPLIT_NAMES}
            print(name, counts)
            result[name] = {"clips": counts, "pixel difference": _moving(parts), "networks": {}}
            print(f"  mean pixel difference: {result[name]['pixel difference']:.3f}")
            learned = {"network": "run", "weights": str(own(parts, Path(folder) / name))}
            for network, options in {
                **NETWORKS,
                "TCLR's small one, trained here, 8 × 48²": learned,
            }.items():
                row: dict[str, Any] = {}
                began = time.perf_counter()
                for head, more in HEADS.items():
                    detector: Embedder = member("methods", "embedding", "method")(
                        **options, head=HeadOptions(**more)
                    )
                    run = Run(
                        Path(folder) / f"{name}-{network}-{head}".replace(" ", ""),
                        cache=Path(folder) / "cache",
                    )
                    detector.fit(parts["train"], run)
                    with torch.inference_mode():
                        told = class_summary(class_table(detector, parts, run))["clip_auc"][
                            "anomaly against test"
                        ]
                    row[head] = told["error"]
                row["seconds"] = round(time.perf_counter() - began, 1)
                result[name]["networks"][network] = row
                shown = ", ".join(f"{head} {row[head]:.3f}" for head in HEADS)
                print(f"  {network}: {shown} ({row['seconds']} s)", flush=True)
    return result


def own(parts: ClassVideos, folder: Path) -> Path:
    """TCLR's small network, trained for minutes on the normal clips that the heads learn too."""
    training = Training(
        epochs=40,
        batch=8,
        optimizer="adam",
        lr=1e-3,
        warm_up=2,
        schedule="cosine",
        precision="bf16",
    )
    tclr = TCLR(
        network="small",
        clip_length=8,
        frame_step=1,
        size=48,
        gradient_cache="plain",
        training=training,
    )
    tclr.pretrain(parts["train"], Run(folder))
    save(tclr.eval(), folder / "run")
    return folder / "run"


def _moving(parts: ClassVideos) -> float | None:
    """Clip AUC of how much moves, and nothing else: what a network has to beat."""
    detector = member("methods", "frame-difference", "method")()
    values, truth = [], []
    for part in ("test", "anomaly"):
        for video in parts[part]:
            frames = [
                frame.pixels.astype(float)
                for frame in read(video, replace(detector.spec, size=160))
            ]
            values.append(np.mean([np.abs(b - a).mean() for a, b in pairwise(frames)]))
            truth.append(part == "anomaly")
    return auc(np.array(truth), np.array(values))


def collapse(root: Path) -> dict[str, Any]:
    """A small network trained along with its autoencoder: how far embeddings stay apart, and the error."""
    videos = fights(root)["train"][:24]
    spec = ClipSpec(length=2, size=(32, 32), fps=8)
    training = replace(
        AUTOENCODER_TRAINING, epochs=12, batch=16, lr=1e-3, schedule="constant", keep="last"
    )
    one = encoder_named("image-resnet18")
    result: dict[str, Any] = {"epochs": training.epochs}
    for way, detach in (("detached", True), ("not detached, as published", False)):
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            net = one.make(2, 32).eval()
            rows = finetune(
                net,
                AutoencoderNetwork(one.width, (128, 32), 0.0, False),
                lambda pixels: normalise(pixels, one),
                videos,
                spec,
                Run(Path(folder)),
                training,
                clips=192,
                detach=detach,
            )
        spread, loss = ([row[name] for row in rows] for name in ("spread", "loss"))
        result[way] = {"spread": spread, "loss": loss, "kept": spread[-1] / spread[0]}
        print(
            f"{way}: spread {spread[0]:.3g} → {spread[-1]:.3g}, loss {loss[0]:.3g} → {loss[-1]:.3g}"
        )
    return result


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "again": again,
    "precision": precision,
    "memory": memory,
    "table": table,
    "collapse": collapse,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=list(WAYS))
    parser.add_argument(
        "--root", type=Path, default=Path("../shared/data"), help="the folder that holds surv_fight"
    )
    asked = parser.parse_args(argv)
    for what in asked.what:
        result = WAYS[what](asked.root)
        print(write(f"embedding-{what}", result))


if __name__ == "__main__":
    main()
