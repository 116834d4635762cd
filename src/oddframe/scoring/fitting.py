"""Videos to a run: fit, cross-validate, calibrate, write."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from oddframe.detector import Detector
from oddframe.left_out import do_each
from oddframe.run import Run, rank, refuse_device
from oddframe.scoring.attempts import Attempts
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
    """Learn from normal videos and write a run folder; without `cache` nothing is kept for other fits.

    Videos that cannot be read are left out, and named. Of torchrun's processes the first writes the
    run; what the others return has a folder that is gone. Raises BadInput, BadVideo.
    """
    refuse_device(device)
    is_first = rank() == 0
    folder = room_for_run(out) if is_first else Path(tempfile.mkdtemp(prefix="oddframe-"))
    if not resume:
        remove_unfinished(folder)
    facts = circumstances()
    videos, left_out = do_each(videos, readable, name_of=lambda video: video.name)
    attempts = Attempts(folder / UNFINISHED[0])
    run = Run(folder, seed=seed, device=device, threads=threads, cache=cache)
    held_out = fit_and_cross_validate(detector, videos, run)
    calibration = calibrate(held_out.scores, held_out.how)
    threshold = calibration.threshold(false_alarms_per_hour, seed)
    learned_from = []
    for video in videos:
        key = content_hash(video.source)
        learned_from.append({"name": video.name, "source": str(video.source), "hash": key})
    facts |= {"method": detector.name, "options": detector.options, "data": data}
    if stream:
        facts["stream"] = stream
    facts |= {
        "seed": seed,
        "trained_on": learned_from,
        "left_out": [one.why for one in left_out],
        "calibration": {
            "how": held_out.how,
            "learned_from": len(held_out.learned_from),
            "held_out": list(held_out.held_out),
            "hours": calibration.hours,
            "frames": sum(len(scores) for scores in calibration.scores),
        },
        "learned": run.notes,
        "seconds": {"fit": round(attempts.seconds(), 3)},
    }
    return save_run(folder, detector, calibration, threshold, facts)


def readable(video: Video) -> Video:
    """The video, if it can be read. Raises BadVideo."""
    times_of(video)
    return video


def remove_unfinished(folder: Path) -> None:
    """Remove what is only there to go on from."""
    for name in UNFINISHED:
        shutil.rmtree(folder / name, ignore_errors=True)
