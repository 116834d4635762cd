"""Tables that people keep: CSV from editors and spreadsheets, each row with the line that it begins
at.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from oddframe.errors import BadInput

LARGEST_TABLE = 64 << 20  # bytes; what is larger is no table that somebody wrote about videos

NumberedRow = tuple[int, list[str]]  # line number from 1, and its cells


def read_rows(
    path: Path,
    *,
    error: type[BadInput] = BadInput,
    most_bytes: int = LARGEST_TABLE,
    semicolons: bool = True,
) -> list[NumberedRow]:
    """The rows that hold anything, without white space around cells.

    A byte order mark is passed over; semicolons separate where the first line has no comma. Raises
    `error` for a file that is no text, is too large, or has a quote that its line does not close.
    """
    lines = read_text(path, error=error, most_bytes=most_bytes).splitlines()
    separator = ","
    if semicolons and lines and ";" in lines[0] and "," not in lines[0]:
        separator = ";"
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    rows: list[NumberedRow] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as wrong:
            raise error(f"{path}, line {number}: a quote that does not fit ({wrong})") from wrong
        if cells is None:
            return rows
        if reader.line_num > number:  # what follows an open quote would be taken for one cell
            raise error(f"{path}, line {number}: a quote is opened and not closed in its line")
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            rows.append((number, stripped))


def read_records(
    path: Path,
    needed: Sequence[str] = (),
    *,
    error: type[BadInput] = BadInput,
) -> list[dict[str, str]]:
    """The rows of a table with a header, by column. Raises `error` where a needed column is
    missing.
    """
    rows = read_rows(path, error=error)
    header: list[str] = []
    if rows:
        _, header = rows[0]
    missing = [name for name in needed if name not in header]
    if missing:
        got = ", ".join(header) or "nothing"
        raise error(f"{path} lacks the column {' and '.join(missing)}; its first line has {got}")
    records = []
    for _, cells in rows[1:]:
        padded = cells + [""] * (len(header) - len(cells))
        records.append(dict(zip(header, padded, strict=False)))
    return records


def read_text(
    path: Path, *, error: type[BadInput] = BadInput, most_bytes: int = LARGEST_TABLE
) -> str:
    """A text file in UTF-8, without byte order mark. Raises `error` where it is none or too
    large.
    """
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise error(f"{path} is too large: {size:,} bytes, at most {most_bytes:,}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise error(f"{path} cannot be read as text ({wrong})") from wrong
