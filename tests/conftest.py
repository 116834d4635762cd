"""Where the real data is, and tiny real things for every test: a film of a few small frames rather than a mock."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from films import film
from oddframe.cli.main import main
from oddframe.files import WRITTEN_FILES
from oddframe.types import ClipSpec
from oddframe.video.reader import read, video_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real video with ground truth beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real videos of ../shared/data, which are not here")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between fits is kept between those of the tests, and not in the tester's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated data set: three normal videos, two to test, 12 s at 10 frames a second. Do not write here."""
    from oddframe import simulate

    folder = tmp_path_factory.mktemp("a") / "street"
    simulate(folder, train=3, test=2, seconds=12.0, width=160, height=120)
    return folder


@pytest.fixture(scope="session")
def fitted(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a flowgrid run fitted on `street`. Do not write here: copy it."""
    from oddframe import fit

    return fit(
        "flowgrid", "simulated", root=street, out=tmp_path_factory.mktemp("a") / "run"
    ).folder


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with this exit code and one line; returns the line without `oddframe: `."""

    def run(code: int, *words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        return one_line(out, err)

    return run


def one_line(out: str, err: str) -> str:
    """The single line of an error, without `oddframe: `."""
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("oddframe: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err.removeprefix("oddframe: ").rstrip()


def hidden(folder: Path) -> list[str]:
    """Temporary files that somebody forgot; the list of what was written is none."""
    return sorted(path.name for path in folder.rglob(".*") if path.name != WRITTEN_FILES)


def scores_of(folder: Path) -> dict[str, bytes]:
    """What was scored into a folder, by file name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


@pytest.fixture(scope="session")
def short(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of the first three seconds of one of `street`'s to be tested."""
    frames = read(video_of(street / "test" / "test01.mp4"), ClipSpec(size=None))
    pictures = [next(frames).pixels for _ in range(30)]
    return film(tmp_path_factory.mktemp("short") / "short.mp4", pictures, fps=10)


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    """A copy of the fitted run, to be spoilt."""
    return Path(shutil.copytree(fitted, tmp_path / "run"))


hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=True
)  # busy or lucky is no verdict
hypothesis.settings.load_profile("house")
