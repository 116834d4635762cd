"""The demonstration runs as a whole, shows what it found, and says what it missed."""

import json
from pathlib import Path

import pytest

from oddframe.cli.main import main


def test_the_demonstration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "demo",
                "--out",
                str(tmp_path / "demo"),
                "--seconds",
                "6",
                "--train",
                "2",
                "--test",
                "2",
            ]
        )
        == 0
    )
    told = capsys.readouterr().out
    found = tmp_path / "demo" / "found"
    for line in ("raised an event: ", "raised none: ", f"Open {found / 'report.html'}"):
        assert line in told
    result = json.loads((found / "evaluation.json").read_text())
    missed = [kind for kind, count in result["kinds"].items() if not count["found"]]
    assert f"raised none: {', '.join(missed) or 'nothing'}" in told, "what was missed is said"
    events = json.loads((found / "events.json").read_text())
    for video in events["videos"]:
        assert (found / video["overlay"]).stat().st_size > 1000
        for event in video["events"]:
            assert (found / event["picture"]).is_file()
            assert (found / event["clip"]).is_file()
    assert (tmp_path / "demo" / "run" / "run.json").is_file()
