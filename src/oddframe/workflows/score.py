"""Find what was odd in a video, where, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oddframe.datasets.discovery import collect_videos
from oddframe.errors import BadInput, BadVideo, OddframeError
from oddframe.files import room
from oddframe.left_out import LeftOut, do_each, problem_with
from oddframe.options import AlarmsPerHour, FramesPerSecond, Lookahead
from oddframe.progress import ProgressCallback, logger
from oddframe.results import Result, to_plain, workflow
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.scoring.score_store import ScoredVideo, hold_score_files, score_files, score_to
from oddframe.types import Video
from oddframe.video.ignored import with_ignored
from oddframe.video.ignored_files import read_area
from oddframe.visualization.outputs import VideoResult, draw_extras, draw_video, write_results
from oddframe.visualization.report import frames_seen


@dataclass(frozen=True)
class ScoreResult(Result):
    """What was found in videos. `to_dict` gives what events.json holds."""

    run: Path
    method: str
    threshold: Threshold
    videos: tuple[VideoResult, ...]
    left_out: tuple[LeftOut, ...]
    folder: Path  # of all that was written
    report: Path
    lookahead_seconds: float = 0.0  # that smoothing has looked ahead

    def to_dict(self) -> dict[str, Any]:
        """What events.json holds."""
        return to_plain(
            {
                "run": self.run,
                "method": self.method,
                "lookahead_seconds": self.lookahead_seconds,
                "threshold": self.threshold,
                "videos": self.videos,
                "left_out": self.left_out,
            }
        )

    def problem(self) -> OddframeError | None:
        """Videos that could not be scored."""
        return problem_with(self.left_out, len(self.videos) + len(self.left_out), "scored")


@workflow
def score(
    run: str | Path,
    videos: Sequence[str | Path],
    *,
    out: str | Path,
    false_alarms_per_hour: AlarmsPerHour | None = None,
    ignore: str | Path | None = None,
    region: str | Path | None = None,
    overlay: bool = True,
    clips: bool = True,
    maps: bool = True,
    animation: bool = False,
    frames: bool = False,
    film: bool = False,
    frame_rate: FramesPerSecond | None = None,
    lookahead: Lookahead = 0.0,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> ScoreResult:
    """Find what is odd in videos, with the detector of a run.

    Writes into OUT: scores.csv (every scored frame), events.json, NAME.npz (scores and maps),
    NAME.overlay.mp4, a picture and a clip of each event, NAME.timeline.png, report.html. Videos
    already scored there by the same run are not scored again. Videos that cannot be scored are left
    out and named; raises BadVideo when none can.

    Args:
        run: the folder that `oddframe fit` wrote.
        videos: video files, folders of frames, or folders of videos.
        out: where results go; made if need be.
        false_alarms_per_hour: threshold for another rate than the run's own.
        ignore: where nothing is looked at this time, besides what the run ignores: polygons
            "x1,y1 x2,y2 x3,y3; …" in fractions of the picture, a JSON file of polygons, or a mask
            picture, white where ignored.
        region: the same for what alone is looked at; everything outside it is ignored.
        overlay: write the video with heat map, boxes and score ribbon.
        clips: cut each event out of its video.
        maps: keep the maps that say where.
        animation: write NAME.growing.mp4, the score growing beside the video.
        frames: write the overlay as pictures too, one a frame, into NAME.overlay.
        film: write folders of pictures as videos too, NAME.film.mp4.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly;
            of pictures that of the run unless given.
        lookahead: seconds that scores are smoothed with what comes after them too, which a live
            stream cannot be; the threshold is for such scores.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    fitted = load_run(run, device).with_lookahead(lookahead)
    threshold = fitted.threshold_for(false_alarms_per_hour)
    area = read_area(ignore, region, already=fitted.ignored)
    found_videos = collect_videos([Path(path) for path in videos], frame_rate)
    given = [with_ignored(video, area) for video in found_videos]
    if film and not any(video.source.is_dir() for video in given):
        raise BadInput("--film makes videos of folders of pictures, and there is none among them")
    folder = room(Path(out))
    with hold_score_files(*score_files(folder, given)):
        stored, left_out = do_each(
            given,
            lambda video: score_video_to(folder, fitted, video, maps),
            name_of=lambda video: video.name,
            done="scored",
        )
        seen = frames_seen(fitted.calibration)
        timelines = []
        for one in stored:
            line = draw_video(one, threshold, folder, seen=seen, overlay=overlay, clips=clips)
            timelines.append(line)
        pictures = draw_extras(
            folder, fitted, timelines, animation=animation, frames=frames, film=film
        )
        found = write_results(
            folder, fitted, threshold, stored, timelines, left_out=left_out, pictures=pictures
        )
    report = folder / "report.html"
    name = fitted.detector.name
    return ScoreResult(
        fitted.folder, name, threshold, found, left_out, folder, report, fitted.lookahead_seconds
    )


def score_video_to(folder: Path, fitted: FittedDetector, video: Video, maps: bool) -> ScoredVideo:
    """Score one video, or find it scored. Raises BadVideo, also for one that is too short."""
    (path,) = score_files(folder, [video])
    one = score_to(path, fitted, video, maps=maps)
    for line in one.damage:
        logger.warning(f"damaged: {line}")
    for line in one.notes:
        logger.warning(f"{video.name}: {line}")
    if not len(one.scores):
        one.path.unlink()
        name = fitted.detector.name
        raise BadVideo(f"{video.source} is too short: {name} could score none of its frames")
    return one
