"""oddframe learns what is normal from ordinary video and finds the frames, and the places in them,
that are not.

    import oddframe

    run = oddframe.fit("scene", "normal-videos", out="run")
    found = oddframe.score("run", ["today.mp4"], out="found")
    for video in found.videos:
        print(video.video, video.events)

Every command of the command line is a function here, with the same options. It prints nothing: it
returns a frozen value with `to_dict()` and `to_json()`, writes log records of the logger
"oddframe", calls `progress=` with how far it is, and raises errors of `OddframeError` only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from oddframe.detector import Detector
    from oddframe.errors import BadInput, BadRun, BadTruth, BadVideo, Leak, OddframeError
    from oddframe.progress import Progress
    from oddframe.results import Result
    from oddframe.run import Run
    from oddframe.scoring.run_folder import FittedDetector
    from oddframe.scoring.run_folder import load_run as load
    from oddframe.types import Clips, ClipSpec, Event, Frame, Scores, Truth, Video
    from oddframe.workflows.class_report import class_report, describe, threshold
    from oddframe.workflows.compare import compare
    from oddframe.workflows.demo import demo
    from oddframe.workflows.evaluate import evaluate
    from oddframe.workflows.fit import fit
    from oddframe.workflows.fuse import fuse
    from oddframe.workflows.info import info
    from oddframe.workflows.prepare import prepare
    from oddframe.workflows.probe import probe, retrieve
    from oddframe.workflows.score import score
    from oddframe.workflows.simulate import simulate

_PLACES = {  # a name, and the module that it is taken from when it is first asked for
    "BadInput": "errors",
    "BadRun": "errors",
    "BadTruth": "errors",
    "BadVideo": "errors",
    "ClipSpec": "types",
    "Clips": "types",
    "Detector": "detector",
    "Event": "types",
    "FittedDetector": "scoring.run_folder",
    "Frame": "types",
    "Leak": "errors",
    "OddframeError": "errors",
    "Progress": "progress",
    "Result": "results",
    "Run": "run",
    "Scores": "types",
    "Truth": "types",
    "Video": "types",
    "class_report": "workflows.class_report",
    "compare": "workflows.compare",
    "demo": "workflows.demo",
    "describe": "workflows.class_report",
    "evaluate": "workflows.evaluate",
    "fit": "workflows.fit",
    "fuse": "workflows.fuse",
    "info": "workflows.info",
    "load": "scoring.run_folder",
    "prepare": "workflows.prepare",
    "probe": "workflows.probe",
    "retrieve": "workflows.probe",
    "score": "workflows.score",
    "simulate": "workflows.simulate",
    "threshold": "workflows.class_report",
}
_NAMES_THERE = {"load": "load_run"}

__all__ = [  # noqa: RUF022  (errors last)
    "ClipSpec",
    "Clips",
    "Detector",
    "Event",
    "FittedDetector",
    "Frame",
    "Progress",
    "Result",
    "Run",
    "Scores",
    "Truth",
    "Video",
    "class_report",
    "compare",
    "demo",
    "describe",
    "evaluate",
    "fit",
    "fuse",
    "info",
    "load",
    "prepare",
    "probe",
    "retrieve",
    "score",
    "simulate",
    "threshold",
    "BadInput",
    "BadRun",
    "BadTruth",
    "BadVideo",
    "Leak",
    "OddframeError",
]


def __getattr__(name: str) -> object:
    # `import oddframe` is quick: what is heavy is loaded with the first name that needs it
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'oddframe' has no attribute {name!r}")
    return getattr(import_module(f"oddframe.{place}"), _NAMES_THERE.get(name, name))


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
