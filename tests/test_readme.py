"""What the README shows is what works."""

import re
from pathlib import Path

import pytest

from oddframe.workflows.evaluate import EvaluationResult

README = Path(__file__).parents[1] / "README.md"


def test_the_lines_of_python_in_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    shorter = code[1].replace("seconds=30", "seconds=12, width=160, height=120, test=2")
    assert shorter != code[1], "the street of the README is filmed smaller here"
    names: dict[str, object] = {}
    exec(compile(shorter, "README.md", "exec"), names)
    evaluation = names["evaluation"]
    assert isinstance(evaluation, EvaluationResult)
    assert 0 <= evaluation.honest["micro_auc"] <= 1
    assert set(evaluation.baselines) == {"constant", "frame-difference"}
    assert (tmp_path / "runs" / "street" / "run.json").is_file()
