"""The one place that reads the clock. Read it once, at the edge of a request or task, and pass `at` down."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)
