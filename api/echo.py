"""How much of a value that a caller sent may come back to the caller in an answer."""

LONGEST = 64


def echo(value: object, *, longest: int = LONGEST) -> str:
    """`value` as text without control characters, cut to `longest` characters, the cut shown as `...`."""
    text = value if isinstance(value, str) else type(value).__name__
    clean = "".join(char if char.isprintable() else "?" for char in text[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."
