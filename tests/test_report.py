"""The report: one file, whatever videos are called, with every event in it and nothing fetched from elsewhere."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oddframe.evaluation.protocol import EvaluatedVideo, curves, measure
from oddframe.scoring.calibration import calibrate
from oddframe.types import Event, Scores, Truth, Video
from oddframe.visualization.report import rate, verdict, write_report
from oddframe.visualization.report_data import Reason
from oddframe.visualization.thumbnails import save_picture
from oddframe.visualization.timeline import Timeline

HOSTILE = "</script><script>document.title='fooled'</script><img src=x onerror=alert(1)> & \"co\" {{plotly}}"


def a_timeline(
    name: str = "gate", *, frames: int = 200, events: int = 2, truth: bool = False
) -> Timeline:
    frame = np.arange(frames)
    value = np.abs(np.sin(frame / 9)) + 3 * ((frame >= 50) & (frame < 70))
    found = [
        Event(name, 5.0 + k, 6.9 + k, 3.48 + k, 6.0 + k, box=(0.0, 0.0, 0.3, 0.3))
        for k in range(events)
    ]
    known = Truth((frame >= 45) & (frame < 80)) if truth else None
    return Timeline(
        Video(name, Path("x.mp4")), Scores(name, frame, frame / 10, value), found, 2.5, known
    )


def page_of(path: Path, timelines: list[Timeline], **more: Any) -> tuple[str, dict[str, Any]]:
    """The page without Plotly in it, and its data."""
    write_report(
        path, timelines, title=more.pop("title", "test"), facts=more.pop("facts", {}), **more
    )
    page = path.read_text("utf-8")
    scripts = re.findall(r"<script>.*?</script>", page, re.DOTALL)
    assert len(scripts) == 2
    assert "plotly.js" in scripts[0][:200]
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return page.replace(scripts[0], ""), data


class Fetched(HTMLParser):
    """Addresses that a browser would fetch, and the elements that there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or ""
            for name, value in attrs
            if name in {"src", "href", "srcset", "data", "poster"}
        ]


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    page, data = page_of(tmp_path / "report.html", [a_timeline(truth=True)])
    assert all(address.startswith("data:") for address in Fetched(page).addresses)
    assert not re.search(r"url\(|@import", page), "a style sheet fetches too"
    outside = set(re.findall(r"https?://[\w./]+", page)) - {"http://www.w3.org/2000/svg"}
    assert not outside
    assert "default-src 'none'" in page, "the browser is told to keep to it"
    assert data["videos"][0]["overlay"] is None


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    timeline = replace(a_timeline(HOSTILE), overlay=Path("50% off?/javascript:a#1.mp4"))
    reasons = {event: Reason(HOSTILE) for event in timeline.events}
    evaluation = {
        "honest": {"micro_auc": None},
        "why_null": {"micro_auc": HOSTILE},
        "notes": [HOSTILE],
    }
    more = {
        "facts": {HOSTILE: {HOSTILE: [HOSTILE]}},
        "evaluation": evaluation | {"baselines": {HOSTILE: 0.5}},
    }
    page, data = page_of(
        tmp_path / "report.html", [timeline], title=HOSTILE, reasons=reasons, **more
    )
    assert Fetched(page).tags.count("script") == 2, "ours and the data"
    assert Fetched(page).tags.count("img") == 0
    assert data["videos"][0]["name"] == HOSTILE
    assert data["videos"][0]["events"][0]["because"] == HOSTILE
    assert data["videos"][0]["overlay"] == "50%25%20off%3F/javascript%3Aa%231.mp4"


def test_a_name_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    _, data = page_of(
        tmp_path / "report.html",
        [replace(a_timeline(name), overlay=Path(f"{name}.mp4"))],
        title=name,
    )
    assert data["videos"][0]["name"] == "caf?"
    assert data["videos"][0]["overlay"] == "caf%E9.mp4"


def test_every_event_is_there_in_words_with_its_picture(tmp_path: Path) -> None:
    picture, example = tmp_path / "events" / "peak.jpg", tmp_path / "normal.png"
    save_picture(picture, np.full((300, 400, 3), (200, 30, 30), np.uint8))
    save_picture(example, np.full((30, 40, 3), (30, 200, 30), np.uint8))
    timeline = a_timeline(events=2)
    events = [
        replace(timeline.events[0], picture=picture, clip=tmp_path / "events" / "a 1.mp4"),
        timeline.events[1],
    ]
    timeline = replace(timeline, events=events)
    reasons = {events[0]: Reason("faster than anything here", example)}
    _, data = page_of(tmp_path / "report.html", [timeline], reasons=reasons)
    first, second = data["videos"][0]["events"]
    assert (first["start"], first["end"], first["at"]) == (5.0, 6.9, 6.0)
    assert (first["odds"], first["place"]) == ("1 in 3,000 normal frames", "upper left")
    assert (first["because"], first["clip"]) == ("faster than anything here", "events/a%201.mp4")
    assert colour_of(first["picture"])[0] > 150
    assert colour_of(first["example"])[1] > 150
    assert (second["picture"], second["clip"], second["example"]) == (None, None, None)


def colour_of(address: str) -> np.ndarray:
    """Mean red, green and blue of a picture in a data URI."""
    kind, data = address.split(",")
    assert kind == "data:image/jpeg;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[1] <= 240
    return np.asarray(pixels.mean((0, 1))[::-1])


def test_a_card_shows_the_part_around_what_is_odd(tmp_path: Path) -> None:
    """Of a grey picture with a red corner, four parts in five of a card around the corner are red."""
    picture = np.full((300, 400, 3), 128, np.uint8)
    picture[:90, :120] = (220, 20, 20)
    save_picture(tmp_path / "peak.jpg", picture)
    save_picture(tmp_path / "normal.jpg", np.ascontiguousarray(picture[::-1, ::-1]))
    timeline = a_timeline(events=1)
    small = replace(timeline.events[0], picture=tmp_path / "peak.jpg", box=(0.0, 0.0, 0.1, 0.1))
    reasons = {small: Reason("", tmp_path / "normal.jpg", (0.9, 0.9, 1.0, 1.0))}
    _, data = page_of(
        tmp_path / "report.html", [replace(timeline, events=[small])], reasons=reasons
    )
    for shown in ("picture", "example"):
        red, green, _ = colour_of(data["videos"][0]["events"][0][shown])
        assert red - green > 150, shown
    wide = replace(small, box=(0.0, 0.0, 0.9, 0.9))
    _, data = page_of(tmp_path / "report.html", [replace(timeline, events=[wide])])
    red, green, _ = colour_of(data["videos"][0]["events"][0]["picture"])
    assert red - green < 30, "what fills the picture is shown whole"


def test_more_is_not_claimed_than_was_seen(tmp_path: Path) -> None:
    _, data = page_of(tmp_path / "report.html", [replace(a_timeline(events=2), seen=5000)])
    usual, beyond = data["videos"][0]["events"]
    assert (usual["odds"], usual["estimate"]) == ("1 in 3,000 normal frames", None)
    assert (beyond["odds"], beyond["estimate"]) == (
        "rarer than all 5,000 normal frames",
        "estimated 1 in 30,000",
    )


def test_kinds_say_how_many_were_found(tmp_path: Path) -> None:
    kinds = {
        "car": {"auc": 0.98, "frames": 70, "stretches": 3, "found": 2},
        "fall": {"auc": None, "frames": 4},
    }
    page, _ = page_of(tmp_path / "report.html", [a_timeline()], evaluation={"kinds": kinds})
    assert '<th scope="row">car</th><td>2 of 3</td><td>0.980</td><td>70</td>' in page
    assert '<th scope="row">fall</th><td>–</td>' in page


def test_parts_of_the_score_stand_beside_it(tmp_path: Path) -> None:
    def worth(micro: float) -> dict[str, Any]:
        return {
            "honest": {"micro_auc": micro, "macro_auc": None},
            "as_published": {"micro_auc": 0.9, "macro_auc": 0.95},
        }

    evaluation = {**worth(0.75), "parts": {"temporal": worth(0.7), "spatial": worth(0.6)}}
    page, _ = page_of(tmp_path / "report.html", [a_timeline()], evaluation=evaluation)
    rows = re.findall(
        r'<tr><th scope="row">(temporal|spatial|combined)</th><td>([^<]*)<(.*?)</tr>', page
    )
    assert [row[:2] for row in rows] == [
        ("temporal", "0.700"),
        ("spatial", "0.600"),
        ("combined", "0.750"),
    ]
    assert all(row[2].endswith("<td>0.900</td><td>0.950</td>") for row in rows)
    page, _ = page_of(tmp_path / "other.html", [a_timeline()], evaluation=worth(0.75))
    assert "part of the score" not in page


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").touch()
    timeline = a_timeline(events=3)
    names = ("broken.jpg", "empty.jpg", "none.jpg")
    events = [replace(e, picture=tmp_path / n) for e, n in zip(timeline.events, names, strict=True)]
    _, data = page_of(tmp_path / "report.html", [replace(timeline, events=events)])
    assert [event["picture"] for event in data["videos"][0]["events"]] == [None] * 3


def test_an_hour_stays_light_and_keeps_its_peak(tmp_path: Path) -> None:
    timeline = a_timeline(frames=90_000)
    timeline.scores.value[77_777] = 8.0
    _, data = page_of(tmp_path / "report.html", [timeline])
    video = data["videos"][0]
    assert len(video["value"]) == len(video["seconds"]) <= 4000
    assert max(video["value"]) == 8.0
    assert video["seconds"][int(np.argmax(video["value"]))] == pytest.approx(7777.7)


def test_a_hundred_videos_stay_light(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    _, data = page_of(path, [a_timeline(f"v{k}", frames=20_000) for k in range(120)])
    assert len(data["videos"]) == 120
    assert path.stat().st_size < 16e6


def test_numbers_that_are_none_do_not_break_the_page(tmp_path: Path) -> None:
    timeline = a_timeline()
    timeline.scores.value[:3] = np.nan, np.inf, -np.inf
    timeline = replace(
        timeline, threshold=np.inf, events=[replace(timeline.events[0], peak=np.inf)]
    )
    page, data = page_of(
        tmp_path / "report.html", [timeline], facts={"a": None, "b": float("nan"), "c": True}
    )
    assert data["videos"][0]["threshold"] is None
    assert data["videos"][0]["events"][0]["odds"] == "fewer than 1 in a billion normal frames"
    assert "NaN" not in json.dumps(data)
    assert "<td>–</td>" in page


def test_no_scores_and_no_videos(tmp_path: Path) -> None:
    nothing = Scores("x", np.zeros(0, int), np.zeros(0), np.zeros(0))
    page, data = page_of(
        tmp_path / "report.html", [Timeline(Video("x", tmp_path), nothing, [], 2.0)]
    )
    assert data["videos"][0]["value"] == []
    assert "Nothing unusual in 0.0 s" in page
    assert "No video was scored" in page_of(tmp_path / "report.html", [])[0]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([1], "1 unusual event in 20 s"),
        ([0], "Nothing unusual in 20 s"),
        ([2, 0, 1], "3 unusual events in 2 of 3 videos (1 min 00 s)"),
        ([0, 0], "Nothing unusual in 2 videos (40 s)"),
    ],
)
def test_the_verdict_is_a_sentence(events: list[int], words: str) -> None:
    assert verdict([a_timeline(events=count) for count in events]) == words


def test_expected_false_alarms_are_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    normal = [
        Scores(str(k), np.arange(2000), np.arange(2000) / 25, random.exponential(size=2000))
        for k in range(3)
    ]
    calibration = calibrate(normal, "leave one video out")
    for asked, certain in ((200.0, True), (0.5, False)):
        threshold = calibration.threshold(asked)
        page, data = page_of(
            tmp_path / "report.html", [a_timeline()], calibration=(calibration, threshold)
        )
        assert f"<strong>{rate(threshold.expected)}</strong> of normal video" in page
        assert ("To be surer, learn from 6 hours of it" not in page) == certain == threshold.counted
        assert 'id="calibration-plot"' in page
        assert data["calibration"]["chosen"] == threshold.rarity
        assert min(data["calibration"]["per_hour"]) > 0, "the axis is logarithmic"


def test_what_evaluation_says_is_shown(tmp_path: Path) -> None:
    timelines = [a_timeline("a", truth=True), a_timeline("b", truth=True)]
    judged = [
        EvaluatedVideo(
            t.video.name, t.scores.value, t.scores.value, t.truth, t.scores.seconds, t.events
        )
        for t in timelines
        if t.truth is not None
    ]
    evaluation = measure(judged, lookahead=3, expected_false_alarms=1.25).to_dict()
    evaluation["baselines"] = {
        "constant": {"micro_auc": 0.5},
        "frame-difference": {"micro_auc": 0.7213},
    }
    page, data = page_of(
        tmp_path / "report.html", timelines, evaluation=evaluation, curves=curves(judged)
    )
    for column in ("honest", "as published", "constant", "frame-difference"):
        assert f'<th scope="col">{column}</th>' in page
    assert f"{evaluation['honest']['micro_auc']:.3f}<small>95 % interval" in page
    assert "<td>0.721</td>" in page
    assert "the truth says when, but not where" in page, "an undefined number comes with its reason"
    assert [curve["name"] for curve in data["curves"]["roc"]] == ["all frames", "a", "b"]
    assert (data["curves"]["detection"], 'id="detection-plot"' in page) == ([], False)
    assert data["videos"][0]["truth"] == [[4.5, 8.0]]


def test_without_truth_there_is_no_evaluation(tmp_path: Path) -> None:
    page, data = page_of(tmp_path / "report.html", [a_timeline()])
    assert "How good it is" not in page
    assert data["videos"][0]["truth"] is None


def opened(report: Path, folder: Path, click: str) -> str:
    """The page as a browser has it after a click, with what went wrong in `data-errors`."""
    script = f"""<script>
      const said = []; addEventListener("error", (error) => said.push(error.message));
      {click} document.body.dataset.errors = said.join();
    </script>"""
    report.write_text(report.read_text("utf-8").replace("</body>", script + "</body>"), "utf-8")
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *quiet,
        f"--user-data-dir={folder}/profile",
    ]
    return subprocess.run(
        [*command, "--dump-dom", "--virtual-time-budget=2000", report.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium to open the page")
def test_a_browser_shows_it_and_a_click_on_an_event_goes_there(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    page_of(report, [a_timeline("calm", events=0), a_timeline(HOSTILE)], title="browser")
    shown = opened(report, tmp_path, """document.querySelector('[data-event="1"]').click();""")
    assert "<title>oddframe: browser</title>" in shown
    assert shown.count('class="pick"') == 2
    assert len(re.findall(r'<li class="card( now)?">', shown)) == 2, (
        "opens with the video that has events"
    )
    assert 'aria-valuetext="00:06"' in shown, "the second event begins at six seconds"
    assert '<svg class="main-svg"' in shown, "the timeline is drawn"
    assert 'data-errors=""' in shown


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium to open the page")
def test_a_quiet_video_shows_its_least_usual_moment(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    timeline = a_timeline("calm", events=0)
    timeline.scores.value[123] = 9.5
    page_of(report, [replace(timeline, threshold=20.0)])
    shown = opened(report, tmp_path, "document.querySelector('.least').click();")
    assert "The least usual moment: 00:12, fewer than 1 in a billion normal frames" in shown
    assert 'aria-valuetext="00:12"' in shown
    assert 'data-errors=""' in shown
