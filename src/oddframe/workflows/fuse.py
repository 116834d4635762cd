"""Several runs on several streams of the same recordings: each alone, and all together."""

import math
import time
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.base import open_data
from oddframe.datasets.discovery import printable
from oddframe.errors import BadInput
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.fusion import fused
from oddframe.evaluation.metrics import auc
from oddframe.evaluation.protocol import refuse_leak
from oddframe.evaluation.video_set import VideoSet
from oddframe.files import room, write_json
from oddframe.progress import logger
from oddframe.scoring.run_folder import load_run
from oddframe.scoring.score_store import remove_unpacked_after, score_to
from oddframe.types import Video
from oddframe.video.reader import content_hash


def fuse(
    runs: list[Path],
    data: str,
    *,
    root: Path | None = None,
    out: Path = Path("fused"),
    device: str = "cpu",
    json: bool = False,
) -> dict[str, Any]:
    """Measure runs on several streams of the same recordings, each alone and all by their mean rarity.

    Each run is one that `oddframe fit --stream` wrote. Writes fusion.json and the scores into OUT.

    Args:
        runs: the folders that `oddframe fit` wrote, one a stream.
        data: a data set whose videos have streams.
        root: where a named data set lies.
        out: where results go.
        device: where networks run: cpu, cuda, cuda:1 …
        json: print one JSON object instead of a table.
    """
    if len(runs) < 2:
        raise BadInput("fusing takes two runs or more, and then the data set they are measured on")
    began, folder = time.perf_counter(), room(out)
    streams: dict[str, dict[str, EvaluatedVideo]] = {}
    for run in runs:
        fitted = load_run(run, device)
        stream = fitted.facts.get("stream")
        if not stream:
            raise BadInput(f"{run} has learned no single stream; fit it with --stream")
        if stream in streams:
            raise BadInput(f"two runs have learned the stream {stream}; give one of each")
        tests = [
            video for video in open_data(data, root, stream)[1].test if video.truth is not None
        ]
        if not tests:
            raise BadInput(
                f"{data} has no recording of {stream} with ground truth, so there is nothing to measure on"
            )
        trained = {video["hash"]: video["name"] for video in fitted.facts["trained_on"]}
        refuse_leak(trained, {content_hash(video.source): video.name for video in tests})
        streams[stream] = {}
        for video in tests:
            path = folder / f"{printable(video.name)}.npz"
            with remove_unpacked_after(path):
                stored = score_to(
                    path, fitted, replace(video, name=printable(video.name)), maps=False
                )
                judged = align_with_truth(stored, fitted.threshold)
            streams[stream][recording_of(video)] = replace(
                judged,
                map=None,
                boxes=None,
                map_frame=None,
                events=(),
                parts={},
                raw_parts={},
                frame_rank=fitted.calibration.rarity(judged.ranking, ceiling=math.inf),
            )
    together = fused(streams)
    told = {
        "all": _auc(together),
        **{stream: _auc(list(one.values())) for stream, one in streams.items()},
    }
    result = {"dataset": data, "recordings": len(together), "streams": told}
    result["seconds"] = round(time.perf_counter() - began, 3)
    write_json(folder / "fusion.json", result)
    if json:
        print(dumps(result, indent=2))
    else:
        print(f"{len(together)} recordings{'':14}{'honest':>10}{'as published':>14}")
        for stream, numbers in told.items():
            shown = [f"{value:.4f}" if value is not None else "–" for value in numbers.values()]
            print(f"micro_auc of {stream:16}{shown[0]:>10}{shown[1]:>14}")
        logger.warning(f"written: {folder / 'fusion.json'}")
    return result


def recording_of(video: Video) -> str:
    """What a video of a stream is called without the stream.

    >>> recording_of(Video("val01_rec1-top_ir", Path(), label="top_ir"))
    'val01_rec1'
    >>> recording_of(Video("top-monday", Path(), label="top"))  # a folder of your own, test/top/monday.mp4
    'monday'
    """
    return video.name.removesuffix(f"-{video.label}").removeprefix(f"{video.label}-")


def _auc(judged: list[EvaluatedVideo]) -> dict[str, float | None]:
    test = VideoSet(judged)
    return {
        "micro_auc": auc(test.anomalous, test.ranking),
        "micro_auc_as_published": test.published("")[0],
    }
