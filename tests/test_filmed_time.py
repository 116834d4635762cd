"""How long was filmed, whatever the clock did."""

import numpy as np
import pytest

from oddframe.video.filmed_time import filmed_seconds, usual_step


@pytest.mark.parametrize(
    ("times", "step", "seconds"),
    [
        pytest.param([], 0.04, 0.0, id="nothing"),
        pytest.param([5.0], 0.04, 0.04, id="one frame"),
        pytest.param([0.0, 0.5], 0.5, 1.0, id="two frames"),
        pytest.param([0, 0.1, 0.2, 0.5, 0.6], 0.15, 0.75, id="a dropped frame is filmed time"),
        pytest.param([0, 0.1, 0.2, 1800.2, 1800.3], 0.1, 0.5, id="a pause is not"),
        pytest.param([0, 40, 80], 40, 120, id="a picture every 40 s"),
        pytest.param([0, 86400, 172800], 60, 180, id="a picture a day stands for a minute"),
        pytest.param([0, 1e9, 1e9 + 0.1, 1e9 + 0.2], 0.1, 0.4, id="the date was set"),
    ],
)
def test_filmed_time(times: list[float], step: float, seconds: float) -> None:
    assert usual_step(np.array(times, float)) == pytest.approx(step)
    assert filmed_seconds(np.array(times, float)) == pytest.approx(seconds)
