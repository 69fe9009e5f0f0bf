"""Cells of the error file, which people open with a spreadsheet and programs upload again."""

import re

# In front of the columns of the file; a file that has them is read as if they were not there.
ERROR_COLUMNS = ("error_row", "error_code", "error_message")

# What a spreadsheet would calculate. A number is left alone: it is harmless, and should stay one.
_FORMULA = re.compile(r"(?![+-]?[\d.]+(?:[eE][+-]?\d+)?\Z)'*[=+\-@\t\r\n]", re.ASCII)


def harmless(cell: str) -> str:
    """`cell` as no spreadsheet takes it for a formula: with an apostrophe before it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def as_sent(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell
