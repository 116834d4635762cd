"""Learn what is normal."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.base import open_data
from oddframe.detector import Detector
from oddframe.errors import BadInput, BadVideo
from oddframe.progress import logger
from oddframe.run import Run, rank, refuse_device
from oddframe.scoring.calibration import calibrate
from oddframe.scoring.cross_validation import fit_and_cross_validate
from oddframe.scoring.run_folder import (
    UNFINISHED,
    USUAL_RATE,
    FittedDetector,
    circumstances,
    room_for_run,
    save_run,
)
from oddframe.types import Video
from oddframe.video.reader import content_hash, times_of
from oddframe.visualization.architecture import draw_run
from oddframe.visualization.embedding_plots import draw_embeddings


def fit_data(
    detector: Detector,
    data: str,
    *,
    root: Path | None = None,
    stream: str | None = None,
    out: Path,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
    resume: bool = True,
    cache: Path | None = None,
    json: bool = False,
) -> FittedDetector:
    """Learn what is normal from the normal videos of a data set or folder, and write a run folder.

    Videos that cannot be read are left out, and named. Raises BadInput or BadVideo, one line, when there is nothing to
    learn from.

    Args:
        detector: what is to learn.
        data: a data set, as `oddframe datasets` lists them, or a folder of your own videos.
        root: where a named data set lies.
        stream: of videos with several, such as two cameras on one driver, the one to learn; all unless given.
        out: the run folder, new or an earlier run that is replaced when this one is complete.
        seed: of everything drawn at random; the same one gives the same run on the same machine.
        threads: videos decoded and described side by side.
        device: where networks run: cpu, cuda, cuda:1 …
        false_alarms_per_hour: how often an alarm on normal video may be false; sets the threshold.
        resume: go on where an earlier fit into the same folder was interrupted.
        cache: where embeddings are kept for the next fit, of whatever head; in your own cache folder unless given.
        json: print one JSON object instead of lines for a person.
    """
    name, split = open_data(data, root, stream)
    if not split.train:
        raise BadInput(f"{name} has no normal video to learn from; put some into its train folder")
    fitted = fit_videos(
        detector,
        split.train,
        data=name,
        stream=split.stream,
        out=out,
        seed=seed,
        threads=threads,
        device=device,
        false_alarms_per_hour=false_alarms_per_hour,
        resume=resume,
        cache=cache or own_cache(),
    )
    if rank() == 0:
        tell(fitted, json)
    return fitted


def fit_videos(
    detector: Detector,
    videos: Sequence[Video],
    *,
    data: str = "videos",
    stream: str | None = None,
    out: Path,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
    resume: bool = True,
    cache: Path | None = None,
) -> FittedDetector:
    """The same for videos in hand; without `cache` nothing is kept for other fits."""
    refuse_impossible(seed, threads, device, false_alarms_per_hour)
    # of torchrun's processes the first writes the run, and what the others write is nobody's
    folder = room_for_run(out) if rank() == 0 else Path(tempfile.mkdtemp(prefix="oddframe-"))
    if not resume:
        forget(folder)
    began = time.perf_counter()
    facts = circumstances()
    videos, left_out = readable(videos)
    run = Run(folder, seed=seed, device=device, threads=threads, cache=cache)
    held_out = fit_and_cross_validate(detector, videos, run)
    calibration = calibrate(held_out.scores, held_out.how)
    threshold = calibration.threshold(false_alarms_per_hour, seed)
    facts |= {
        "method": detector.name,
        "options": detector.options,
        "data": data,
        **({"stream": stream} if stream else {}),
        "seed": seed,
        "trained_on": [
            {"name": video.name, "source": str(video.source), "hash": content_hash(video.source)}
            for video in videos
        ],
        "left_out": left_out,
        "calibration": {
            "how": held_out.how,
            "learned_from": len(held_out.learned_from),
            "held_out": list(held_out.held_out),
            "hours": calibration.hours,
            "frames": sum(len(s) for s in calibration.scores),
        },
        "learned": run.notes,
        "seconds": {"fit": round(time.perf_counter() - began, 3)},
    }
    fitted = save_run(folder, detector, calibration, threshold, facts)
    draw_run(folder, fitted.detector, videos[0])
    forget(folder)
    draw_embeddings(folder)
    if rank():
        shutil.rmtree(folder, ignore_errors=True)
    return fitted


def own_cache() -> Path:
    """Where this user's programs keep what they can make again."""
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oddframe" / "embeddings"
    )


def forget(folder: Path) -> None:
    """Remove what is only there to go on from."""
    for name in UNFINISHED:
        shutil.rmtree(folder / name, ignore_errors=True)


def readable(videos: Sequence[Video]) -> tuple[list[Video], list[str]]:
    """The videos that can be read, and a line for each that cannot. Raises BadVideo when none can."""
    kept, left_out = [], []
    for video in videos:
        try:
            times_of(video)
            kept.append(video)
        except BadVideo as error:
            if len(videos) == 1:
                raise
            left_out.append(str(error))
            logger.warning(f"left out: {error}")
    if left_out and not kept:
        raise BadVideo(f"none of {len(videos)} videos can be read; the first: {left_out[0]}")
    return kept, left_out


def summary(fitted: FittedDetector) -> dict[str, Any]:
    """What `fit` tells a program."""
    return {
        "run": str(fitted.folder),
        "method": fitted.detector.name,
        "data": fitted.facts["data"],
        "videos": len(fitted.facts["trained_on"]),
        "left_out": fitted.facts["left_out"],
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


def tell(fitted: FittedDetector, json: bool) -> None:
    """What was learned, for a person or for a program."""
    if json:
        print(dumps(summary(fitted), indent=2))
        return
    t = fitted.threshold
    count, seconds, lost = (
        len(fitted.facts["trained_on"]),
        fitted.facts["seconds"]["fit"],
        fitted.facts["left_out"],
    )
    videos = (
        f"{count} of {count + len(lost)} videos" if lost else f"{count} video{'s' * (count != 1)}"
    )
    kept = len(fitted.facts["calibration"]["held_out"])
    if kept:
        videos = f"{count - kept} of {count} videos, calibrated on the other {kept},"
    print(f"learned {fitted.detector.name} from {videos} in {seconds:.1f} s: {fitted.folder}")
    print(f"threshold: rarity {t.rarity:.2f} for {t.asked:g} false alarms per hour; {t.note}")


def refuse_impossible(
    seed: int, threads: int, device: str, false_alarms_per_hour: float = USUAL_RATE
) -> None:
    """Raise BadInput, before hours are spent, for what nothing can work with."""
    if seed < 0:
        raise BadInput(f"a seed is 0 or more, got {seed}")
    if threads < 1:
        raise BadInput(f"threads are 1 or more, got {threads}")
    if not 0 < false_alarms_per_hour < math.inf:
        raise BadInput(f"false alarms per hour is a number above 0, got {false_alarms_per_hour}")
    refuse_device(device)
