"""Videos to a run: fit, cross-validate, calibrate, write."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from oddframe.detector import Detector, Extendable
from oddframe.errors import BadInput, BadVideo
from oddframe.files import hold_folder
from oddframe.left_out import do_each
from oddframe.progress import logger
from oddframe.run import Run, rank, refuse_device
from oddframe.scoring.attempts import Attempts
from oddframe.scoring.calibration import calibrate, raw_segments
from oddframe.scoring.cross_validation import fit_and_cross_validate, segments_of
from oddframe.scoring.extension import (
    Earlier,
    at_rate_of,
    forget_others,
    keep_facts,
    of_another_view,
    only_new,
    words_of,
)
from oddframe.scoring.run_folder import (
    UNFINISHED,
    USUAL_RATE,
    FittedDetector,
    circumstances,
    room_for_run,
    save_run,
)
from oddframe.types import IgnoredArea, Video
from oddframe.video.ignored import with_ignored
from oddframe.video.ignored_files import area_to_facts
from oddframe.video.levels import learn_levels
from oddframe.video.reader import content_of, facts_of, times_of
from oddframe.video.scene_check import Misfit, SceneCheck, check_videos


def fit_videos(
    detector: Detector,
    videos: Sequence[Video],
    *,
    data: str = "videos",
    stream: str | None = None,
    validation: Sequence[Video] = (),
    out: Path,
    seed: int = 0,
    threads: int = 2,
    device: str = "cpu",
    false_alarms_per_hour: float = USUAL_RATE,
    resume: bool = True,
    cache: Path | None = None,
    one_scene: bool = False,
    ignored: IgnoredArea | None = None,
    keep_features: bool = False,
    earlier: Earlier | None = None,
    clean: bool = False,
) -> FittedDetector:
    """Learn from normal videos and write a run folder; without `cache` nothing is kept for other
    fits. Nothing is looked at in the `ignored` area, now and in all scoring with the run.

    `validation` are normal videos to choose an epoch's weights by; without them some of `videos`.
    Videos that cannot be read are left out, and named; with `one_scene` also those that do not
    belong to the others (`video.scene_check`). With `earlier` the run learns from the videos of that
    one too, as if all had been given at once; with `keep_features` it keeps what a later one needs
    of its videos; with `clean` methods that are quick to fit set aside what lies far beyond the
    rest (`scoring.cleansing`). Of torchrun's processes the first writes the run;
    what the others return has a folder that is gone. Raises BadInput, BadVideo.
    """
    refuse_device(device)
    folder = folder_of_process(out)
    chosen_by: list[Video] = []
    if validation:
        chosen_by, _ = do_each(validation, readable, name_of=lambda video: video.name)
    run = Run(
        folder,
        seed=seed,
        device=device,
        threads=threads,
        cache=cache,
        validation=tuple(chosen_by),
    )
    with hold_folder(folder):
        if not resume:
            remove_unfinished(folder)
        return fit_and_save(
            detector,
            videos,
            run,
            data,
            stream,
            false_alarms_per_hour,
            one_scene=one_scene,
            ignored=ignored,
            keep_features=keep_features,
            earlier=earlier,
            clean=clean,
        )


def fit_and_save(
    detector: Detector,
    videos: Sequence[Video],
    run: Run,
    data: str,
    stream: str | None,
    false_alarms_per_hour: float,
    *,
    one_scene: bool,
    ignored: IgnoredArea | None,
    keep_features: bool,
    earlier: Earlier | None,
    clean: bool,
) -> FittedDetector:
    """`fit_videos` in a folder that is held."""
    folder = run.folder
    facts = circumstances()
    videos, left_out = do_each(videos, readable, name_of=lambda video: video.name)
    videos = [with_ignored(video, ignored) for video in videos]
    chosen_by = tuple(with_ignored(video, ignored) for video in run.validation)
    run = replace(run, validation=chosen_by)
    misfits: list[Misfit] = []
    if earlier is not None:
        videos, misfits = added_to(earlier, videos, one_scene)
    levels = learn_levels([video for video in videos if video.kept is None])
    if keep_features:
        refuse_keeping(detector, levels)
        videos = keep_facts(videos, folder)
    if levels is not None:
        videos = at_levels(videos, levels)
        run = replace(run, validation=tuple(at_levels(run.validation, levels)))
    check = SceneCheck((), None)
    if one_scene:
        check = check_videos(videos, one_shape=True)
    misfits += check.misfits
    for misfit in misfits:
        logger.warning(
            f"left out, as it does not belong to the others: {misfit} (--keep-all keeps it)"
        )
    videos = without(videos, misfits)
    attempts = Attempts(folder / UNFINISHED[0])
    if keep_features and isinstance(detector, Extendable):
        known = earlier.fitted.detector if earlier is not None and earlier.keeps else None
        detector.keep(videos, segments_of(videos), run, known)
    held_out = fit_and_cross_validate(detector, videos, run, clean=clean)
    calibration = replace(
        calibrate(held_out.scores, held_out.how),
        view=check.view,
        raw=raw_segments(held_out.raw),
    )
    threshold = calibration.threshold(false_alarms_per_hour, run.seed)
    learned_from = recorded_sources(videos, earlier, facts["began"])
    facts |= {"method": detector.name, "options": detector.options, "data": data}
    if stream:
        facts["stream"] = stream
    if earlier is not None:
        facts["added_to"] = earlier.words()
    if levels is not None:
        facts["levels"] = levels
    if ignored is not None:
        facts["ignored"] = area_to_facts(ignored)
    facts |= {
        "seed": run.seed,
        "frame_rate": float(median(facts_of(video).fps for video in videos)),
        "trained_on": learned_from,
        "validated_on": [video.name for video in run.validation],
        "left_out": [one.why for one in left_out],
        "misfits": [str(misfit) for misfit in misfits],
        "set_aside": [asdict(one) for one in held_out.set_aside],
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
    fitted = save_run(folder, detector, calibration, threshold, facts)
    forget_others(videos, folder)
    return fitted


def recorded_sources(
    videos: Sequence[Video], earlier: Earlier | None, began: str
) -> list[dict[str, Any]]:
    """The videos as run.json tells of them, each with when it was added."""
    added = {} if earlier is None else earlier.added
    told = []
    for video in videos:
        when = added.get(str(content_of(video)[0]), began)
        told.append(words_of(video, when))
    return told


def added_to(
    earlier: Earlier, videos: Sequence[Video], one_scene: bool
) -> tuple[list[Video], list[Misfit]]:
    """The videos of an earlier run and the new ones, without those of another view, which are given
    apart. Raises BadInput where nothing is new.
    """
    new = only_new(earlier, [at_rate_of(earlier, video) for video in videos])
    misfits: list[Misfit] = []
    if one_scene:
        misfits = of_another_view(earlier, new)
    ignored = earlier.fitted.ignored
    before = [with_ignored(video, ignored) for video in earlier.videos]
    return [*before, *without(new, misfits)], misfits


def without(videos: Sequence[Video], misfits: Sequence[Misfit]) -> list[Video]:
    """The videos that are no misfits."""
    strange = {misfit.name for misfit in misfits}
    return [video for video in videos if video.name not in strange]


def refuse_keeping(detector: Detector, levels: tuple[float, float] | None) -> None:
    """Raise BadInput where nothing can be kept of videos."""
    if not isinstance(detector, Extendable):
        raise BadInput(
            f"{detector.name} reads its videos again when more are added; "
            "leave --keep-features away"
        )
    if levels is not None:
        raise BadInput(
            "pictures of more than 8 bits are read again when more are added; "
            "leave --keep-features away"
        )


def folder_of_process(out: Path) -> Path:
    """Where this process writes: the first the run, any other a folder that goes."""
    if rank() == 0:
        return room_for_run(out)
    return Path(tempfile.mkdtemp(prefix="oddframe-"))


def at_levels(videos: Sequence[Video], levels: tuple[float, float]) -> list[Video]:
    """The same videos, read at these grey levels."""
    return [replace(video, levels=levels) for video in videos]


def readable(video: Video) -> Video:
    """The video, if it can be read. Raises BadVideo."""
    if len(times_of(video)) < 2:
        raise BadVideo(f"{video.source} is one picture: nothing can be learned from it")
    return video


def remove_unfinished(folder: Path) -> None:
    """Remove what is only there to go on from."""
    for name in UNFINISHED:
        shutil.rmtree(folder / name, ignore_errors=True)
