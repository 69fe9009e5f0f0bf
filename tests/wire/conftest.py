"""The official client against our own web application: real HTTP, the test database, no broker in between.

Requests go to a threaded WSGI server in this process. What a worker would do when a clock is told to advance is done
by calling the task that beat calls. As in a real installation nothing is undone between tests, so each makes what it
needs under names of its own; the tables are emptied after each module.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from tests.wire.client import Wire, client_of

logging.getLogger("stripe").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def web(django_db_setup: None, django_db_blocker: Any) -> Iterator[LiveServer]:
    with django_db_blocker.unblock():
        running = LiveServer("127.0.0.1:0")
        yield running
        running.stop()


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """For a module what pytest-django's fixture of this name is for one test."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


@pytest.fixture(scope="module")
def api_key(transactional_db: None) -> str:
    from api.keys import create_api_key
    from core import clock

    return create_api_key("wire tests", clock.now())[1]


@pytest.fixture
def wire(web: LiveServer, api_key: str) -> Wire:
    """The client, and short ways to make what tests begin with."""
    return Wire(client_of(web.url, api_key), web.url, api_key)
