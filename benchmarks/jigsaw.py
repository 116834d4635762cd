"""Jigsaw on Ped2: what each task and each epoch is worth, what scoring costs, how fast training is fed.

    oddframe fit jigsaw ped2 --root DATA/ucsd --config recipes/jigsaw-ped2.yaml --out RUN
    python benchmarks/jigsaw.py tasks RUN --root DATA/ucsd [--checkpoints DIR] [--every 1] [--out NAME]
    python benchmarks/jigsaw.py sources RUN --root DATA/ucsd --model fastestdet.onnx [--every 1]
    python benchmarks/jigsaw.py cost RUN --root DATA/ucsd
    python benchmarks/jigsaw.py feed recipes/jigsaw-ped2.yaml --root DATA/ucsd

What each head of a run is worth `oddframe evaluate RUN DATA` says by itself; `tasks` is for checkpoints. It gives frame
AUC for each head alone and combined, plain, with the run's causal running mean, and as published (stretched video by
video, Gaussian of 20 frames); with a folder of checkpoints, NETWORK@ANYTHING.pt, the same for each epoch: nothing
is chosen by it, the run's own weights are the last. `sources` gives the same networks, which have learned from what
moves, the boxes of a detector and of both; only the scale of its tasks is read anew, from normal video. `cost` splits
the time of scoring. `feed` holds cubes cut on the way against patches read from .npy files, as the authors' program
does, and the training step in bf16 against float32.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]

from machine import middle, write
from oddframe.datasets.base import Split, open_data
from oddframe.detector import Detector
from oddframe.evaluation.evaluated_video import last_scored
from oddframe.evaluation.metrics import as_published, auc
from oddframe.methods.jigsaw import JigsawFrames
from oddframe.methods.jigsaw.boxes import whole_frame
from oddframe.methods.jigsaw.cubes import BoxedVideo
from oddframe.methods.jigsaw.detector import PuzzleDetector
from oddframe.methods.jigsaw.object_level import ObjectPuzzles
from oddframe.registry import member
from oddframe.run import Run
from oddframe.scoring.cross_validation import SALT, hold_out, segments_of
from oddframe.scoring.run_folder import load_run
from oddframe.training.checkpoints import read_checkpoint
from oddframe.training.precision import Precision, autocast
from oddframe.training.trainer import by_loss
from oddframe.types import Bools, Bytes, Floats, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read

SIGMA = 20.0  # frames: the authors' Gaussian


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("what", choices=["tasks", "sources", "cost", "feed"])
    words.add_argument("run", type=Path)
    words.add_argument("--data", default="ped2", help="or a folder of videos with truth")
    words.add_argument("--method", default="jigsaw", help="that a recipe is for")
    words.add_argument("--root", type=Path)
    words.add_argument("--checkpoints", type=Path)
    words.add_argument("--every", type=int, default=1, help="judge each of so many frames")
    words.add_argument("--model", help="an ONNX detector")
    words.add_argument("--out")
    asked = words.parse_args()
    if asked.run.suffix == ".yaml":
        detector: Detector = member("methods", asked.method, "method").of(
            yaml.safe_load(asked.run.read_text())
        )
    else:
        detector = load_run(asked.run).detector
    assert isinstance(detector, PuzzleDetector)
    split = open_data(asked.data, None if Path(asked.data).exists() else asked.root)[1]
    if asked.what == "tasks":
        found = tasks(detector, split, asked.checkpoints, asked.every)
    elif asked.what == "sources":
        assert isinstance(detector, ObjectPuzzles)
        found = {
            name: sources(detector, split, name, asked.model, asked.every)
            for name in ("detector", "union")
        }
    elif asked.what == "cost":
        assert isinstance(detector, ObjectPuzzles)
        found = cost(detector, split.test[0])
    else:
        found = feed(detector, split.train)
    write(
        asked.out or f"jigsaw-{asked.what}",
        {"run": asked.run.name, "data": Path(asked.data).name, **found},
    )


def tasks(
    detector: PuzzleDetector, split: Split, checkpoints: Path | None, every: int
) -> dict[str, Any]:
    """AUC by head, for the run's own weights and for each epoch after which every network has a checkpoint."""
    seen = [Seen(detector, video, every) for video in split.test]
    result: dict[str, Any] = {"last": measured(detector, seen), "curve": []}
    print("last", result["last"], flush=True)
    kept: dict[int, dict[str, Any]] = {}
    for path in checkpoints.glob("*.pt") if checkpoints else []:
        told = read_checkpoint(path)
        rows = told["state"]["rows"]
        if rows and rows[-1]["step"] == told["state"]["step"]:
            kept.setdefault(len(rows), {})[path.stem.rpartition("@")[0]] = told
    boxed = boxed_again(detector, taught(split.train)) if kept else []
    for epoch, nets in sorted(kept.items()):
        if len(nets) == detector.ensemble:
            for net, (_, told) in zip(detector.nets, sorted(nets.items()), strict=True):
                net.load_state_dict(told["module"])
            reference_again(detector, boxed)
            rows = [told["state"]["rows"][-1] for told in nets.values()]
            means = {
                name: round(float(np.mean([row[name] for row in rows])), 4)
                for name in ("loss", "held_out")
            }
            result["curve"].append({"epoch": epoch, **means, **measured(detector, seen)})
            print(result["curve"][-1], flush=True)
    return result


def taught(videos: list[Video]) -> list[Video]:
    """The training videos without those that fit, with seed 0, held out for calibration."""
    learned, _ = hold_out(segments_of(videos), np.random.default_rng([0, SALT]))
    return learned


def boxed_again(detector: PuzzleDetector, videos: list[Video]) -> list[BoxedVideo]:
    """Where the cubes of the training videos are, by what the detector has learned."""
    with tempfile.TemporaryDirectory() as folder:
        return detector.find_cubes(videos, Run(Path(folder)))


def reference_again(detector: PuzzleDetector, boxed: list[BoxedVideo]) -> None:
    """Read the reference that these weights have."""
    cache = detector.ensemble_training.cubes(boxed, 0).cache
    normal = [detector.score_normal(net.eval(), boxed, cache) for net in detector.nets]
    detector.learn_reference(normal)


class Seen:
    """One test video with its things cut out once, and its truth."""

    def __init__(self, detector: PuzzleDetector, video: Video, every: int) -> None:
        frames, self.shape = 0, (0, 0)
        self.frame: list[int] = []
        self.count: list[int] = []
        cubes: list[Bytes] = []
        boxes: list[Floats] = []
        for clips in clips_of(read(video, detector.spec), detector.spec, video.name):
            frames = int(clips.frame_index[-1]) + 1 + detector.spec.lookahead
            pixels = clips.pixels.transpose(0, 2, 3, 4, 1)
            self.shape = pixels.shape[2:4]
            for clip, frame in zip(pixels, clips.frame_index, strict=True):
                if frame % every:
                    continue
                found = whole_frame(clip, video.name, int(frame))
                if isinstance(detector, ObjectPuzzles):
                    found = detector.finder()(clip, video.name, int(frame))
                boxes.append(found)
                cubes.append(detector.cut_cubes(clip, found))
                self.frame.append(int(frame))
                self.count.append(len(found))
        self.cubes, self.boxes = np.concatenate(cubes), np.concatenate(boxes)
        assert video.truth is not None
        self.odd: Bools = video.truth(frames).frame

    def peaks(self, detector: PuzzleDetector) -> Floats:
        """(T, heads): the highest z-score of each frame; 0 where nothing moves."""
        values = detector.zscores(self.cubes, self.boxes, self.shape)
        ends = np.cumsum(self.count)
        peaks = [
            values[end - n : end].max(0, initial=0) for n, end in zip(self.count, ends, strict=True)
        ]
        return np.stack(peaks)[last_scored(np.array(self.frame), len(self.odd))]


def measured(detector: PuzzleDetector, seen: list[Seen]) -> dict[str, Any]:
    """AUC of each head and of their mean."""
    values = [one.peaks(detector) for one in seen]
    odd = [one.odd for one in seen]
    heads = {name: [value[:, k] for value in values] for k, name in enumerate(detector.heads)}
    if isinstance(detector, JigsawFrames) and len(detector.heads) > 2:
        for level in ("frame", "clip"):
            columns = [k for k, name in enumerate(detector.heads) if name.startswith(level)]
            heads[level] = [value[:, columns].mean(1) for value in values]
    heads["combined"] = [value.mean(1) for value in values]
    return {name: aucs(odd, value, detector.half_life) for name, value in heads.items()}


def aucs(odd: list[Bools], value: list[Floats], half_life: float) -> dict[str, float | None]:
    weight = weight_of(half_life)
    smoothed = [running(one, weight) for one in value]
    told = {
        "plain": auc(np.concatenate(odd), np.concatenate(value)),
        "honest": auc(np.concatenate(odd), np.concatenate(smoothed)),
        "as_published": as_published(odd, value, SIGMA)[0],
        "as_published_macro": as_published(odd, value, SIGMA)[1],
    }
    return {name: None if number is None else round(number, 4) for name, number in told.items()}


def sources(
    detector: ObjectPuzzles, split: Split, source: str, model: str, every: int
) -> dict[str, Any]:
    """AUC by head of the same network on other boxes."""
    options = {**detector.options, "boxes": {"source": source, "model": model}}
    other = type(detector).of(options)
    boxed = boxed_again(other, taught(split.train))
    other.nets.load_state_dict(detector.nets.state_dict())
    reference_again(other, boxed)
    seen = [Seen(other, video, every) for video in split.test]
    things = sum(sum(one.count) for one in seen) / sum(len(one.count) for one in seen)
    told = {"things_a_frame": round(things, 1), **measured(other, seen)}
    print(source, told, flush=True)
    return told


def weight_of(half_life: float) -> float:
    """How much the past counts from frame to frame, in films of ten frames a second."""
    return float(2 ** (-0.1 / half_life)) if half_life else 0.0


def running(values: Floats, weight: float) -> Floats:
    """The causal running mean along the first axis."""
    out = [values[0]]
    for now in values[1:]:
        out.append(weight * out[-1] + (1 - weight) * now)
    return np.stack(out)


def cost(detector: ObjectPuzzles, video: Video) -> dict[str, Any]:
    """Milliseconds a frame of each part of scoring, and frames per second of all, with this many threads."""
    began = time.perf_counter()
    frames = list(read(video, detector.spec))
    spent = {"decode": time.perf_counter() - began}
    batches = list(clips_of(frames, detector.spec, video.name))
    clips = [clip for batch in batches for clip in batch.pixels.transpose(0, 2, 3, 4, 1)]
    finder = detector.finder()
    began = time.perf_counter()
    boxes = [finder(clip, video.name, 0) for clip in clips]
    spent["regions"], began = time.perf_counter() - began, time.perf_counter()
    cubes = [detector.cut_cubes(clip, box) for clip, box in zip(clips, boxes, strict=True)]
    spent["cut"], began = time.perf_counter() - began, time.perf_counter()
    together = np.concatenate(cubes)
    detector.head_scores(detector.core(), together, np.zeros(len(together), bool))
    spent["network"], began = time.perf_counter() - began, time.perf_counter()
    for batch in batches:
        detector.score(batch)
    score = time.perf_counter() - began
    return {
        "threads": torch.get_num_threads(),
        "things_a_frame": round(float(np.mean([len(box) for box in boxes])), 1),
        "milliseconds_a_frame": {
            name: round(1000 * s / len(clips), 2) for name, s in spent.items()
        },
        "score_frames_per_second": round(len(clips) / score, 1),
        "frames_per_second": round(len(clips) / (score + spent["decode"]), 1),
    }


def feed(detector: PuzzleDetector, videos: list[Video]) -> dict[str, Any]:
    """Samples per second of three ways to feed training, and steps per second in two precisions."""
    found: dict[str, Any] = {}
    fresh, training = detector.fresh(), detector.ensemble_training
    with tempfile.TemporaryDirectory() as folder:
        run, few = Run(Path(folder)), videos[:2]
        began = time.perf_counter()
        boxed = fresh.find_cubes(few, run)
        found["frames_per_second_of_looking_for_things"] = round(
            sum(len(one.index) for one in boxed) / (time.perf_counter() - began), 1
        )
        data = training.cubes(boxed, 0, 600, training.sampling.jitter)
        data[0]
        for i in range(len(data)):  # as the authors' patches: float32 in [0, 1], (3, T, 64, 64)
            cube = data[i].numpy().astype(np.float32) / 255
            np.save(
                Path(folder) / f"{i}.npy",
                np.broadcast_to(cube, (3, *cube.shape[1:])) if len(cube) == 1 else cube,
            )
        order = np.random.default_rng(0).permutation(len(data))
        found["cut_on_the_way"] = per_second(data[int(i)] for i in order)
        found["read_npy"] = per_second(
            torch.from_numpy(np.load(Path(folder) / f"{i}.npy")) for i in order
        )
        found["bytes_of_patches_on_disk"] = 0
        found["megabytes_of_frames_held"] = round(data.cache.bytes / 1e6, 1)
        batch = torch.stack([data[i] for i in range(training.training.batch)])
    options = fresh.options
    found |= {"size": options["size"], "base_width": options["base_width"]}
    found["threads"] = torch.get_num_threads()
    net, step = fresh.new_network().train(), by_loss(fresh.task)
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    for precision in precisions:
        seconds = []
        for _ in range(6):
            began = time.perf_counter()
            net.zero_grad()
            with autocast("cpu", precision):
                step(net, batch, lambda loss, gradient=None: loss.backward(gradient))
            seconds.append(time.perf_counter() - began)
        found[f"samples_per_second_{precision}"] = round(len(batch) / middle(seconds[1:]), 1)
    found["bf16_over_float32"] = round(
        found["samples_per_second_bf16"] / found["samples_per_second_float32"], 2
    )
    found["cut_over_npy"] = round(found["cut_on_the_way"] / found["read_npy"], 2)
    print(found)
    return found


def per_second(samples: Iterator[Any]) -> float:
    began, count = time.perf_counter(), 0
    for _ in samples:
        count += 1
    return round(count / (time.perf_counter() - began), 1)


if __name__ == "__main__":
    main()
