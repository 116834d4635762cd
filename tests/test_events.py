"""Scores to events: a table of edge cases, and that a camera and a file agree."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddframe.errors import BadInput
from oddframe.scoring.events import (
    EventRule,
    Watch,
    events_of,
    find_events,
    frame_ends,
    rule_of,
    segments,
)
from oddframe.types import Event, Scores

THRESHOLD = 4.0
LEVEL = {".": 0.0, "-": 3.0, "#": 5.0}  # quiet; above the release (2.8) only; above the threshold


def film(drawn: str, step: float = 0.1) -> Scores:
    """One frame a letter, ten a second."""
    n = np.arange(len(drawn))
    return Scores("film", n, n * step, np.array([LEVEL[letter] for letter in drawn]))


def spans(events: list[Event]) -> list[tuple[float, float]]:
    return [(round(event.start, 6), round(event.end, 6)) for event in events]


@pytest.mark.parametrize(
    ("drawn", "expected", "why"),
    [
        ("", [], "a video without frames has no events"),
        ("......", [], "nothing passes the threshold"),
        ("------", [], "what passes the release alone never opens an event"),
        ("..###..", [(0.2, 0.5)], "from the first loud frame to the first quiet one"),
        (
            "--###..",
            [(0.2, 0.5)],
            "an event does not begin before the threshold is passed: that would be hindsight",
        ),
        ("..#--..", [(0.2, 0.5)], "once open it lasts down to the release"),
        ("..#....", [], "one frame, a tenth of a second, is too short"),
        ("..##...", [(0.2, 0.4)], "0.2 seconds are not shorter than 0.2 seconds"),
        ("##" + "." * 9 + "##.", [(0.0, 1.3)], "a gap of 0.9 seconds is bridged"),
        ("##" + "." * 10 + "##.", [(0.0, 0.2), (1.2, 1.4)], "a gap of one second is not"),
        ("#.#....", [(0.0, 0.3)], "what is bridged counts as one, long enough together"),
        ("##...--..", [(0.0, 0.2)], "the release level does not reopen what has ended"),
        ("##...--##", [(0.0, 0.9)], "but the threshold does"),
        ("....##", [(0.4, 0.6)], "the last frame lasts as long as the one before it"),
        ("#", [], "the only frame of a video lasts 1/25 of a second, which is too short"),
    ],
)
def test_events_of_drawn_films(drawn: str, expected: list[tuple[float, float]], why: str) -> None:
    assert spans(find_events(film(drawn), THRESHOLD)) == expected, why


def test_without_merging_and_minimum_every_run_is_an_event() -> None:
    events = find_events(film("#.##.#"), THRESHOLD, merge_seconds=0, least_seconds=0)
    assert spans(events) == [(0.0, 0.1), (0.2, 0.4), (0.5, 0.6)]
    assert spans(find_events(film("#"), THRESHOLD, least_seconds=0)) == [(0.0, 0.04)]


def test_an_event_is_over_unless_the_video_ended_first() -> None:
    assert find_events(film("..##"), THRESHOLD)[0].over is False
    assert find_events(film("..##."), THRESHOLD)[0].over is True
    assert find_events(film("..##."), THRESHOLD, final=False)[0].over is False, (
        "it may yet go on: the gap is short"
    )
    assert find_events(film("..##" + "." * 10), THRESHOLD, final=False)[0].over is False, (
        "0.9 seconds are known quiet"
    )
    assert find_events(film("..##" + "." * 11), THRESHOLD, final=False)[0].over is True, (
        "a second has passed"
    )


def test_a_camera_that_drops_out_does_not_stretch_an_event() -> None:
    # frames at 0.0 … 0.3, then nothing for ten seconds: the last frame is held for two steps, not for ten seconds
    seconds = np.array([0.0, 0.1, 0.2, 0.3, 10.0, 10.1])
    quiet_after = Scores("cam", np.arange(6), seconds, np.array([5.0, 5, 5, 5, 0, 0]))
    loud_after = Scores("cam", np.arange(6), seconds, np.array([5.0, 5, 5, 5, 5, 5]))
    assert spans(find_events(quiet_after, 4)) == [(0.0, 0.5)]
    assert spans(find_events(loud_after, 4)) == [(0.0, 0.5), (10.0, 10.2)]


def test_a_dropped_frame_or_two_do_not_end_an_event_at_release_level() -> None:
    seconds = np.array([0.0, 0.1, 0.2, 0.6, 0.7, 0.8])
    scores = Scores("cam", np.arange(6), seconds, np.array([5.0, 5, 3, 3, 3, 0]))
    assert spans(find_events(scores, 4)) == [(0.0, 0.8)]


def test_the_peak_is_the_highest_frame_and_its_place_the_region_there() -> None:
    map = np.zeros((4, 4, 8))
    map[1, 0, 0:2] = 9  # a stronger map on a frame that is not the peak
    map[2, 1:3, 4:6] = np.array([[5, 6], [4.5, 1]])
    map[2, 3, 0] = 5  # another region, lower
    scores = Scores("v", np.arange(4), np.arange(4) / 10, np.array([0, 4.5, 7, 5.0]), map=map)
    (event,) = find_events(scores, THRESHOLD)
    assert (event.peak, event.peak_seconds) == (7.0, 0.2)
    assert event.box == (4 / 8, 1 / 4, 6 / 8, 3 / 4)


def test_boxes_say_where_when_there_are_some() -> None:
    boxes = tuple(
        np.array([[0.1, 0.1, 0.2, 0.2, 3.0], [0.5, 0.5, 0.9, 0.9, 6.0]]) for _ in range(3)
    )
    scores = Scores(
        "v",
        np.arange(3),
        np.arange(3) / 10,
        np.array([5, 6.0, 5]),
        map=np.ones((3, 2, 2)),
        boxes=boxes,
    )
    assert find_events(scores, THRESHOLD)[0].box == (0.5, 0.5, 0.9, 0.9)


def test_a_method_that_says_only_when_has_events_without_a_place() -> None:
    assert find_events(film("###"), THRESHOLD)[0].box is None


def test_a_release_above_the_threshold_is_refused() -> None:
    with pytest.raises(BadInput, match=r"release level is at most the threshold, 4; got 5"):
        find_events(film("###"), THRESHOLD, release=5)
    with pytest.raises(BadInput, match="merge_seconds is zero or more"):
        find_events(film("###"), THRESHOLD, merge_seconds=-1)


def test_the_release_is_seven_tenths_of_the_threshold_and_never_above_it() -> None:
    assert rule_of(4).release == pytest.approx(2.8)
    assert rule_of(-1).release == -1, (
        "scores below zero are not rarities, but they must not be refused"
    )


films = st.text(alphabet=".-#", min_size=1, max_size=80)


@given(films, st.lists(st.integers(1, 9), min_size=1, max_size=80))
def test_a_camera_and_a_file_give_the_same_events(drawn: str, sizes: list[int]) -> None:
    whole, start = film(drawn), 0
    batches: list[Scores] = []
    while start < len(whole):
        part = slice(start, start + sizes[len(batches) % len(sizes)])
        batches.append(Scores("film", whole.frame[part], whole.seconds[part], whole.value[part]))
        start = part.stop
    assert list(events_of(batches, rule_of(THRESHOLD))) == find_events(whole, THRESHOLD)


@given(films, films)
def test_what_comes_later_does_not_change_an_event_that_is_over(before: str, after: str) -> None:
    early = [event for event in find_events(film(before), THRESHOLD, final=False) if event.over]
    assert find_events(film(before + after), THRESHOLD)[: len(early)] == early


@given(films)
def test_events_are_what_the_rule_says(drawn: str) -> None:
    scores, events = film(drawn), find_events(film(drawn), THRESHOLD)
    ends = frame_ends(scores.seconds)
    inside = np.zeros(len(drawn), bool)
    for event in events:
        held = (scores.seconds >= event.start - 1e-9) & (ends <= event.end + 1e-9)
        inside |= held
        assert event.end - event.start > 0.2 - 1e-5
        assert event.peak == scores.value[held].max() >= THRESHOLD
        assert scores.value[held][0] >= THRESHOLD, "it opens at the threshold"
    assert all(b.start - a.end > 1 - 1e-5 for a, b in pairwise(events))
    loud = scores.value >= THRESHOLD
    for start, end in segments(loud & ~inside):
        assert (end - start) * 0.1 < 0.2, "no loud stretch of the least length is left out"


def test_an_open_event_can_be_seen_while_it_lasts() -> None:
    watch = Watch(EventRule(4, 2.8))
    seen: list[Event | None] = []
    for n, value in enumerate([0, 5, 5, 5]):
        watch, done = watch.see("cam", n / 10, value, lambda: None)
        assert done is None
        seen.append(watch.event)
    assert seen[0] is None
    assert isinstance(seen[3], Event)
    assert (seen[3].start, round(seen[3].end, 6), seen[3].over) == (0.1, 0.4, False)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], []),
        ([0], []),
        ([1], [[0, 1]]),
        ([0, 1, 1, 0, 1], [[1, 3], [4, 5]]),
        ([1, 1, 1], [[0, 3]]),
    ],
)
def test_segments(flags: list[int], expected: list[list[int]]) -> None:
    assert segments(np.array(flags, bool)).tolist() == expected


def test_a_frame_lasts_until_the_next_comes() -> None:
    assert frame_ends(np.array([0.0, 0.1, 0.4])).tolist() == pytest.approx([0.1, 0.4, 0.7])
    assert frame_ends(np.array([2.0])).tolist() == [2.04]
    assert frame_ends(np.zeros(0)).tolist() == []


def test_an_event_does_not_last_through_a_pause_of_the_camera() -> None:
    """The last frames before and after an hour without pictures last as long as frames do."""
    n = np.arange(40)
    seconds = n / 10 + 3600.0 * (n >= 20)
    value = np.where((n >= 10) & (n < 20) | (n >= 39), 9.0, 0.0)
    before, *after = find_events(Scores("v", n, seconds, value), 3.0, least_seconds=0.0)
    assert (before.start, before.end) == (pytest.approx(1.0), pytest.approx(2.1, abs=0.11))
    assert [event.end - event.start for event in after] == [pytest.approx(0.1)]
    only_last = np.where(n == 20, 9.0, 0.0)[:21]
    (event,) = find_events(Scores("v", n[:21], seconds[:21], only_last), 3.0, least_seconds=0.0)
    assert event.end - event.start < 0.5
    np.testing.assert_allclose(frame_ends(seconds)[19], 2.0)
    assert len(frame_ends(np.zeros(0))) == 0
