"""Usage as businesses have it: more by day than by night, less at weekends, a little more every week. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

HOUR = timedelta(hours=1)
# How busy each hour of a UTC day is, 1 being the average; and each day of the week from Monday on.
BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 8, 13, 16, 17, 16, 14, 15, 17, 16, 14, 11, 8, 7, 6, 5, 4, 3)
BY_WEEKDAY = (105, 112, 115, 112, 104, 72, 70)
GROWTH_PER_WEEK = 0.03


@dataclass(frozen=True)
class Use:
    """One thing that was used at one time."""

    event_name: str
    timestamp: datetime
    value: str
    more: Mapping[str, str] = field(default_factory=dict)  # what else its payload says


Shape = Callable[[Random, datetime, float], Iterator[Use]]  # what one hour brings, given how busy it is


def usage(shape: Shape, *, seed: str, start: datetime, end: datetime) -> list[Use]:
    """What `shape` brings from `start` to `end`, oldest first; the same for the same seed and times."""
    random = Random(seed)  # noqa: S311 (a rhythm, not a secret)
    found: list[Use] = []
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        found += sorted(shape(random, hour, busyness(hour, start)), key=lambda use: use.timestamp)
        hour += HOUR
    return [use for use in found if start <= use.timestamp < end]


def busyness(hour: datetime, start: datetime) -> float:
    """How busy an hour is: 1 on average at the start."""
    weeks = (hour - start) / timedelta(weeks=1)
    by_day = BY_WEEKDAY[hour.weekday()] / (sum(BY_WEEKDAY) / 7)
    return BY_HOUR[hour.hour] / (sum(BY_HOUR) / 24) * by_day * (1 + GROWTH_PER_WEEK * weeks)


def chat(random: Random, hour: datetime, busy: float) -> Iterator[Use]:
    """Requests to a language model: tokens in, and usually fewer tokens out; now and then an image, or a failed one."""
    for _ in range(round(random.gauss(4.5 * busy, 1.5))):
        at = _within(random, hour)
        yield Use("prompt_tokens", at, str(int(random.lognormvariate(6.6, 1.0)) + 20))
        yield Use("completion_tokens", at, str(int(random.lognormvariate(5.1, 0.8)) + 5))
    for _ in range(round(random.gauss(0.8 * busy, 0.6))):
        made = {
            "model": random.choices(("lantern-small", "lantern-large"), (3, 1))[0],
            "region": random.choices(("eu", "us", "asia"), (3, 5, 1))[0],
            "status": random.choices(("done", "failed"), (14, 1))[0],
        }
        yield Use("image_seconds", _within(random, hour), f"{random.uniform(1, 9):.2f}", made)


def calls(random: Random, hour: datetime, busy: float) -> Iterator[Use]:
    """Calls of an interface, counted by the caller and reported a few times an hour."""
    for minute in (14, 29, 44, 59):
        at = hour + timedelta(minutes=minute, seconds=random.randrange(60))
        yield Use("api_calls", at, str(max(0, round(random.gauss(160 * busy, 25)))))


def storage(random: Random, hour: datetime, busy: float) -> Iterator[Use]:
    """The gigabytes stored, measured four times a day (a day's last measurement counts), files taken out again, and
    the space of fast snapshots, told whenever it changes."""
    day = (hour - datetime(2024, 1, 1, tzinfo=hour.tzinfo)).days
    if hour.hour % 6 == 5:
        at = hour + timedelta(minutes=50)
        yield Use("stored_gb", at, f"{400 + day % 120 * 6.5 + random.uniform(-20, 20):.3f}")
    for _ in range(round(random.gauss(0.7 * busy, 0.5))):
        yield Use("restored_files", _within(random, hour), "1")
    if random.random() < 0.15:
        yield Use("snapshot_gb", _within(random, hour), f"{60 + day % 30 * 2 + random.uniform(-25, 25):.1f}")


def nothing(random: Random, hour: datetime, busy: float) -> Iterator[Use]:
    """Who only pays for fixed quantities uses nothing that is counted."""
    return iter(())


def _within(random: Random, hour: datetime) -> datetime:
    return hour + timedelta(seconds=random.randrange(3600))
