"""Everything at once, on a street of our own."""

import time
from pathlib import Path
from typing import Any

from oddframe.commands.evaluating import evaluate
from oddframe.commands.fitting import fit_data
from oddframe.commands.scoring import score
from oddframe.commands.simulating import simulate
from oddframe.errors import BadInput
from oddframe.families import member


def demo(*, out: Path = Path("demo"), seed: int = 0, seconds: float = 30.0) -> dict[str, Any]:
    """Film a street, learn it, find what is odd, measure that, and write the report.

    Args:
        out: where everything goes.
        seed: another seed is another street.
        seconds: length of each of the eight videos.
    """
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    began = time.perf_counter()
    print("1. filming a street")
    simulate(out / "street", seed=seed, seconds=seconds)
    print("\n2. learning what is normal there")
    fit_data(member("methods", "flowgrid", "method")(), "simulated", root=out / "street", out=out / "run")
    print("\n3. finding what is odd in the test videos")
    score(out / "run", [out / "street" / "test"], out=out / "found")
    print("\n4. measuring, for here the truth is known")
    result = evaluate(out / "run", "simulated", root=out / "street")
    print(f"\nall of it took {time.perf_counter() - began:.0f} s; open {out / 'found' / 'report.html'} in a browser")
    return result
