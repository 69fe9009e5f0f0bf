"""How a form with bracketed names (`items[0][price]=p`) becomes a tree of hashes, lists and strings.

Values stay strings and blank values stay: what a value means is decided by `api/params.py`. The wire cannot
tell a list from a hash whose names are all numbers (`metadata[7]=x`), so such a collection comes out as an
`IndexedList`, from which `as_hash` gets the names back. A collection that has names besides numbers is a
hash.
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from api.echo import echo
from core.errors import InvalidRequest

MAX_BYTES = 256 * 1024
MAX_KEYS = 1000
MAX_DEPTH = 7  # nested names, as many as Stripe has; an index is none: items[0][price_data][recurring] has three
MAX_BRACKETS = 10
MAX_INDEX = 1000

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)", re.DOTALL)


class MalformedForm(InvalidRequest):
    """The body or query string is not a form that can be read in exactly one way."""


class IndexedList(list[Any]):
    """A list in the order of its indexes, which need not have been 0, 1, 2...; `indexes` keeps them."""

    def __init__(self, entries: dict[int, Any]) -> None:
        self.indexes = tuple(sorted(entries))
        super().__init__(entries[index] for index in self.indexes)


class _Branch:
    """A collection while it grows: either entries with a name or number, or entries pushed by `[]`."""

    __slots__ = ("named", "pushed")

    def __init__(self) -> None:
        self.named: dict[str, _Branch | str] = {}
        self.pushed: list[_Branch | str] = []


def parse_form(data: bytes | str) -> dict[str, Any]:
    """The tree that `data`, a form body or query string, spells.

    Raises: MalformedForm.
    """
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise MalformedForm(f"The request is too large: parameters may take at most {MAX_BYTES} bytes.")
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MAX_KEYS:
        raise MalformedForm(f"Too many parameters: a request may have at most {MAX_KEYS}.")
    root = _Branch()
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        _place(root, _text(name), _text(value))
    return {name: _close(node) for name, node in root.named.items()}


def as_hash(value: Any) -> Any:
    """`value`, or the hash that it also spells where it came as numbered entries."""
    if isinstance(value, IndexedList):
        return {str(index): entry for index, entry in zip(value.indexes, value, strict=True)}
    return value


def _text(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedForm("Invalid encoding: parameters must be UTF-8.") from None
    if "\x00" in text:
        raise MalformedForm("Invalid character: parameters may not contain NUL.")
    return text


def _path(name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise MalformedForm(f"Invalid parameter name: {echo(name)}")
    path = [match[1], *match[2][1:-1].split("][")] if match[2] else [match[1]]
    levels = sum(not _is_index(key) and key != "" for key in path)
    if levels > MAX_DEPTH or len(path) > MAX_BRACKETS + 1:
        raise MalformedForm(
            f"Invalid parameter name: {echo(name)} is nested too deeply (at most {MAX_DEPTH} levels).",
            param=echo(match[1]),
        )
    return path


def _place(branch: _Branch, name: str, value: str) -> None:
    """Put `value` where `name` says."""
    *inner, last = _path(name)
    for depth, key in enumerate(inner):
        branch = _step(branch, key, [*inner[depth + 1 :], last], name)
    if last == "":
        _refuse(bool(branch.named), name)
        branch.pushed.append(value)
    else:
        _refuse(bool(branch.pushed) or isinstance(branch.named.get(last), _Branch), name)
        if last in branch.named:
            raise MalformedForm(f"Received the parameter {echo(name)} more than once.", param=echo(name))
        branch.named[last] = value


def _step(branch: _Branch, key: str, rest: list[str], name: str) -> _Branch:
    """The collection one level below `branch` into which the `rest` of the name goes."""
    if key == "":
        _refuse(bool(branch.named), name)
        tail = branch.pushed[-1] if branch.pushed else None
        if not isinstance(tail, _Branch) or _holds(tail, rest):
            tail = _Branch()
            branch.pushed.append(tail)
        return tail
    _refuse(bool(branch.pushed), name)
    child = branch.named.setdefault(key, _Branch())
    if isinstance(child, str):
        raise _mixed(name)
    return child


def _holds(branch: _Branch, path: list[str]) -> bool:
    """Whether `path` is taken below `branch`, so that `a[][b]=1&a[][b]=2` begins a second entry."""
    node: _Branch | str = branch
    for key in path:
        if key == "" or isinstance(node, str) or key not in node.named:
            return False
        node = node.named[key]
    return True


def _refuse(mixed: bool, name: str) -> None:
    if mixed:
        raise _mixed(name)


def _mixed(name: str) -> MalformedForm:
    return MalformedForm(
        f"Received the parameter {echo(name)} in two forms: a value and a collection, or a list and a hash.",
        param=echo(name),
    )


def _is_index(key: str) -> bool:
    plain = key.isascii() and key.isdigit() and len(key) <= len(str(MAX_INDEX))
    return plain and (key == "0" or key[0] != "0") and int(key) <= MAX_INDEX


def _close(node: _Branch | str) -> Any:
    if isinstance(node, str):
        return node
    if node.pushed:
        return [_close(child) for child in node.pushed]
    if all(_is_index(key) for key in node.named):
        return IndexedList({int(key): _close(child) for key, child in node.named.items()})
    return {key: _close(child) for key, child in node.named.items()}
