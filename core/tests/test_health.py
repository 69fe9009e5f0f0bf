import json
from datetime import timedelta

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import RequestFactory

from core import clock, health
from core.models import Heartbeat
from core.tasks import heartbeat
from core.views import healthz, readyz

NEVER = "no heartbeat yet"
GET = RequestFactory().get("/")


def checks(response):
    return json.loads(response.content)["checks"]


def test_healthz_needs_no_database():
    response = healthz(GET)
    assert (response.status_code, json.loads(response.content)) == (200, {"status": "ok"})


@pytest.mark.django_db
class TestReadyz:
    def test_waits_for_the_first_heartbeat(self):
        response = readyz(GET)
        assert response.status_code == 503
        assert checks(response) == {"database": "ok", "migrations": "ok", "worker": NEVER, "webhooks": NEVER}

    def test_is_ready_after_a_heartbeat(self):
        heartbeat()
        heartbeat()
        assert readyz(GET).status_code == 503
        Heartbeat.objects.create(name=health.DELIVERER, beat_at=clock.now())
        response = readyz(GET)
        assert response.status_code == 200
        assert set(checks(response).values()) == {"ok"}
        assert "no-store" in response["Cache-Control"]

    def test_names_an_old_heartbeat(self):
        Heartbeat.objects.create(name=health.WORKER, beat_at=clock.now() - timedelta(seconds=31))
        response = readyz(GET)
        assert response.status_code == 503
        assert checks(response)["worker"] == "last heartbeat 31 s ago"

    def test_names_missing_migrations(self):
        heartbeat()
        MigrationRecorder.Migration.objects.filter(app="core").delete()
        response = readyz(GET)
        assert response.status_code == 503
        assert checks(response)["migrations"].endswith("migrations are not applied")

    def test_refuses_a_post(self):
        assert readyz(RequestFactory().post("/")).status_code == 405
