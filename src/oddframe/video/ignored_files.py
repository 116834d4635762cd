"""An ignored area as people give it, text, JSON or a mask picture, and as a run keeps it."""

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oddframe.errors import BadInput
from oddframe.types import Bitmap, Bools, IgnoredArea, Polygon
from oddframe.video.ignored import bitmap_of, joined, share_of
from oddframe.video.picture_header import picture_size

MOST_POLYGONS = 1000
MOST_CORNERS = 10_000  # of all polygons together
LARGEST_FILE = 64 << 20  # bytes of a file that is read
LARGEST_PICTURE = 1 << 28  # pixels of a mask picture
LARGEST_SIDE = 1024  # pixels of the longer side of a bitmap that is kept
EVERYTHING = 0.9995  # share of the picture from which on nothing is left to look at
EXAMPLE = '"0.1,0.1 0.4,0.1 0.4,0.3"'
JSON_OF = "a list of polygons, each a list of corners [x, y]"


def read_area(
    ignore: str | Path | None, region: str | Path | None = None, already: IgnoredArea | None = None
) -> IgnoredArea | None:
    """The area that a user's words, or the files that they name, ignore; None of neither.

    `ignore` says what is ignored, `region` what is not: polygons as text, a JSON file of polygons,
    or a mask picture, white where it counts. Raises BadInput, one line, for what is neither, and
    where with what is ignored `already` nothing is left.
    """
    area = None
    if ignore is not None:
        area = read_shapes(ignore, "--ignore", outside=False)
    if region is not None:
        area = joined(area, read_shapes(region, "--region", outside=True))
    if area is not None:
        refuse_everything(joined(already, area))
    return area


def refuse_everything(area: IgnoredArea | None) -> None:
    """Raise BadInput for an area that leaves nothing to look at."""
    if share_of(area) >= EVERYTHING:
        raise BadInput("the whole picture is ignored (--ignore, --region): nothing is left")


def read_shapes(given: str | Path, option: str, *, outside: bool) -> IgnoredArea:
    """What one option gives: the inside of it, or `outside` all the rest. Raises BadInput."""
    text = str(given)
    path = Path(text).expanduser()
    if is_file(path):
        if path.suffix.lower() != ".json":
            return of_picture(path, option, outside=outside)
        polygons = polygons_in_json(path, option)
    elif "," in text and not isinstance(given, Path):
        polygons = polygons_in_text(text, option)
    else:
        raise BadInput(
            f"{option}: there is no file {text[:80]!r}, and no polygon such as {EXAMPLE}"
        )
    if outside:
        return IgnoredArea(regions=(polygons,))
    return IgnoredArea(polygons=polygons)


def is_file(path: Path) -> bool:
    """Whether a path names a file; a polygon may be longer than any name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def polygons_in_text(text: str, option: str) -> tuple[Polygon, ...]:
    """The polygons of a text: "x1,y1 x2,y2 x3,y3", several separated by semicolons. Raises
    BadInput.

    >>> polygons_in_text("0,0 1,0 1,0.5; 0,0.9 0.1,0.9 0.1,1", "--ignore")[1]
    ((0.0, 0.9), (0.1, 0.9), (0.1, 1.0))
    """
    found = []
    for part in text.strip().rstrip(";").split(";"):
        corners = []
        for word in part.split():
            numbers = word.split(",")
            if len(numbers) != 2:
                raise BadInput(f"{option}: a corner is x,y, got {word[:40]!r}, not as in {EXAMPLE}")
            corners.append(numbers)
        found.append(corners)
    return checked_polygons(found, option)


def polygons_in_json(path: Path, option: str) -> tuple[Polygon, ...]:
    """The polygons in a JSON file, alone or under "polygons". Raises BadInput."""
    try:
        read = json.loads(file_bytes(path, option))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{option}: {path} is not JSON with {JSON_OF}") from error
    if isinstance(read, dict):
        read = read.get("polygons")
    if not isinstance(read, list):
        raise BadInput(f"{option}: {path} is not {JSON_OF}")
    return checked_polygons(read, f"{option}: {path}")


def checked_polygons(given: Sequence[Any], where: str) -> tuple[Polygon, ...]:
    """Polygons of plain lists. Raises BadInput for what has no inside, or lies outside a picture."""
    if not 0 < len(given) <= MOST_POLYGONS:
        raise BadInput(
            f"{where}: from 1 to {MOST_POLYGONS:,} polygons are taken, got {len(given):,}"
        )
    found = []
    count = 0
    for number, corners in enumerate(given, start=1):
        name = f"{where}: polygon {number}"
        if not isinstance(corners, list | tuple):
            raise BadInput(f"{name} is no list of corners [x, y], got {str(corners)[:40]!r}")
        count += len(corners)
        if count > MOST_CORNERS:
            raise BadInput(f"{where}: polygons have {MOST_CORNERS:,} corners at most")
        found.append(checked_polygon(corners, name))
    return tuple(found)


def checked_polygon(given: Sequence[Any], name: str) -> Polygon:
    """One polygon. Raises BadInput, the line beginning with its name."""
    corners = []
    for corner in given:
        try:
            x, y = (float(number) for number in corner)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"{name}: a corner is two numbers, got {str(corner)[:40]!r}") from error
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise BadInput(
                f"{name}: corners are fractions of the picture from 0 to 1, got {x:g},{y:g}"
            )
        corners.append((x, y))
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()  # the way back to the first corner is understood
    if len(set(corners)) < 3:
        raise BadInput(f"{name} has {len(set(corners))} corners; one that is closed has 3 or more")
    if size_of_polygon(corners) == 0:
        raise BadInput(f"{name} encloses nothing: its corners lie on one line")
    return tuple(corners)


def size_of_polygon(corners: Sequence[tuple[float, float]]) -> float:
    """Width times height of the smallest upright rectangle around it, 0 where all corners lie on
    one line.
    """
    points = np.array(corners)
    if np.linalg.matrix_rank(points - points[0], tol=1e-6) < 2:
        return 0.0
    width, height = np.ptp(points, axis=0)
    return float(width * height)


def of_picture(path: Path, option: str, *, outside: bool) -> IgnoredArea:
    """The area of a mask picture: its white pixels, or `outside` all others. Raises BadInput."""
    picture = decoded(file_bytes(path, option))
    if picture is None:
        raise BadInput(f"{option}: {path} is not a picture that can be read, and no .json")
    marked = picture >= 128
    if outside:
        marked = ~marked
    if not marked.any():
        what = "is white all over" if outside else "has no white pixel"
        raise BadInput(f"{option}: {path} {what}, so it ignores nothing")
    return IgnoredArea(bitmaps=(bitmap_of(made_smaller(marked)),))


def decoded(data: bytes) -> Any:
    """(H, W) grey levels of 8 bits of a picture; None where it is none, or too large."""
    said = picture_size(data[:32])
    if said is not None and said[0] * said[1] > LARGEST_PICTURE:
        return None
    level = cv2.utils.logging.setLogLevel(0)  # OpenCV's complaints would stand before ours
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # empty, or a header that asks for any size
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None or picture.size > LARGEST_PICTURE:
        return None
    return picture


def made_smaller(marked: Bools) -> Bools:
    """A mask whose longer side is within bounds, marked wherever one of its pixels was."""
    height, width = marked.shape
    scale = LARGEST_SIDE / max(height, width)
    if scale >= 1:
        return marked
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    share = cv2.resize(marked.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0)


def file_bytes(path: Path, option: str) -> bytes:
    """What a file holds. Raises BadInput."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadInput(f"{option}: {path} is too large for polygons or a mask picture")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{option}: cannot read {path}: {error.strerror or error}") from error


def area_to_facts(area: IgnoredArea) -> dict[str, Any]:
    """An area as run.json keeps it: polygons as they are, bitmaps packed."""
    bitmaps = []
    for bitmap in area.bitmaps:
        packed = base64.b64encode(zlib.compress(bitmap.bits, 9)).decode()
        bitmaps.append({"height": bitmap.height, "width": bitmap.width, "bits": packed})
    return {
        "polygons": plain_polygons(area.polygons),
        "regions": [plain_polygons(region) for region in area.regions],
        "bitmaps": bitmaps,
    }


def plain_polygons(polygons: Sequence[Polygon]) -> list[list[list[float]]]:
    """Polygons as JSON has them."""
    found = []
    for polygon in polygons:
        found.append([list(corner) for corner in polygon])
    return found


def area_of_facts(facts: object) -> IgnoredArea | None:
    """The area that run.json keeps; None of None. Raises ValueError, one line, for what `fit` does
    not write.
    """
    if facts is None:
        return None
    if not isinstance(facts, Mapping):
        raise ValueError("'ignored' is no area")
    parts = {name: facts.get(name) for name in ("polygons", "regions", "bitmaps")}
    for name, part in parts.items():
        if not isinstance(part, list) or len(part) > MOST_POLYGONS:
            raise ValueError(f"'ignored' has no {name}")
    try:
        polygons: tuple[Polygon, ...] = ()
        if parts["polygons"]:
            polygons = checked_polygons(parts["polygons"], "'ignored'")
        regions = [checked_polygons(region, "'ignored'") for region in parts["regions"] or ()]
        bitmaps = [checked_bitmap(bitmap) for bitmap in parts["bitmaps"] or ()]
        area = IgnoredArea(polygons, tuple(regions), tuple(bitmaps))
        refuse_everything(area)
    except (BadInput, TypeError) as error:
        raise ValueError(str(error)) from error
    return area


def checked_bitmap(given: object) -> Bitmap:
    """A bitmap of run.json. Raises ValueError; no more is unpacked than its size asks for."""
    if not isinstance(given, Mapping):
        raise ValueError("'ignored' has a bitmap that is none")
    height, width, text = given.get("height"), given.get("width"), given.get("bits")
    for side in (height, width):
        if not isinstance(side, int) or isinstance(side, bool) or not 0 < side <= LARGEST_SIDE:
            raise ValueError(f"'ignored' has a bitmap with a side of {str(side)[:40]} pixels")
    assert isinstance(height, int)
    assert isinstance(width, int)
    wanted = math.ceil(height * width / 8)
    if not isinstance(text, str) or len(text) > 2 * wanted + 100:
        raise ValueError("'ignored' has a bitmap without bits")
    unpacker = zlib.decompressobj()
    try:
        bits = unpacker.decompress(base64.b64decode(text, validate=True), wanted + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError("'ignored' has a bitmap that cannot be unpacked") from error
    if len(bits) != wanted:
        raise ValueError("'ignored' has a bitmap of another size than it says")
    return Bitmap(height, width, bits)


def area_in_words(area: IgnoredArea | None) -> str:
    """How much of the picture is ignored.

    >>> area_in_words(IgnoredArea(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),)))
    '50.0% of the picture'
    """
    return f"{share_of(area):.1%} of the picture"
