"""A secret is told once. After that it is nowhere: not in the database, not in a log, not in an answer."""

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from api.keys import create_api_key, roll_api_key
from core import clock
from tests.forms import submit
from tests.wire.test_bad_inputs import FORM

pytestmark = pytest.mark.django_db


def database() -> str:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor, include_views=False):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            rows += [row for (row,) in cursor.fetchall()]
    return "\n".join(rows)


def test_no_secret_is_kept(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    at = clock.now()
    key, secret = create_api_key("canary", at)
    _, rolled = roll_api_key(key, at, timedelta(hours=1))
    shown = submit(admin_client, "/admin/api/apikey/add/", name="from the admin").context["secret"]
    secrets = (secret, rolled, shown)
    answers = []
    for one in secrets:
        client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {one}"})
        header = {"Idempotency-Key": f"key-{one[-4:]}"}
        answers += [
            client.post("/v1/customers", "name=Ada", content_type=FORM, headers=header),
            client.post("/v1/customers", "name=Ada&api_key=" + one, content_type=FORM),
            client.post("/v1/customers", "name[a]=" + one, content_type=FORM),
            client.get(f"/v1/customers?key={one}"),
            client.post("/v1/nothing", "name=Ada", content_type=FORM),
            client.put("/v1/customers", "name=Ada", content_type=FORM),
            client.post("/v1/customers", headers={"Authorization": f"Bearer {one}x"}),
            client.post("/v1/customers", headers={"Authorization": one}),
        ]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404}
    kept = database()
    assert "canary" in kept
    said = caplog.text + "".join(answer.content.decode() + str(answer.headers) for answer in answers)
    for one in secrets:
        assert one[8:51] not in kept
        assert one[8:51] not in said
