"""A file's bytes as lines of text, of which none can grow beyond what a row may have."""

from collections.abc import Iterable, Iterator

from usage_imports.rows import MAX_ROW, MOST_TOLD, Pieces, Unreadable

BOM = b"\xef\xbb\xbf"


class LongLine(str):
    """The beginning of a line that is longer than a row may be."""

    __slots__ = ()


class Lines:
    """Lines with their ends, from an offset on; `offset` says where the next one begins. Iterate once."""

    def __init__(self, pieces: Pieces, offset: int = 0) -> None:
        self.offset = offset
        self._lines = self._decoded(pieces(offset))

    def __iter__(self) -> Iterator[str]:
        """Raises Unreadable where the file is not UTF-8."""
        return self._lines

    def _decoded(self, pieces: Iterable[bytes]) -> Iterator[str]:
        starts = self.offset == 0
        for line, length in _split(pieces):
            self.offset += length
            if starts:
                line, starts = line.removeprefix(BOM), False
            if len(line) > MAX_ROW:
                yield LongLine(line[:MOST_TOLD].decode(errors="replace"))
                continue
            try:
                yield line.decode()
            except UnicodeDecodeError:
                raise Unreadable("not_utf8", "The file is not UTF-8.") from None


def _split(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Each line and its length in the file; of a line that is too long only the beginning."""
    rest, dropped = b"", 0
    for piece in pieces:
        *whole, rest_of_piece = piece.split(b"\n")
        if whole:
            whole[0] = rest + whole[0]
            for line in whole:
                yield line + b"\n", len(line) + 1 + dropped
                dropped = 0
            rest = rest_of_piece
        else:
            rest += rest_of_piece
        if len(rest) > MAX_ROW + 1:
            dropped += len(rest) - MAX_ROW - 1
            rest = rest[: MAX_ROW + 1]
    if rest:
        yield rest, len(rest) + dropped
