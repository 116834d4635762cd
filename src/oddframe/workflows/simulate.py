"""Film a plaza with ordinary people and, in the test videos, things that have no place there."""

from json import dumps
from pathlib import Path
from typing import Any

from oddframe.synthetic import simulate as street


def simulate(
    folder: Path,
    *,
    seed: int = 0,
    train: int = 4,
    test: int = 4,
    seconds: float = 60.0,
    fps: float = 10.0,
    width: int = 360,
    height: int = 240,
    kinds: str = "all",
    json: bool = False,
) -> dict[str, Any]:
    """Film a plaza from a fixed camera: normal videos to learn from, test videos with oddities, and the truth.

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
        kinds: what is odd, with commas between: runner, cyclist, car, wrong-way, fall, abandoned-object, loiterer,
            scatter; or all.
        json: print one JSON object instead of lines for a person.
    """
    folder = Path(folder).expanduser()
    chosen = (
        street.KINDS
        if kinds.strip() == "all"
        else tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    )
    scene = street.simulate(
        folder,
        seed=seed,
        train=train,
        test=test,
        seconds=seconds,
        fps=fps,
        size=(height, width),
        kinds=chosen,
    )
    print(dumps(scene, indent=2) if json else "\n".join(report(folder, scene)))
    return scene


def report(folder: Path, scene: dict[str, Any]) -> list[str]:
    """A few lines for a person."""
    height, width = scene["size"]
    videos, odd = scene["videos"], scene["odd_frames"]
    what = f"{width}×{height}, {scene['fps']:g} frames per second, {scene['seconds']:g} s each"
    lines = [
        f"{folder}: {videos['train']} normal and {videos['test']} test videos, {what}, seed {scene['seed']}"
    ]
    for name, there in scene["test_videos"].items():
        lines.append(f"  test/{name}.mp4  {', '.join(there) or 'nothing odd'}")
    if odd:
        share = sum(odd.values()) / scene["frames"]["test"]
        lines.append(
            f"  odd frames: {', '.join(f'{kind} {many}' for kind, many in odd.items())} ({share:.0%} of the test)"
        )
    return lines
