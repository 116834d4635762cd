"""Embedding once, keeping it, and the heads: what is near the normal ones is normal."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from films import film
from oddframe.embeddings.embedder import Embedder, held_out_heads
from oddframe.embeddings.head import HeadOptions, make_head
from oddframe.embeddings.heads.knn import coreset
from oddframe.embeddings.store import VideoEmbeddings, gather, open_embeddings, write_embeddings
from oddframe.embeddings.whitening import whitening
from oddframe.errors import BadInput
from oddframe.registry import members
from oddframe.run import Run
from oddframe.scoring.cross_validation import refit_each_fold
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.types import ClipSpec, Video
from oddframe.video.prefetch import prefetch_many

SMALL_HEADS: dict[str, Any] = {"knn": {"neighbours": 3, "bank": 40}}
HEADS = ("knn", "centroid", "mahalanobis", "mixture")


class Grey(Embedder):
    """A random linear map of small grey clips; counts what it was asked to embed."""

    name = "grey"

    def __init__(self, *, head: HeadOptions | None = None, size: int = 6) -> None:
        super().__init__(head=head)
        self.net = nn.Linear(2 * 8 * 8, size)
        self.asked = 0

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(length=2, size=(8, 8), colour="grey", hop=2)

    def core(self) -> nn.Module:
        return self.net

    def prepare(self, pixels: Tensor) -> Tensor:
        return pixels.float().flatten(1) / 255

    def embed(self, pixels: Tensor) -> Tensor:
        self.asked += len(pixels)
        return super().embed(pixels)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("films")
    return [Video(f"v{k}", film(folder / f"{k}.mp4", 20 + 2 * k, start=40 * k)) for k in range(4)]


def grey(head: str = "knn") -> Grey:
    torch.manual_seed(0)
    return Grey(head=HeadOptions(name=head))


def bunch(
    seed: int, count: int, width: int = 12, at: float = 0.0, label: str | None = None
) -> VideoEmbeddings:
    vector = (np.random.default_rng(seed).standard_normal((count, width)) + at).astype(np.float32)
    return VideoEmbeddings(
        Video(f"b{seed}", Path(f"b{seed}"), label=label),
        np.arange(count),
        np.arange(count) / 10,
        vector,
    )


# Embedding once.


def test_a_second_fit_embeds_nothing(videos: list[Video], tmp_path: Path) -> None:
    run = Run(tmp_path / "a", cache=tmp_path / "cache")
    first = grey()
    first.fit(videos, run)
    assert first.asked == sum((20 + 2 * k) // 2 for k in range(4))
    for head in HEADS:
        again = grey(head)
        again.fit(videos, Run(tmp_path / "b", cache=tmp_path / "cache"))
        assert again.asked == 0


def test_other_weights_options_spans_and_pixels_are_embedded_anew(
    videos: list[Video], tmp_path: Path
) -> None:
    run = Run(tmp_path)
    grey().fit(videos, run)
    torch.manual_seed(1)
    other = Grey()
    other.fit(videos, run)
    assert other.asked == 46
    part = grey()
    part.embed_videos([replace(videos[0], span=(0.0, 0.4))], run)
    assert part.asked == 5
    film(tmp_path / "other.mp4", 20, start=7)
    part.embed_videos([Video("v0", tmp_path / "other.mp4")], run)
    assert part.asked == 15
    for again in (replace(videos[0], fps=5.0), replace(videos[0], levels=(7000.0, 8000.0))):
        before = part.asked
        part.embed_videos([again], run)
        assert part.asked > before


def test_an_interrupted_embedding_goes_on(videos: list[Video], tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    class Stopping(Grey):
        def embed(self, pixels: Tensor) -> Tensor:
            if self.asked == (20 + 22) // 2:  # the first two videos are done
                raise Stopped
            return super().embed(pixels)

    torch.manual_seed(0)
    with pytest.raises(Stopped):
        Stopping().fit(videos, Run(tmp_path))
    again = grey()
    again.fit(videos, Run(tmp_path))
    assert again.asked == (24 + 26) // 2
    assert not list(tmp_path.rglob(".*"))


def test_what_is_kept_is_what_embed_gives(videos: list[Video], tmp_path: Path) -> None:
    embedder, run = grey(), Run(tmp_path)
    made = embedder.embed_videos(videos, run)
    kept = embedder.embed_videos(videos, run)
    for one, other, video in zip(made, kept, videos, strict=True):
        assert isinstance(other.vector.base, np.memmap) or isinstance(other.vector, np.memmap)
        np.testing.assert_array_equal(one.vector, other.vector)
        assert other.video == video
        scores = concatenate(score_video(embedder_with_head(embedder, run, videos), video))
        np.testing.assert_array_equal(other.frame, scores.frame)
        np.testing.assert_array_equal(other.seconds, scores.seconds)


def embedder_with_head(embedder: Grey, run: Run, videos: Sequence[Video]) -> Grey:
    embedder.head.fit(embedder.embed_videos(videos, run), run)
    return embedder


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    video, rows = (
        Video("a", tmp_path),
        (np.arange(3), np.arange(3) / 2, np.ones((3, 4), np.float32)),
    )
    path = tmp_path / "kept.npy"
    assert len(write_embeddings(path, video, [rows, rows])) == 6
    path.write_bytes(path.read_bytes()[:-5])
    assert open_embeddings(path, video) is None
    assert open_embeddings(tmp_path / "none.npy", video) is None
    assert len(write_embeddings(path, video, [])) == 0
    assert not path.exists()


def test_a_video_shorter_than_a_clip_is_named(
    videos: list[Video], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = Video("short", film(tmp_path / "short.mp4", 1))
    found = grey().embed_videos([short, videos[0]], Run(tmp_path))
    assert [len(one) for one in found] == [0, 10]
    assert "short is shorter than a clip of 2 frames" in caplog.text
    for head in HEADS:
        with pytest.raises(BadInput, match="shorter than a clip"):
            grey(head).fit([short], Run(tmp_path))
        grey(head).fit([short, videos[0]], Run(tmp_path))


def test_holding_out_heads_is_holding_out(videos: list[Video], tmp_path: Path) -> None:
    for head in HEADS:
        embedder, folds = grey(head), [0, 1, 2, 2]
        embedder.fresh = lambda head=head: grey(head)  # type: ignore[method-assign,misc]
        quick = list(held_out_heads(embedder, videos, folds, Run(tmp_path)))
        for one, other in zip(
            quick, refit_each_fold(embedder, videos, folds, Run(tmp_path)), strict=True
        ):
            np.testing.assert_array_equal(one.frame, other.frame)
            np.testing.assert_allclose(one.value, other.value, rtol=1e-4)


def test_taking_rows_counts_through_all_videos() -> None:
    parts = [bunch(1, 3), bunch(2, 0), bunch(3, 5)]
    every = np.concatenate([part.vector for part in parts])
    rows = np.array([7, 0, 3, 3])
    np.testing.assert_array_equal(gather(parts, rows), every[rows])


def test_streams_side_by_side_keep_their_order_and_stop() -> None:
    streams = (iter(range(10 * k, 10 * k + 5)) for k in range(4))
    assert [list(stream) for stream in prefetch_many(streams, 2, 2)] == [
        list(range(10 * k, 10 * k + 5)) for k in range(4)
    ]

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        [list(stream) for stream in prefetch_many([iter([0]), failing()], 3, 1)]


# Heads.


@pytest.mark.parametrize("name", HEADS)
def test_what_is_far_from_normal_is_strange(name: str, tmp_path: Path) -> None:
    head = make_head(HeadOptions(name=name))
    head.fit([bunch(1, 200), bunch(2, 100)], Run(tmp_path))
    normal = head.distance(torch.from_numpy(bunch(3, 50).vector))
    strange = head.distance(torch.from_numpy(bunch(4, 50, at=4).vector))
    assert normal.shape == (50,)
    assert strange.min() > normal.max()


@pytest.mark.parametrize("name", HEADS)
def test_a_head_judges_each_clip_by_itself(name: str, tmp_path: Path) -> None:
    head = make_head(HeadOptions(name=name, **SMALL_HEADS.get(name, {})))
    head.fit([bunch(1, 90, 200)], Run(tmp_path))
    some = torch.from_numpy(bunch(2, 33, 200).vector)
    one_by_one = torch.cat([head.distance(row[None]) for row in some])
    np.testing.assert_allclose(head.distance(some), one_by_one, rtol=1e-9)


def test_one_clip_is_enough_or_refused(tmp_path: Path) -> None:
    for name in ("knn", "centroid", "mahalanobis"):
        head = make_head(HeadOptions(name=name))
        head.fit([bunch(1, 1, label="a")], Run(tmp_path))
        assert head.distance(torch.zeros(2, 12)).isfinite().all()
    with pytest.raises(BadInput, match="two clips of normal video at least, got 1"):
        make_head(HeadOptions(name="mixture")).fit([bunch(1, 1)], Run(tmp_path))


def test_neighbours_are_the_mean_of_the_nearest(tmp_path: Path) -> None:
    learned, asked = bunch(1, 50).vector, bunch(2, 9).vector
    head = make_head(HeadOptions(name="knn", neighbours=3))
    head.fit([bunch(1, 50)], Run(tmp_path))
    far = np.sort(np.linalg.norm(asked[:, None].astype(float) - learned[None], axis=2), axis=1)
    np.testing.assert_allclose(
        head.distance(torch.from_numpy(asked)), far[:, :3].mean(1), rtol=1e-9
    )


def test_centroids_are_of_classes(tmp_path: Path) -> None:
    parts = [
        bunch(1, 20, at=0, label="a"),
        bunch(2, 30, at=5, label="b"),
        bunch(3, 10, at=0, label="a"),
    ]
    asked = bunch(4, 7).vector.astype(float)
    centre = np.stack(
        [np.concatenate([parts[0].vector, parts[2].vector]).mean(0), parts[1].vector.mean(0)]
    )
    head = make_head(HeadOptions(name="centroid"))
    head.fit(parts, Run(tmp_path))
    wanted = np.linalg.norm(asked[:, None] - centre, axis=2).min(1)
    np.testing.assert_allclose(head.distance(torch.from_numpy(asked)), wanted, rtol=1e-6)
    assert head.get_extra_state() == {"classes": ["a", "b"]}
    head.fit([*parts, bunch(5, 10)], Run(tmp_path))  # one video without a class: no classes
    assert head.get_extra_state() == {"classes": [""]}


def test_mahalanobis_is_in_units_of_the_spread_within_classes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scale = np.linspace(1, 3, 6)
    parts = [
        replace(
            bunch(k, 1, label=label), frame=np.arange(4000), seconds=np.arange(4000), vector=vector
        )
        for k, (label, at) in enumerate((("a", -50), ("b", 50)))
        for vector in [(random.standard_normal((4000, 6)) * scale + at).astype(np.float32)]
    ]
    head = make_head(HeadOptions(name="mahalanobis"))
    head.fit(parts, Run(tmp_path))
    asked = np.eye(6) * 10 + 50
    np.testing.assert_allclose(head.distance(torch.from_numpy(asked)), 10 / scale, rtol=0.05)


def test_whitening_gives_unit_covariance() -> None:
    random = np.random.default_rng(1)
    around = (
        random.standard_normal((20_000, 5))
        * (1, 2, 3, 1, 2)
        @ np.linalg.qr(random.standard_normal((5, 5)))[0]
    )
    around -= around.mean(0)
    white = around @ whitening(around)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(5), atol=0.05)


def test_few_clips_are_whitened_as_many_are() -> None:
    """In as many directions as there are clips, against the inverse root of the whole shrunk covariance."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    for M in (6, 40):
        around = np.random.default_rng(M).standard_normal((M, 12)) * np.linspace(1, 3, 12)
        share = max(0.01, float(ledoit_wolf_shrinkage(around, assume_centered=True)))
        covariance = around.T @ around / M
        shrunk = (1 - share) * covariance + share * np.trace(covariance) / 12 * np.eye(12)
        white = whitening(around)
        np.testing.assert_allclose(white @ white.T, np.linalg.inv(shrunk), rtol=1e-8, atol=1e-10)


def test_the_mixture_is_a_density(tmp_path: Path) -> None:
    """−log p of a Gaussian with known parameters, by hand."""
    head = make_head(HeadOptions(name="mixture", components=1))
    head.fit([bunch(1, 20_000, 3)], Run(tmp_path))
    asked = bunch(2, 20, 3, at=1).vector.astype(float)
    wanted = 0.5 * (asked**2).sum(1)
    got = head.distance(torch.from_numpy(asked)).numpy()
    np.testing.assert_allclose(got - got.mean(), wanted - wanted.mean(), atol=0.2)


def test_a_coreset_leaves_nothing_far_away() -> None:
    random = np.random.default_rng(2)
    points = np.concatenate(
        [random.standard_normal((990, 100)), random.standard_normal((10, 100)) + 20]
    )
    kept = coreset(points.astype(np.float32), 30, random)
    assert len(set(kept.tolist())) == 30
    assert (kept >= 990).any()
    assert np.array_equal(coreset(points, 2000, random), np.arange(1000))


def test_a_head_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="no head is called 'nearest'"):
        make_head(HeadOptions(name="nearest"))
    with pytest.raises(ValueError, match="neighbours is from 1 to"):
        HeadOptions(neighbours=0)
    with pytest.raises(BadInput, match="do not go together"):
        make_head(HeadOptions(name="centroid")).fit([bunch(1, 3, 4), bunch(2, 3, 5)], Run(Path()))


def test_options_that_another_head_reads_are_refused() -> None:
    with pytest.raises(ValueError, match="layers does nothing with the head knn; --head autoenc"):
        make_head(HeadOptions(layers=(8, 4)))
    with pytest.raises(ValueError, match="only with --reduce mixture"):
        make_head(HeadOptions(name="density", components=3))
    make_head(HeadOptions(name="density", components=3, reduce="mixture"))
    for name, head in members("embeddings.heads").items():
        assert set(head.reads) <= {field.name for field in fields(HeadOptions)}
        assert head.__module__ == f"oddframe.embeddings.heads.{name}", "one file a head"
