"""What CONTRIBUTING.md says a method is, is one: its example is dropped in as a file and put to work."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import oddframe
import oddframe.methods
from oddframe.cli.main import main
from oddframe.registry import entries, members

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"


@pytest.fixture
def dropped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The guide's example as a file of the family; its name."""
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "brightness.py").write_text(code)
    monkeypatch.setattr(oddframe.methods, "__path__", [*oddframe.methods.__path__, str(folder)])
    entries.cache_clear()
    yield "brightness"
    sys.modules.pop("oddframe.methods.brightness", None)
    entries.cache_clear()


def test_the_example_is_a_method(dropped_in: str, street: Path, tmp_path: Path) -> None:
    assert dropped_in in members("methods")
    fitted = oddframe.fit(
        dropped_in, "simulated", root=street, out=tmp_path / "run", options={"steadiest": 6.0}
    )
    again = oddframe.load(tmp_path / "run")
    assert again.detector.options == {"steadiest": 6.0}
    video = next((street / "test").glob("*.mp4"))
    rarity = again.score(video)
    assert len(rarity) == 120
    assert rarity.map is not None
    assert rarity.map.shape == (120, 24, 36)
    np.testing.assert_array_equal(rarity.value, fitted.score(video).value)
    table = oddframe.evaluate(tmp_path / "run", "simulated", root=street, report=False)
    assert 0 <= table.honest["micro_auc"] <= 1


def test_the_example_notices_what_is_odd_to_it(
    dropped_in: str, street: Path, tmp_path: Path
) -> None:
    """A white spot in the sky of an otherwise known film."""
    from oddframe.types import ClipSpec, Video
    from oddframe.video.reader import read
    from oddframe.video.writer import video_writer

    fitted = oddframe.fit(dropped_in, "simulated", root=street, out=tmp_path / "run")
    known = street / "train" / "train01.mp4"
    with video_writer(tmp_path / "spot.mp4", 10.0, (120, 160)) as writer:
        for frame in read(Video("known", known), ClipSpec(length=1, size=None)):
            picture = frame.pixels.copy()
            if frame.index >= 60:
                picture[10:40, 20:60] = 255
            writer.write(picture)
    rarity = fitted.score(tmp_path / "spot.mp4")
    assert rarity.value[60:].min() > rarity.value[:60].max()
    assert rarity.map is not None
    row, column = np.unravel_index(rarity.map[90].argmax(), (24, 36))
    assert 10 / 120 <= (row + 0.5) / 24 <= 40 / 120
    assert 20 / 160 <= (column + 0.5) / 36 <= 60 / 160


def test_the_example_has_help(dropped_in: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", dropped_in, "--help"]) == 0
    assert "--steadiest" in capsys.readouterr().out
