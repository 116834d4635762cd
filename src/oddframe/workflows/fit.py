"""Learn what is normal."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from oddframe.datasets.base import OfficialSplit, Split, open_data
from oddframe.datasets.discovery import collect_videos
from oddframe.detector import Detector
from oddframe.errors import BadInput, unknown
from oddframe.options import AlarmsPerHour, FramesPerSecond, Seed, Threads, check_ranges
from oddframe.progress import ProgressCallback
from oddframe.registry import member, members
from oddframe.results import workflow
from oddframe.run import rank, user_cache
from oddframe.scoring.extension import Earlier, open_earlier, refuse_other_options
from oddframe.scoring.fitting import fit_videos, remove_unfinished
from oddframe.scoring.run_folder import USUAL_RATE, FittedDetector
from oddframe.types import IgnoredArea, Video
from oddframe.video.ignored import with_ignored
from oddframe.video.ignored_files import read_area
from oddframe.visualization.architecture import draw_run
from oddframe.visualization.embedding_plots import draw_embeddings
from oddframe.visualization.set_aside import write_set_aside


@workflow
def fit(
    method: str | Detector | None,
    data: Sequence[str | Path] | str | Path,
    *,
    out: str | Path,
    add: str | Path | None = None,
    root: str | Path | None = None,
    stream: str | None = None,
    split: OfficialSplit | None = None,
    seed: Seed = 0,
    threads: Threads = 2,
    device: str = "cpu",
    false_alarms_per_hour: AlarmsPerHour = USUAL_RATE,
    ignore: str | Path | None = None,
    region: str | Path | None = None,
    keep_all: bool = False,
    clean: bool = True,
    keep_features: bool = False,
    resume: bool = True,
    cache: str | Path | None = None,
    frame_rate: FramesPerSecond | None = None,
    options: Mapping[str, object] | None = None,
    progress: ProgressCallback | None = None,
) -> FittedDetector:
    """Learn what is normal from the normal videos of a data set or folder, and write a run folder.

    Videos that cannot be read are left out, and named; so are your own that do not belong to the
    others. Raises BadInput or BadVideo, one line, when
    there is nothing to learn from, and BadInput for an option that the method does not have.

    Args:
        method: what is to learn: a method's name, with `options`, or a detector; None with `add`.
        data: a data set, as `oddframe datasets` lists them, or folders and videos of your own.
        out: the run folder, new or an earlier run that is replaced when this one is complete.
        add: an earlier run, to go on from with its method and options: the new one has learned from
            its videos and from these. It may be OUT, and is replaced when the new one is complete.
        root: where a named data set lies.
        stream: of videos with several, such as two cameras on one driver, the one to learn; all
            unless given.
        split: number of an official split, of data sets that have several; the first unless given.
        seed: of everything drawn at random; the same one gives the same run on the same machine.
        threads: videos decoded and described side by side.
        device: where networks run: cpu, cuda, cuda:1 …
        false_alarms_per_hour: how often an alarm on normal video may be false; sets the threshold.
        ignore: where nothing is looked at, now and whenever the run scores: polygons
            "x1,y1 x2,y2 x3,y3; …" in fractions of the picture, a JSON file of polygons, or a mask
            picture, white where ignored.
        region: the same for what alone is looked at; everything outside it is ignored.
        keep_all: learn also from those of your own videos that do not belong to the others: where
            the camera moves, another view is shown, or the picture has another shape or light;
            and from what --clean would set aside.
        clean: of methods that are quick to fit, and videos of your own: set aside short stretches
            that lie far beyond the rest, at most 2 % of the frames, so that what is odd by chance
            does not become normal. What a data set says is normal is learned whole.
        keep_features: keep in the run what was seen of the videos, so that --add does without them
            (flowgrid; about 130 MB an hour); a run that is added to goes on keeping it.
        resume: go on where an earlier fit into the same folder was interrupted.
        cache: where embeddings are kept for the next fit, of whatever head; in your own cache
            folder unless given.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly;
            the run records the rate.
        options: of a method that is given by name.
        progress: called with how far the work is.
    """
    area = read_area(ignore, region)
    earlier = None
    if add is not None:
        earlier = open_earlier(Path(add).expanduser(), device)
        detector, seed, false_alarms_per_hour = as_earlier(
            earlier, method, options, seed, false_alarms_per_hour
        )
        area = refuse_other_area(earlier, area)
        keep_features = keep_features or earlier.keeps
    elif method is None:
        raise BadInput("fit learns by a method, or adds to an earlier run; name one of the two")
    else:
        detector = detector_of(method, options)
    if cache is None:
        cache = user_cache()
    name, found = normal_videos(data, root, stream, split, frame_rate)
    if earlier is not None:
        name = refuse_other_stream(earlier, found.stream)
    fitted = fit_videos(
        detector,
        found.train,
        data=name,
        stream=found.stream,
        validation=found.val,
        out=Path(out),
        seed=seed,
        threads=threads,
        device=device,
        false_alarms_per_hour=false_alarms_per_hour,
        one_scene=is_own(data) and not keep_all,
        resume=resume,
        cache=Path(cache),
        ignored=area,
        keep_features=keep_features,
        earlier=earlier,
        clean=clean and is_own(data) and not keep_all,
    )
    draw_run(fitted.folder, fitted.detector, with_ignored(found.train[0], area))
    write_set_aside(fitted.folder, fitted.facts["set_aside"], known_videos(earlier, found.train))
    remove_unfinished(fitted.folder)
    draw_embeddings(fitted.folder)
    if rank():  # of torchrun's processes the first writes the run; nobody wants what others wrote
        shutil.rmtree(fitted.folder, ignore_errors=True)
    return fitted


def known_videos(earlier: Earlier | None, videos: Sequence[Video]) -> list[Video]:
    """The videos that a run learned from, those of an earlier one first."""
    if earlier is None:
        return list(videos)
    return [*earlier.videos, *videos]


def as_earlier(
    earlier: Earlier,
    method: str | Detector | None,
    options: Mapping[str, object] | None,
    seed: int,
    false_alarms_per_hour: float,
) -> tuple[Detector, int, float]:
    """An unfitted detector, the seed and the rate of false alarms of an earlier run; another rate
    may be asked for. Raises BadInput for another method, option or seed.
    """
    fitted = earlier.fitted
    if isinstance(method, Detector):
        refuse_other_options(earlier, method.name, method.options)
    else:
        refuse_other_options(earlier, method, options)
    known = int(fitted.facts["seed"])
    if seed not in (0, known):
        raise BadInput(
            f"what is added to {fitted.folder} is learned with its own options; "
            "leave --seed away, or fit again on all videos"
        )
    if false_alarms_per_hour == USUAL_RATE:
        false_alarms_per_hour = fitted.threshold.asked
    return fitted.detector.fresh(), known, false_alarms_per_hour


def refuse_other_area(earlier: Earlier, area: IgnoredArea | None) -> IgnoredArea | None:
    """The area that an earlier run ignores. Raises BadInput where another is given."""
    if area is not None:
        raise BadInput(
            f"what is added to {earlier.fitted.folder} is learned with what it ignores; "
            "leave --ignore and --region away, or fit again on all videos"
        )
    return earlier.fitted.ignored


def refuse_other_stream(earlier: Earlier, stream: str | None) -> str:
    """The name of the data that an earlier run learned. Raises BadInput for another stream."""
    facts = earlier.fitted.facts
    if facts.get("stream") != stream:
        raise BadInput(
            f"{earlier.fitted.folder} has learned the stream {facts.get('stream')}, "
            f"and the videos to add are of {stream}"
        )
    return str(facts["data"])


def is_own(data: Sequence[str | Path] | str | Path) -> bool:
    """Whether these are videos of somebody's own, and not a data set by its name."""
    if not isinstance(data, str | Path):
        return len(data) != 1 or is_own(data[0])
    return str(data) not in members("datasets") or Path(data).expanduser().exists()


def detector_of(method: str | Detector, options: Mapping[str, object] | None) -> Detector:
    """An unfitted detector. Raises BadInput for an option that is not there, or cannot be."""
    if isinstance(method, Detector):
        if options:
            raise BadInput("options belong to a method's name; a detector has its own")
        return method
    kind: type[Detector] = member("methods", method, "method")
    given = dict(options or {})
    known = set(kind.option_names())
    for name in given:
        if name not in known:
            raise unknown(f"option of {method}", name, known)
    try:
        check_ranges(kind, given)
        return kind.of(given)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{method}: {error}") from error


def normal_videos(
    data: Sequence[str | Path] | str | Path,
    root: str | Path | None,
    stream: str | None,
    split: int | None = None,
    frame_rate: float | None = None,
) -> tuple[str, Split]:
    """The name of the data, and a split with normal videos. Raises BadInput."""
    if isinstance(data, str | Path):
        data = [data]
    paths = [Path(path) for path in data]
    if len(paths) != 1:
        if root is not None or stream is not None or split is not None:
            raise BadInput("--root, --stream and --split go with one data set; several paths came")
        return "videos", Split(collect_videos(paths, frame_rate), [])
    name, found = open_data(str(data[0]), root, stream, split, frame_rate)
    if not found.train:
        raise BadInput(f"{name} has no normal video to learn from; put some into its train folder")
    return name, found
