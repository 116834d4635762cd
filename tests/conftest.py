"""Where the real data is, and tiny real things for every test: a film of a few small frames rather than a mock."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real video with ground truth beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real videos of ../shared/data, which are not here")
    return SHARED
