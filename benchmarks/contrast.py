"""Memory, time and gradients of contrast pass by pass against all at once: python benchmarks/contrast.py

About six minutes on two cores. What autograd keeps is counted exactly, at the published sizes, on tensors without
storage: every tensor saved for the backward pass, once. What a process peaks at is measured at a batch that fits here,
each way in a process of its own, and includes weights, gradients, Adam's moments and whatever convolutions need.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from machine import write
from oddframe.methods.tclr import detector as tclr
from oddframe.methods.tclr.networks import ContrastedNetwork
from oddframe.methods.temporal_queue import detector as temporal_queue
from oddframe.methods.temporal_queue import losses as queue_losses
from oddframe.training.gradient_cache import Memory

GIB = 2**30


class Kept:
    """How many bytes autograd holds, now and at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.held: dict[int, int] = {}

    def pack(self, tensor: Tensor) -> Any:
        return _Handle(self, tensor)

    @staticmethod
    def unpack(kept: Any) -> Tensor:
        out: Tensor = kept.tensor
        return out


class _Handle:
    def __init__(self, kept: Kept, tensor: Tensor) -> None:
        self.kept, self.tensor = kept, tensor
        storage = tensor.untyped_storage()
        self.key, self.bytes = storage._cdata, storage.nbytes()
        count = kept.held.get(self.key, 0)
        kept.held[self.key] = count + 1
        if not count:
            kept.now += self.bytes
            kept.most = max(kept.most, kept.now)

    def __del__(self) -> None:
        self.kept.held[self.key] -= 1
        if not self.kept.held[self.key]:
            del self.kept.held[self.key]
            self.kept.now -= self.bytes


def kept_by(run: Callable[[], None], weights: nn.Module) -> float:
    """GiB that autograd holds at most while `run` runs, without the weights, which are there anyway."""
    kept = Kept()
    own = {part.untyped_storage()._cdata for part in (*weights.parameters(), *weights.buffers())}
    kept.held = dict.fromkeys(own, 1)  # counted nowhere
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        run()
    return kept.most / GIB


def tclr_step(model: nn.Module, batch: Tensor, memory: Memory) -> None:
    tclr.contrast_views(
        model, batch, torch.autograd.backward, weights=tclr.LossWeights(), memory=memory
    )


def counted(batch: int) -> dict[str, Any]:
    """What autograd keeps of TCLR's ten passes of `batch` videos, and of a segment of 140 frames of 256 pixels."""
    with torch.device("meta"):
        model = ContrastedNetwork("r3d18").train()
        clips = torch.zeros(batch, 2, 5, 3, 16, 112, 112, dtype=torch.uint8)
        found = {
            memory: kept_by(partial(tclr_step, model, clips, memory), model)
            for memory in ("plain", "exact")
        }
        frames = torch.zeros(140, 3, 256, 256, dtype=torch.uint8)
        queues: dict[str, dict[str, float]] = {}
        for kind in ("basic", "resnet18", "resnet50"):
            encoder = temporal_queue.make_frame_encoder(kind, 256, 64).train()
            step = partial(queue_step, encoder, frames)
            queues[kind] = {"one queue": kept_by(partial(step, [0]), encoder)}
            queues[kind]["segment in the memory of one"] = kept_by(
                partial(step, list(range(0, 113, 7))), encoder
            )
            queues[kind]["segment, all graphs"] = 17 * queues[kind]["one queue"]
    return {
        "tclr, r3d18, 16 x 112 x 112": {
            "batch": batch,
            **found,
            "ratio": found["exact"] / found["plain"],
        },
        "temporal queue, 140 x 256 x 256": queues,
    }


def queue_step(encoder: nn.Module, frames: Tensor, starts: list[int]) -> None:
    temporal_queue.contrast_queues(
        encoder,
        (frames, torch.tensor(starts, device="cpu")),
        torch.autograd.backward,
        queue=28,
        loss=partial(queue_losses.infonce, temperature=0.1),
        prepare=lambda pixels: pixels.float() / 255,
    )


def gradients_differ() -> dict[str, float]:
    """The largest difference of any parameter's gradient, relative to that parameter's largest gradient."""
    found = {}
    for precision in (torch.float64, torch.float32):
        grads = []
        for memory in ("plain", "exact"):
            torch.manual_seed(0)
            model = ContrastedNetwork("r3d18").to(precision)
            batch = torch.randint(0, 255, (3, 2, 5, 3, 16, 32, 32), dtype=torch.uint8)
            if precision == torch.float64:
                model.register_forward_pre_hook(
                    lambda _, inputs: tuple(part.double() for part in inputs)
                )
            tclr_step(model, batch, memory)
            grads.append([part.grad for part in model.parameters() if part.grad is not None])
        one, other = grads
        found[str(precision).removeprefix("torch.")] = max(
            float((a - b).abs().max() / a.abs().max()) for a, b in zip(one, other, strict=True)
        )
    return found


def peak(memory: Memory, batch: int, steps: int) -> None:
    """In a process of its own: prints GiB above what the process had with its weights, and seconds of a step."""
    torch.manual_seed(0)
    model = ContrastedNetwork("r3d18").train()
    optimizer = torch.optim.Adam(model.parameters())
    for part in model.parameters():
        part.grad = torch.zeros_like(part)
    optimizer.step()
    clips = torch.randint(0, 255, (batch, 2, 5, 3, 16, 112, 112), dtype=torch.uint8)
    idle, most, done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, resident())

    threading.Thread(target=watch, daemon=True).start()
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=False)
        tclr_step(model, clips, memory)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    done.set()
    print(json.dumps({"idle": idle, "above_idle": most - idle, "seconds": min(seconds)}))


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / GIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--batch", type=int, default=4, help="videos in the batch whose peak is measured"
    )
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--only", choices=("plain", "exact"), help="measure one way and print it")
    asked = parser.parse_args()
    if asked.only:
        peak(asked.only, asked.batch, asked.steps)
        return
    result: dict[str, Any] = {"kept_gib": counted(40), "gradients_differ": gradients_differ()}
    ways = {}
    for memory in ("plain", "exact"):
        words = [
            sys.executable,
            __file__,
            "--only",
            memory,
            "--batch",
            str(asked.batch),
            "--steps",
            str(asked.steps),
        ]
        ways[memory] = json.loads(
            subprocess.run(words, capture_output=True, text=True, check=True).stdout
        )
    result["peak"] = {
        "batch": asked.batch,
        "threads": torch.get_num_threads(),
        **ways,
        "memory_ratio": ways["exact"]["above_idle"] / ways["plain"]["above_idle"],
        "time_ratio": ways["exact"]["seconds"] / ways["plain"]["seconds"],
    }
    print(json.dumps(result, indent=2))
    print(write("contrast", result))


if __name__ == "__main__":
    main()
