"""JSON: an array of events, or one event a line. Numbers keep the text that was sent; nothing becomes a float."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from meters.ingest import Record
from meters.json_events import MalformedEvent, texts
from usage_imports.lines import BOM, Lines, LongLine
from usage_imports.rows import MAX_ROW, MOST_TOLD, BadRow, Pieces, Row, Start, Unreadable, read_time, too_long

FIELDS = frozenset({"identifier", "timestamp", "event_name", "payload"})
GIVE_UP = 1024 * 1024  # characters after which an element without an end is taken for broken

ToRecord = Callable[[Any, str], Record]  # of an element, and the identifier it gets if it has none; raises BadRow

_SPACE = re.compile(r"[ \t\n\r]*")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_number)


def event_of(element: Any, identifier: str) -> Record:
    """The record of `{identifier?, timestamp, event_name, payload}`. Raises BadRow."""
    if not isinstance(element, dict):
        raise BadRow("invalid_row", "The row is not a JSON object.")
    if unknown := element.keys() - FIELDS:
        raise BadRow("unknown_field", f"Unknown field {min(unknown)[:100]!r}.")
    name, own = element.get("event_name"), element.get("identifier")
    if not name or not isinstance(name, str):
        raise BadRow("event_name_missing", "The row has no event_name.")
    if own is not None and not isinstance(own, str):
        raise BadRow("invalid_row", "The identifier is not a text.")
    try:
        payload = texts(element.get("payload"), "payload")
    except MalformedEvent as error:
        raise BadRow("invalid_payload", error.message) from None
    return Record(name, payload, own or identifier, read_time(element.get("timestamp")))


class LineRows:
    """NDJSON. The number of a row is that of its line."""

    def __init__(self, pieces: Pieces, start: Start, to_record: ToRecord) -> None:
        self.offset, self.number = start.offset, start.number
        self._identity, self._to_record = start.identity, to_record
        self._lines = Lines(pieces, start.offset)

    def __iter__(self) -> Iterator[Row]:
        for line in self._lines:
            self.number += 1
            self.offset = self._lines.offset
            if text := line.strip():
                yield Row(self.number, self._read(line), text)

    def _read(self, line: str) -> Record | BadRow:
        try:
            if isinstance(line, LongLine):
                raise too_long()
            return self._to_record(_decode(line), f"{self._identity}{self.number}")
        except BadRow as error:
            return error


def _decode(line: str) -> Any:
    try:
        return DECODER.decode(line)
    except (ValueError, RecursionError):
        raise BadRow("invalid_json", "The line is not valid JSON.") from None


class ArrayRows:
    """The elements of one JSON array, numbered from 1. Only the element that is read is in memory, and a piece."""

    def __init__(self, pieces: Pieces, start: Start, to_record: ToRecord) -> None:
        self.number = start.number
        self._identity, self._to_record = start.identity, to_record
        self._pieces = iter(pieces(start.offset))
        self._undecoded, self._is_bad = b"", False  # a character that is not whole; or bytes that are none
        self._text, self._at = "", 0  # what has been read, and how far it is done
        self._base = start.offset  # where that text begins, in bytes
        self._is_new = start.offset == 0

    @property
    def offset(self) -> int:
        done = self._text[: self._at]
        return self._base + (len(done) if done.isascii() else len(done.encode()))

    def __iter__(self) -> Iterator[Row]:
        if self._is_new:
            self._open()
            if self._next() == "]":
                return self._close()
        else:
            self._separator()
        while self._next() != "]":
            row = self._element()
            yield row
            self._separator()
        self._close()

    def _open(self) -> None:
        while not self._text and self._fill():
            pass
        if self._text.startswith("\ufeff"):
            self._text, self._base = self._text[1:], self._base + len(BOM)
        if self._next() != "[":
            raise Unreadable("invalid_json", "The file is not a JSON array.")
        self._at += 1

    def _separator(self) -> None:
        """Pass the comma; what ends the array stays."""
        found = self._next()
        if found == ",":
            self._at += 1
            if self._next() == "]":
                raise self._broken()
        elif found != "]":
            raise self._broken()

    def _element(self) -> Row:
        while True:
            try:
                element, end = DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                if len(self._text) - self._at > GIVE_UP or not self._fill():
                    raise self._broken() from None
                continue
            # A number may go on in the next piece, where nothing follows it.
            if end < len(self._text) or not self._fill():
                break
        sent, self._at = self._text[self._at : end], end
        self.number += 1
        if len(sent) > MAX_ROW:
            return Row(self.number, too_long(), sent[:MOST_TOLD])
        try:
            return Row(self.number, self._to_record(element, f"{self._identity}{self.number}"), sent)
        except BadRow as error:
            return Row(self.number, error, sent)

    def _next(self) -> str:
        """The next character that is no space, where we then are; none at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Read on; whether there was more. What is done is forgotten."""
        if self._is_bad:
            raise Unreadable("not_utf8", "The file is not UTF-8.")
        piece = next(self._pieces, None)
        data = self._undecoded + (piece or b"")
        try:
            more, used = codecs.utf_8_decode(data, "strict", piece is None)
        except UnicodeDecodeError as error:  # what comes before can still be read
            more, used, self._is_bad = data[: error.start].decode(), error.start, True
        self._undecoded = data[used:]
        self._base, self._text, self._at = self.offset, self._text[self._at :] + more, 0
        return piece is not None or self._is_bad

    def _close(self) -> None:
        self._at += 1
        if self._next():
            raise Unreadable("invalid_json", "Something follows the end of the JSON array.")

    def _broken(self) -> Unreadable:
        if self._at >= len(self._text):
            return Unreadable("invalid_json", "The file ends before the JSON array does.")
        return Unreadable("invalid_json", "The JSON cannot be read from here on.")
