"""The shape of the code: how full its lines are, how often names are used twice, how much is private.

    python benchmarks/code_shape.py [PATH …]

Prints one row for each package and one for the whole (`src/oddframe` unless paths are given). Takes a second.
Counts are of lines that are not blank and belong to no docstring.
"""

import ast
import io
import sys
import tokenize
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).resolve().parents[1] / "src" / "oddframe"
LONGEST = 100  # characters of a line
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Shape:
    """What was counted in some files."""

    lines: int = 0  # not blank, of no docstring
    long_lines: int = 0
    comprehensions: int = 0
    conditionals: int = 0
    functions: int = 0
    private: int = 0
    nodes_a_line: list[float] = field(default_factory=list)  # one number a function

    def add(self, other: "Shape") -> None:
        """Count another's files too."""
        self.lines += other.lines
        self.long_lines += other.long_lines
        self.comprehensions += other.comprehensions
        self.conditionals += other.conditionals
        self.functions += other.functions
        self.private += other.private
        self.nodes_a_line += other.nodes_a_line

    def row(self, name: str) -> str:
        """One line of the table."""
        thousand = max(self.lines, 1) / 1000
        nodes = median(self.nodes_a_line) if self.nodes_a_line else 0.0
        private = self.private / max(self.functions, 1)
        return (
            f"{name:16}{self.lines:8}{nodes:8.1f}{self.comprehensions / thousand:8.1f}"
            f"{self.conditionals / thousand:8.1f}{self.long_lines / max(self.lines, 1):8.1%}"
            f"{private:8.0%}"
        )


def docstring_lines(tree: ast.AST) -> set[int]:
    """The lines of all docstrings."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            continue
        first = node.body[0] if node.body else None
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
            continue
        if isinstance(first.value.value, str):
            found.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def code_lines(text: str, without: set[int]) -> set[int]:
    """The lines that hold code: not blank, no comment alone, of no docstring."""
    found: set[int] = set()
    quiet = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet and token.type != tokenize.ENDMARKER:
            found.update(range(token.start[0], token.end[0] + 1))
    return found - without


def shape_of(path: Path) -> Shape:
    """The counts of one file."""
    text = path.read_text()
    tree = ast.parse(text)
    docs = docstring_lines(tree)
    lines = code_lines(text, docs)
    shape = Shape(lines=len(lines))
    shape.long_lines = sum(len(line) > LONGEST for line in text.splitlines())
    for node in ast.walk(tree):
        shape.comprehensions += isinstance(node, COMPREHENSIONS)
        shape.conditionals += isinstance(node, ast.IfExp)
        if isinstance(node, FUNCTIONS):
            shape.functions += 1
            shape.private += node.name.startswith("_") and not node.name.startswith("__")
            body = [line for line in lines if node.lineno <= line <= (node.end_lineno or 0)]
            nodes = sum(1 for _ in ast.walk(node))
            shape.nodes_a_line.append(nodes / max(len(body), 1))
    return shape


def names_defined_twice(paths: list[Path]) -> dict[str, list[str]]:
    """Public functions, classes and constants at the top of more than one file, with the files."""
    where: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            for name in names:
                if not name.startswith("_"):
                    where[name].append(path.stem)
    return {name: files for name, files in sorted(where.items()) if len(files) > 1}


def main() -> None:
    """Print the table, and the names that are defined in several files."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    given = [Path(word) for word in sys.argv[1:]] or [SOURCE]
    paths: list[Path] = []
    for path in given:
        paths += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    packages: dict[str, Shape] = defaultdict(Shape)
    total = Shape()
    for path in paths:
        shape = shape_of(path)
        inside = path.resolve()
        package = inside.parent.name if inside.parent != SOURCE else "(top)"
        packages[path.stem if len(paths) < 12 else package].add(shape)
        total.add(shape)
    print(f"{'':16}{'lines':>8}{'nodes':>8}{'compr.':>8}{'cond.':>8}{'long':>8}{'private':>8}")
    for name, shape in sorted(packages.items()):
        print(shape.row(name))
    print(total.row("all"))
    twice = names_defined_twice(paths)
    print(f"names defined in more than one file: {len(twice)}")
    counts = Counter({name: len(files) for name, files in twice.items()})
    for name, _ in counts.most_common():
        print(f"  {name}: {', '.join(twice[name])}")


if __name__ == "__main__":
    main()
