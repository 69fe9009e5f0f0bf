"""What has been read and may be used again, for a while."""

import time
from collections.abc import Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by text, each for `seconds` to twice as long, at most `2 * most` of them.

    Two shelves: new values go on the upper one; when that is old or full, it becomes the lower one, and what lay there
    is gone. So nothing has to be looked through to find what is too old.
    """

    def __init__(self, *, seconds: float, most: int) -> None:
        self.seconds, self.most = seconds, most
        self.forget()

    def forget(self) -> None:
        self.upper: dict[str, V] = {}
        self.lower: dict[str, V] = {}
        self.began = time.monotonic()

    def get(self, text: str | None, /) -> V | None:
        if time.monotonic() - self.began > self.seconds:
            self._turn()
        found = self.upper.get(text)  # type: ignore[arg-type]
        return self.lower.get(text) if found is None else found  # type: ignore[arg-type]

    def keep(self, values: Mapping[str, V]) -> None:
        if len(self.upper) + len(values) > self.most:
            self._turn()
        self.upper.update(values)

    def _turn(self) -> None:
        is_long_ago = time.monotonic() - self.began > 2 * self.seconds
        self.lower = {} if is_long_ago else self.upper
        self.upper, self.began = {}, time.monotonic()
