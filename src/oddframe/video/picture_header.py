"""What the first bytes of a picture say, before anything is unpacked."""

import struct


def picture_size(head: bytes) -> tuple[int, int] | None:
    """(height, width) that the first bytes of a PNG or BMP give, which may unpack to a thousand
    times their size.

    >>> picture_size(bytes.fromhex("89504e470d0a1a0a0000000d494844520000000300000002"))
    (2, 3)
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return max(1, height), max(1, width)
    if head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
        return max(1, abs(height)), max(1, abs(width))
    return None
