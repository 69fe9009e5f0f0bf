"""Short versions of `script/faults storm`."""

import random

import pytest

from tests.faults import storms
from tests.stack import Server

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]


@pytest.fixture
def ready(server: Server) -> Server:
    server.wait_until_ready()
    return server


def test_a_storm_of_duplicates_counts_each_event_once(ready: Server):
    storm = storms.duplicates(ready, identifiers=20, sends=20, chance=random.Random(1))

    assert storm.wrong == []
    assert storm.answers == {"stored": 20, "duplicate": 380}


def test_in_a_storm_of_conflicts_one_content_stands_and_the_others_are_told(ready: Server):
    storm = storms.conflicts(ready, identifiers=20, chance=random.Random(2))

    assert storm.wrong == []
    assert storm.answers == {"stored": 20, "conflict": 140}


def test_batches_in_any_order_never_deadlock(ready: Server):
    storm = storms.crossing(ready, rounds=4, size=50, chance=random.Random(3))

    assert storm.wrong == []
