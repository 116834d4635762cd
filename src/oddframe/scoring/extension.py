"""Going on from an earlier run with more normal video: its videos again, or what it kept of them."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.cache import key
from oddframe.datasets.discovery import free_name
from oddframe.detector import Extendable
from oddframe.errors import BadInput, BadRun, BadVideo
from oddframe.files import aside
from oddframe.progress import logger
from oddframe.scoring.run_folder import KEPT, FittedDetector, load_run
from oddframe.types import Video
from oddframe.video.kept import KeptVideo, load_kept, save_kept
from oddframe.video.reader import content_hash, content_of, facts_of, times_of
from oddframe.video.scene_check import Misfit, change_of_view, sample_scene


@dataclass(frozen=True)
class Earlier:
    """A run that is gone on from."""

    fitted: FittedDetector
    videos: tuple[Video, ...]  # that it learned from; `kept` where they are not read again
    added: Mapping[str, str]  # when each was added, by the hash of its content

    @property
    def keeps(self) -> bool:
        """Whether it keeps what it saw of its videos."""
        return any(video.kept is not None for video in self.videos)

    def words(self) -> dict[str, Any]:
        """What the new run says of this one."""
        facts = self.fitted.facts
        return {
            "run": str(self.fitted.folder),
            "began": facts["began"],
            "videos": len(self.videos),
        }


def open_earlier(folder: Path, device: str = "cpu") -> Earlier:
    """A run with the videos that it learned from.

    Raises BadRun for one that is damaged, BadInput where it keeps nothing of a video that is gone,
    or has changed.
    """
    fitted = load_run(folder, device)
    began = str(fitted.facts["began"])
    known = fitted.facts["trained_on"]
    videos = [video_in(fitted.folder, words) for words in known]
    added = {words["hash"]: str(words.get("added", began)) for words in known}
    kept = isinstance(fitted.detector, Extendable) and all(video.kept for video in videos)
    if not kept:
        refuse_gone(fitted.folder, videos, [words["hash"] for words in known])
        videos = [replace(video, kept=None) for video in videos]
    return Earlier(fitted, tuple(videos), added)


def video_in(folder: Path, words: Mapping[str, Any]) -> Video:
    """A video as run.json tells of it. Raises BadRun for what was changed."""
    try:
        kept = None
        if words.get("kept"):
            kept = folder / KEPT / Path(words["kept"]).name
            if load_kept(kept).content != words["hash"]:
                raise BadRun(f"{kept} is of another video; fit again on all videos")
        span = words.get("span")
        if span is not None:
            start, end = map(float, span)
            span = (start, end)
        return Video(
            words["name"],
            Path(words["source"]),
            fps=words.get("fps"),
            label=words.get("label"),
            group=words.get("group"),
            span=span,
            kept=kept,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadRun(f"{folder}/run.json does not say what it learned from ({error})") from error


def words_of(video: Video, added: str) -> dict[str, Any]:
    """A video as run.json tells of it."""
    content = content_of(video)[0]
    words: dict[str, Any] = {
        "name": video.name,
        "source": str(video.source),
        "hash": content,
        "added": added,
    }
    for name in ("fps", "label", "group", "span"):
        value = getattr(video, name)
        if value is not None:
            words[name] = value
    if video.kept is not None:
        words["kept"] = video.kept.name
    return words


def refuse_gone(folder: Path, videos: Sequence[Video], hashes: Sequence[str]) -> None:
    """Raise BadInput where a video that must be read again is not there, or is another one."""
    for video, content in zip(videos, hashes, strict=True):
        why = ""
        if not video.source.exists():
            why = "is no longer there"
        elif content_hash(video.source) != content:
            why = "has changed since"
        if why:
            raise BadInput(
                f"{folder} keeps nothing of the videos that it learned from, and {video.source} "
                f"{why}; fit again on all videos, with --keep-features where the method has it"
            )


def refuse_other_options(
    earlier: Earlier, method: str | None, options: Mapping[str, object] | None
) -> None:
    """Raise BadInput for a method or options, plain values, that are not those of the run."""
    fitted = earlier.fitted
    name = fitted.detector.name
    if method not in (None, name):
        raise BadInput(f"{fitted.folder} is a run of {name}; what is added to it is not {method}")
    changed = differing(options or {}, fitted.detector.options)
    if changed:
        words = ", ".join(f"--{one.replace('_', '-')}" for one in changed)
        raise BadInput(
            f"what is added to {fitted.folder} is learned with its own options; "
            f"leave {words} away, or fit again on all videos"
        )


def differing(given: Mapping[str, object], known: Mapping[str, Any]) -> list[str]:
    """The names of options that are other than the known ones; those of groups with the group."""
    found = []
    for name, value in given.items():
        there = known.get(name)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            found += [f"{name}.{inner}" for inner in differing(value, there)]
        elif key_of(value) != key_of(there):
            found.append(name)
    return found


def key_of(value: object) -> object:
    """A value to compare by: JSON knows lists, options tuples."""
    if isinstance(value, list | tuple):
        return [key_of(one) for one in value]
    return value


def only_new(earlier: Earlier, videos: Sequence[Video]) -> list[Video]:
    """The videos that the run has not learned from, under names that none of its videos has.

    Raises BadInput where none is left.
    """
    taken = {video.name.lower() for video in earlier.videos}
    fresh = []
    for video in videos:
        if content_hash(video.source) in earlier.added:
            logger.warning(f"left out: {video.source} was learned from before")
        else:
            fresh.append(replace(video, name=free_name(video.name, taken)))
    if not fresh:
        raise BadInput(f"{earlier.fitted.folder} has learned from all of these videos before")
    return fresh


def at_rate_of(earlier: Earlier, video: Video) -> Video:
    """The video, a folder of pictures at the rate of those that the run learned from; another rate
    of a film is a warning. Raises BadVideo.
    """
    return replace(earlier.fitted.as_learned(video), levels=None)  # learned anew from all of them


def of_another_view(earlier: Earlier, videos: Sequence[Video]) -> list[Misfit]:
    """Those of the videos that do not show what the run learned. Raises BadInput where none
    does.
    """
    misfits = []
    for video in videos:
        change = change_of_view(earlier.fitted.calibration.view, video)
        if change is not None:
            misfits.append(Misfit(video.name, change))
    if misfits and len(misfits) == len(videos):
        raise BadInput(
            f"nothing can be added to {earlier.fitted.folder}: {misfits[0]} (--keep-all adds it)"
        )
    return misfits


# What is kept.


def keep_facts(videos: Sequence[Video], folder: Path) -> list[Video]:
    """The same videos, with all that is known of each in a file of the run folder.

    What an earlier run kept is copied. Raises BadVideo, BadInput.
    """
    there = folder / KEPT
    kept = []
    for video in videos:
        if video.kept is not None:
            path = there / video.kept.name
            copy_kept(video.kept, path)
        else:
            path = there / f"{key(content_of(video))}.npz"
            if not path.exists():
                save_kept(path, known_of(video))
        kept.append(replace(video, kept=path))
    return kept


def known_of(video: Video) -> KeptVideo:
    """What is known of a video that is there. Raises BadVideo."""
    content = content_hash(video.source)
    plain = replace(video, fps=None)  # the rate is the video's own word, and is told with it
    facts, seconds = facts_of(plain), times_of(plain)
    try:
        sample = sample_scene(video)
    except BadVideo:
        nothing = np.zeros((0, 0), np.uint8)
        return KeptVideo(content, seconds, facts, nothing, 0.0, 0.0)
    return KeptVideo(content, seconds, facts, sample.background, sample.shake, sample.exposure)


def copy_kept(path: Path, to: Path) -> None:
    """Copy what is kept of a video, also by its method."""
    for source in sorted(path.parent.glob(f"{path.stem}.*")):
        target = to.with_name(source.name)
        if target.exists() and target.samefile(source):
            continue
        with aside(target) as part:
            try:
                os.link(source, part)  # what lies under a name never changes
            except OSError:
                shutil.copyfile(source, part)


def forget_others(videos: Sequence[Video], folder: Path) -> None:
    """Remove what the run folder keeps of other videos than these."""
    there = folder / KEPT
    needed = {video.kept.stem for video in videos if video.kept is not None}
    if not needed:
        shutil.rmtree(there, ignore_errors=True)
        return
    for path in there.iterdir():
        if path.name.partition(".")[0] not in needed:
            path.unlink(missing_ok=True)
