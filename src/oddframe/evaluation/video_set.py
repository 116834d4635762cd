"""Everything that a metric may read: the evaluated videos, and what several metrics share.

F frames of all videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from oddframe.errors import BadInput
from oddframe.evaluation.evaluated_video import EvaluatedVideo, event_spans, rankings, truth_frames
from oddframe.evaluation.localization import Localization, find_places
from oddframe.evaluation.metrics import Match, auc, match_events
from oddframe.evaluation.published_smoothing import published_aucs
from oddframe.scoring.events import frame_ends, segments
from oddframe.types import Bools, Floats
from oddframe.video.filmed_time import usual_step


@dataclass(frozen=True)
class VideoSet:
    """The evaluated videos of one test. Raises BadInput when there is none."""

    videos: Sequence[EvaluatedVideo]
    lookahead: int = 0  # frames after its own that a score has read
    seed: int = 0  # of the bootstrap
    places: Localization | None = field(default=None, repr=False)  # saves finding them again

    def __post_init__(self) -> None:
        if not self.videos:
            raise BadInput("there is no video with truth to evaluate on")

    @cached_property
    def anomalous(self) -> Bools:
        """(F,) True where the frame is anomalous."""
        return np.concatenate(truth_frames(self.videos))

    @cached_property
    def ranking(self) -> Floats:
        """(F,) by what frames are ranked."""
        return np.concatenate(rankings(self.videos))

    @cached_property
    def localization(self) -> Localization:
        """What was measured of maps and boxes."""
        return self.places or find_places(self.videos)

    @cached_property
    def aucs(self) -> list[float | None]:
        """The ROC AUC of each video; None where its frames are of one class."""
        return [auc(video.truth.frame, video.ranking) for video in self.videos]

    @cached_property
    def matches(self) -> list[Match]:
        """The events of each video held against its true segments."""
        found = []
        for video in self.videos:
            found.append(match_events(event_spans(video.events), anomalous_seconds(video)))
        return found

    def published(self, smoothing: str) -> tuple[float | None, float | None]:
        """Micro and macro AUC as published with one of `published_smoothing.SMOOTHINGS`."""
        if smoothing not in self._published:
            self._published[smoothing] = published_aucs(self.videos, smoothing)
        return self._published[smoothing]

    @cached_property
    def _published(self) -> dict[str, tuple[float | None, float | None]]:
        return {}

    @cached_property
    def normal_hours(self) -> float:
        """Filmed hours of normal frames."""
        seconds = 0.0
        for video in self.videos:
            seconds += usual_step(video.seconds) * int((~video.truth.frame).sum())
        return seconds / 3600


def anomalous_seconds(video: EvaluatedVideo) -> Floats:
    """The true segments, (S, 2) seconds [start, end)."""
    runs = segments(video.truth.frame)
    ends = frame_ends(video.seconds)[runs[:, 1] - 1]
    return np.stack([video.seconds[runs[:, 0]], ends], axis=1)
