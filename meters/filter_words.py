"""A meter's conditions as people write and read them, one a line: `model in gpt-4, gpt-4o`. Pure."""

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 20  # conditions, and dimensions, as over the API
LONGEST_KEY, LONGEST_VALUE = 100, 500
EXAMPLES = ("model in gpt-4, gpt-4o", "status not in failed, cancelled", "region exists", "trial does not exist")
LINE = re.compile(r"(?P<key>\S.*?)\s+(?P<word>not in|in|exists|does not exist)(?:\s+(?P<values>\S.*))?", re.IGNORECASE)


class Unreadable(ValueError):
    """A line that is no condition; says which, and what one looks like."""


def parse(text: str) -> list[dict[str, Any]]:
    """The conditions as `create_meter` takes them. Raises Unreadable."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > MOST:
        raise Unreadable(f"At most {MOST} conditions.")
    return [_condition(number, line) for number, line in lines]


def words_of(condition: Mapping[str, Any]) -> str:
    """One stored condition in words, as `parse` reads it where it says one thing only."""
    key, exists = condition["key"], condition.get("exists")
    said = [] if exists is None else [f"{key} exists" if exists else f"{key} does not exist"]
    for name, word in (("in_values", "in"), ("not_in_values", "not in")):
        if condition.get(name):
            said.append(f"{key} {word} {_listed(condition[name])}")
    return " and ".join(said) or f"{key} may be anything"


def _condition(number: int, line: str) -> dict[str, Any]:
    match = LINE.fullmatch(line)
    if match is None:
        raise Unreadable(f"Line {number}, “{line}”, is no condition. Write for example “{EXAMPLES[0]}”.")
    key, word = match["key"], match["word"].lower()
    if len(key) > LONGEST_KEY:
        raise Unreadable(f"Line {number}: a key has at most {LONGEST_KEY} characters.")
    if word in ("exists", "does not exist"):
        if match["values"]:
            raise Unreadable(f"Line {number}: nothing comes after “{word}”.")
        return {"key": key, "exists": word == "exists"}
    values = _values(match["values"] or "")
    if not values or max(map(len, values)) > LONGEST_VALUE:
        raise Unreadable(
            f"Line {number}: “{word}” needs one or more values with commas between them, "
            f"of at most {LONGEST_VALUE} characters each."
        )
    return {"key": key, "in_values" if word == "in" else "not_in_values": values}


def _values(text: str) -> list[str]:
    (row,) = csv.reader([text], skipinitialspace=True)
    return [value for part in row if (value := part.strip())]


def _listed(values: Sequence[str]) -> str:
    return ", ".join('"' + value.replace('"', '""') + '"' if _needs_quotes(value) else value for value in values)


def _needs_quotes(value: str) -> bool:
    return "," in value or '"' in value
