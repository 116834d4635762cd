"""What fit writes into run.json, for runs that tests put together themselves."""

from collections.abc import Mapping
from typing import Any

from oddframe.detector import Detector
from oddframe.scoring.run_folder import circumstances


def run_facts(detector: Detector, notes: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Facts of a fit of nothing in particular, with what the method noted."""
    return circumstances() | {
        "method": detector.name,
        "options": detector.options,
        "learned": dict(notes or {}),
        "data": "street",
        "seed": 0,
        "frame_rate": 10.0,
        "trained_on": [],
        "left_out": [],
        "misfits": [],
        "calibration": {"held_out": []},
        "seconds": {"fit": 1.0},
    }
