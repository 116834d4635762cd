"""How many of Ped2's true odd regions are found, by each source of boxes, and what finding them costs.

    python benchmarks/regions.py --root DATA/ucsd [--detector FastestDet.onnx] [--every 5]

A region is found when a box overlaps it by an intersection over union of 0.3 or 0.5, or when one box covers half of it.
Boxes are learned from the training clips; nothing is chosen here. About a minute.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from machine import write
from oddframe.datasets.base import open_data
from oddframe.evaluation.region_metrics import tracks_of_masks
from oddframe.methods.jigsaw.proposals import (
    filter_boxes,
    motion_proposals,
    to_grey,
    union_boxes,
)
from oddframe.methods.jigsaw.scene import learn_scene
from oddframe.types import Bytes, ClipSpec, Floats
from oddframe.video.boxes import overlap
from oddframe.video.object_boxes import OnnxDetector, read_model
from oddframe.video.reader import read

T = 7


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--root", type=Path, required=True)
    words.add_argument("--detector", type=Path)
    words.add_argument("--every", type=int, default=5, help="look at each of so many frames")
    asked = words.parse_args()
    split = open_data("ped2", asked.root)[1]
    spec = ClipSpec(length=T, size=None)
    began = time.perf_counter()
    scene = learn_scene(split.train, spec)
    result: dict[str, Any] = {"seconds_to_learn_the_scene": round(time.perf_counter() - began, 1)}
    sources: dict[str, Callable[[Bytes], Floats]] = {
        "motion": lambda clip: motion_proposals(to_grey(clip), scene)
    }
    if asked.detector:
        model = OnnxDetector(read_model(asked.detector), 0.3)
        sources["detector"] = lambda clip: model(clip[T // 2])
        sources["union"] = lambda clip: union_boxes(
            model(clip[T // 2]), motion_proposals(to_grey(clip), scene)
        )
    told: dict[str, list[tuple[float, float, int, float]]] = {name: [] for name in sources}
    for video in split.test:
        frames = np.stack([frame.pixels for frame in read(video, spec)])
        H, W = frames.shape[1:3]
        assert video.truth is not None
        truth = video.truth(len(frames))
        assert truth.mask is not None
        rows = tracks_of_masks(truth.mask)
        for middle in range(T // 2, len(frames) - T // 2, asked.every):
            true = rows[rows[:, 0] == middle, 2:] * np.array([W, H, W, H])
            for name, source in sources.items():
                began = time.perf_counter()
                found = filter_boxes(source(frames[middle - T // 2 : middle + T // 2 + 1]), (H, W))
                spent = time.perf_counter() - began
                told[name] += [(*best(region, found), len(found), spent) for region in true]
    for name, numbers in told.items():
        iou, covered, count, spent = np.array(numbers).T
        result[name] = {
            "regions": len(iou),
            "found_at_iou_0.3": round(float((iou >= 0.3).mean()), 4),
            "found_at_iou_0.5": round(float((iou >= 0.5).mean()), 4),
            "half_covered": round(float((covered >= 0.5).mean()), 4),
            "boxes_a_frame": round(float(count.mean()), 1),
            "milliseconds_a_frame": round(1000 * float(np.median(spent)), 1),
        }
        print(name, result[name], flush=True)
    write("regions", result)


def best(region: Floats, boxes: Floats) -> tuple[float, float]:
    """The highest overlap of a region (4,) with any box, and the largest share of it in one."""
    if not len(boxes):
        return 0.0, 0.0
    low, high = np.maximum(region[:2], boxes[:, :2]), np.minimum(region[2:], boxes[:, 2:4])
    share = (high - low).clip(0).prod(1).max() / (region[2:] - region[:2]).prod()
    return float(overlap(region[None], boxes).max()), float(share)


if __name__ == "__main__":
    main()
