"""What is read from a run folder is what its method needs, or is refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.detector import Detector
from oddframe.errors import BadRun
from oddframe.methods.baselines import Constant
from oddframe.serialization import load, save

SPECS = {"bank": ArraySpec(("B", 7)), "origin": ArraySpec(("B", 3), kind="i", low=0)}
BANK, ORIGIN = np.zeros((4, 7), np.float32), np.zeros((4, 3), np.int64)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"bank": BANK}, "are needed, got"),
        ({"bank": BANK, "origin": ORIGIN[:3]}, "has the shape"),
        ({"bank": BANK[:, :6], "origin": ORIGIN}, "has the shape"),
        ({"bank": BANK + np.nan, "origin": ORIGIN}, "not finite"),
        ({"bank": BANK, "origin": ORIGIN - 1}, "not from 0"),
        ({"bank": ORIGIN, "origin": ORIGIN}, "of the type int64"),
    ],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, np.ndarray], words: str) -> None:
    check_arrays({"bank": BANK, "origin": ORIGIN}, SPECS)
    with pytest.raises(ValueError, match=words):
        check_arrays(arrays, SPECS)


class Remembering(Constant):
    learned = {"numbers": ArraySpec((2, 3))}  # noqa: RUF012

    def __init__(self) -> None:
        self.numbers = np.arange(6.0).reshape(3, 2).T


def test_an_array_is_written_as_it_is_read_whatever_its_strides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oddframe.serialization.member", lambda *_: Remembering)
    detector: Detector = Remembering()
    save(detector, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Remembering)
    np.testing.assert_array_equal(again.numbers, Remembering().numbers)
    again.numbers = np.full((2, 3), np.inf)
    save(again, tmp_path)
    with pytest.raises(BadRun, match="not finite"):
        load(tmp_path)
