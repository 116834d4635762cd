"""Learn what is normal."""

import shutil
import time
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.contract import open_data
from oddframe.errors import BadInput
from oddframe.learning.detector import Detector
from oddframe.learning.run import Run
from oddframe.scores.calibration import calibrate
from oddframe.scores.fitted import USUAL_RATE, Fitted, circumstances, room_for_run, save_run
from oddframe.scores.holding import fit_and_hold_out
from oddframe.types import Video
from oddframe.video.reader import content_hash


def fit_data(
    detector: Detector,
    data: str,
    *,
    root: Path | None = None,
    out: Path,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
    json: bool = False,
) -> Fitted:
    """Learn what is normal from the normal videos of a data set or folder, and write a run folder.

    Raises BadInput or BadVideo, one line, when there is nothing to learn from.

    Args:
        detector: what is to learn.
        data: a data set, as `oddframe datasets` lists them, or a folder of your own videos.
        root: where a named data set lies.
        out: the run folder, new or an earlier run that is replaced when this one is complete.
        seed: of everything drawn at random; the same one gives the same run on the same machine.
        threads: videos decoded and described side by side.
        device: where networks run: cpu, cuda, cuda:1 …
        false_alarms_per_hour: how often an alarm on normal video may be false; sets the threshold.
        json: print one JSON object instead of lines for a person.
    """
    name, split = open_data(data, root)
    if not split.train:
        raise BadInput(f"{name} has no normal video to learn from; put some into its train folder")
    fitted = fit_videos(
        detector,
        split.train,
        data=name,
        out=out,
        seed=seed,
        threads=threads,
        device=device,
        false_alarms_per_hour=false_alarms_per_hour,
    )
    tell(fitted, json)
    return fitted


def fit_videos(
    detector: Detector,
    videos: Sequence[Video],
    *,
    data: str = "videos",
    out: Path,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
) -> Fitted:
    """The same for videos in hand."""
    import torch

    folder = room_for_run(out)
    began = time.perf_counter()
    facts = circumstances()
    torch.manual_seed(seed)
    run = Run(folder, seed=seed, device=device, threads=threads)
    held_out, how = fit_and_hold_out(detector.to(device), videos, run)
    calibration = calibrate(held_out, how)
    threshold = calibration.threshold(false_alarms_per_hour, seed)
    facts |= {
        "method": detector.name,
        "options": detector.options,
        "data": data,
        "seed": seed,
        "trained_on": [
            {"name": video.name, "source": str(video.source), "hash": content_hash(video.source)} for video in videos
        ],
        "calibration": {"how": how, "hours": calibration.hours, "frames": sum(len(s) for s in calibration.scores)},
        "learned": run.notes,
        "seconds": {"fit": round(time.perf_counter() - began, 3)},
    }
    fitted = save_run(folder, detector, calibration, threshold, facts)
    shutil.rmtree(folder / "remembered", ignore_errors=True)
    return fitted


def summary(fitted: Fitted) -> dict[str, Any]:
    """What `fit` tells a program."""
    return {
        "run": str(fitted.folder),
        "method": fitted.detector.name,
        "data": fitted.facts["data"],
        "videos": len(fitted.facts["trained_on"]),
        "normal_hours": fitted.calibration.hours,
        "calibration": fitted.facts["calibration"],
        "threshold": {
            "rarity": fitted.threshold.rarity,
            "false_alarms_per_hour": fitted.threshold.expected,
            "interval": fitted.threshold.interval,
            "counted": fitted.threshold.counted,
            "supported": fitted.threshold.supported,
            "note": fitted.threshold.note,
        },
        "seconds": fitted.facts["seconds"],
    }


def tell(fitted: Fitted, json: bool) -> None:
    """What was learned, for a person or for a program."""
    if json:
        print(dumps(summary(fitted), indent=2))
        return
    t = fitted.threshold
    count, seconds = len(fitted.facts["trained_on"]), fitted.facts["seconds"]["fit"]
    print(f"learned {fitted.detector.name} from {count} video{'s' * (count != 1)} in {seconds:.1f} s: {fitted.folder}")
    print(f"threshold: rarity {t.rarity:.2f} for {t.asked:g} false alarms per hour; {t.note}")
