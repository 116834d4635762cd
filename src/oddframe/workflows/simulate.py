"""Film a plaza with ordinary people and, in the test videos, things that have no place there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from oddframe.options import FramesPerSecond, Range, Seed
from oddframe.progress import ProgressCallback
from oddframe.results import Result, to_plain, workflow
from oddframe.synthetic import simulate as street

Count = Annotated[int, Range(0, 10_000)]
Side = Annotated[int, Range(street.SMALLEST_PICTURE, street.LARGEST_PICTURE)]
Seconds = Annotated[float, Range(0, 86_400, open_low=True)]


@dataclass(frozen=True)
class Simulation(Result):
    """What was filmed. `to_dict` gives what scene.json holds."""

    folder: Path
    scene: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What scene.json holds."""
        return to_plain(self.scene)


@workflow
def simulate(
    folder: str | Path,
    *,
    seed: Seed = 0,
    train: Count = 4,
    test: Count = 4,
    seconds: Seconds = 60.0,
    fps: FramesPerSecond = 10.0,
    width: Side = 360,
    height: Side = 240,
    kinds: str = "all",
    progress: ProgressCallback | None = None,
) -> Simulation:
    """Film a plaza from a fixed camera: normal videos to learn from, test videos with oddities, and
    the truth.

    The folder is then a data set: `train/`, `test/`, `truth/` and `scene.json`.

    Args:
        folder: where to; new, empty, or an earlier simulation, which is filmed over.
        seed: another seed is another plaza with other people; the same one gives the same films.
        train: how many normal videos.
        test: how many test videos; of two or more, one is wholly normal.
        seconds: how long each video lasts.
        fps: frames per second.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        kinds: what is odd, with commas between: runner, cyclist, car, wrong-way, fall,
            abandoned-object, loiterer, scatter; or all.
        progress: called with how far the work is.
    """
    path = Path(folder).expanduser()
    chosen = street.KINDS
    if kinds.strip() != "all":
        words = map(str.strip, kinds.split(","))
        chosen = tuple(word for word in words if word)
    scene = street.simulate(
        path,
        seed=seed,
        train=train,
        test=test,
        seconds=seconds,
        fps=fps,
        size=(height, width),
        kinds=chosen,
    )
    return Simulation(path, scene)
