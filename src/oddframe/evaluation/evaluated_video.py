"""One test video, scored and decided: what evaluation is given. T frames, M maps (fewer than T at a
lower rate).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from oddframe.errors import BadInput, BadTruth, BadVideo
from oddframe.evaluation.ignored_truth import outside_ignored
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.events import find_events
from oddframe.scoring.score_store import ScoredVideo
from oddframe.types import Bools, Event, Floats, Ints, Scores, Truth
from oddframe.video.reader import times_of


@dataclass(frozen=True)
class EvaluatedVideo:
    """One test video, scored and decided. Raises BadTruth when the truth is of another length."""

    video: str
    value: Floats  # (T,) smoothed score (rarity) of every frame of the source
    raw: Floats  # (T,) unsmoothed score, for the as-published column
    truth: Truth
    seconds: Floats  # (T,)
    events: Sequence[Event] = ()
    map: Floats | None = None  # (M, h, w), may lie on disk: it is read one picture at a time
    # (M,) source frame, rising, that each map and each set of boxes belongs to
    map_frame: Ints | None = None
    # M × (n, 5); where given, these are the regions detected, not the map's
    boxes: tuple[Floats, ...] | None = None
    # (T,) each, smoothed: what the score was made of
    parts: Mapping[str, Floats] = field(default_factory=dict)
    # (T,) each, of the same names, unsmoothed
    raw_parts: Mapping[str, Floats] = field(default_factory=dict)
    # (T,) smoothed, on any scale: what frames are ranked by, where rarities tie at their ceiling
    frame_rank: Floats | None = None

    @property
    def ranking(self) -> Floats:
        """(T,) by what frames are ranked: higher is stranger."""
        if self.frame_rank is None:
            return self.value
        return self.frame_rank

    def __post_init__(self) -> None:
        T = len(self.value)
        if T == 0:
            raise BadVideo(f"{self.video}: there is no frame to evaluate")
        if len(self.truth.frame) != T:
            raise BadTruth(
                f"{self.video}: {T} frames were scored, but its truth is of {len(self.truth.frame)}"
            )
        for name in ("raw", "seconds", "ranking"):
            if len(getattr(self, name)) != T:
                raise ValueError(
                    f"{self.video}: {T} scores, but {len(getattr(self, name))} of {name}"
                )
        if self.parts.keys() != self.raw_parts.keys():
            raise ValueError(
                f"{self.video}: parts are {list(self.parts)}, but unsmoothed {list(self.raw_parts)}"
            )
        for name, values in [*self.parts.items(), *self.raw_parts.items()]:
            if values.shape != (T,):
                raise ValueError(
                    f"{self.video}: {T} scores, but the part {name} has shape {values.shape}"
                )
        for part in (self.map, self.boxes):
            if part is not None and (self.map_frame is None or len(part) != len(self.map_frame)):
                raise ValueError(f"{self.video}: maps and boxes need map_frame, one entry each")
        series = [self.value, self.raw, self.ranking]
        series += self.parts.values()
        series += self.raw_parts.values()
        for values in series:
            if not np.isfinite(values).all():
                raise BadInput(
                    f"{self.video}: some scores are not numbers, so nothing can be measured on them"
                )
        self.refuse_tracks_outside()

    def refuse_tracks_outside(self) -> None:
        """Raise BadTruth where a track is at a frame that the video does not have."""
        T = len(self.value)
        rows = self.truth.tracks
        if rows is None or not len(rows):
            return
        first = rows[:, 0].min()
        last = rows[:, 0].max()
        if first < 0 or last >= T:
            raise BadTruth(
                f"{self.video}: a track is at frame {last:g}, but the video has {T} frames"
            )


def truth_frames(videos: Sequence[EvaluatedVideo]) -> list[Bools]:
    """(T,) of each video: True where the frame is anomalous."""
    return [video.truth.frame for video in videos]


def have_maps(videos: Sequence[EvaluatedVideo]) -> bool:
    """Whether all have maps."""
    return all(video.map is not None for video in videos)


def rankings(videos: Sequence[EvaluatedVideo]) -> list[Floats]:
    """(T,) of each video: by what its frames are ranked."""
    return [video.ranking for video in videos]


def align_with_truth(scored: ScoredVideo, threshold: Threshold) -> EvaluatedVideo:
    """A scored test video with its truth, one score a frame, and its events at the threshold.

    Raises BadTruth when the truth is missing or of another length.
    """
    video = scored.video
    if video.truth is None:
        raise BadTruth(f"{video.name} has no ground truth")
    seconds = times_of(video)
    truth = video.truth(len(seconds))
    if len(truth.frame) != len(seconds):
        raise BadTruth(
            f"{video.name}: {len(seconds)} frames, but its truth is of {len(truth.frame)}"
        )

    truth = outside_ignored(truth, video.ignored)

    def fill(values: Floats) -> Floats:
        return every_frame(replace(scored.scores, value=values), len(seconds))

    def fill_each(parts: Mapping[str, Floats]) -> dict[str, Floats]:
        return {name: fill(values) for name, values in parts.items()}

    return EvaluatedVideo(
        video.name,
        value=fill(scored.scores.value),
        raw=fill(scored.raw),
        frame_rank=fill(scored.score),
        truth=truth,
        seconds=seconds,
        events=find_events(scored.scores, threshold.rarity),
        map=scored.scores.map,
        map_frame=scored.scores.frame,
        boxes=scored.scores.boxes,
        parts=fill_each(scored.scores.components),
        raw_parts=fill_each(scored.raw_parts),
    )


def last_scored(frame: Ints, frames: int) -> Ints:
    """Which of the (rising) scored frames speaks for each of so many: the last so far; before the
    first, the first.

    >>> last_scored(np.array([1, 3]), 5).tolist()
    [0, 0, 0, 1, 1]
    """
    scored_so_far = np.searchsorted(frame, np.arange(frames), side="right")
    return np.asarray((scored_so_far - 1).clip(0))


def every_frame(scores: Scores, frames: int) -> Floats:
    """A score for each of so many frames: one that no clip speaks for holds the last; before the
    first, the first.

    Raises BadVideo where there is no score at all.
    """
    if len(scores) == 0:
        raise BadVideo(
            f"{scores.video}: its {frames} frames are fewer than one clip, so it has no score"
        )
    if scores.frame[-1] >= frames:
        raise ValueError(
            f"{scores.video}: a score is of frame {scores.frame[-1]}, but it has {frames} frames"
        )
    return scores.value[last_scored(scores.frame, frames)]


def event_spans(events: Sequence[Event]) -> Floats:
    """(E, 2) seconds [start, end)."""
    spans = [(event.start, event.end) for event in events]
    return np.array(spans, float).reshape(-1, 2)
