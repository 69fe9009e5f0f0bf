"""Imports in the admin: begun, sent in chunks, watched, downloaded, canceled; by whom it is allowed."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests import make
from usage_imports import uploads
from usage_imports.models import UsageImport
from usage_imports.process import carry_on
from usage_imports.tests.files import DAY, NOW, csv_file, finish, upload
from usage_imports.uploads import FileSpec

pytestmark = pytest.mark.django_db

LIST = "/admin/usage_imports/usageimport/"
ADD, BEGIN = f"{LIST}add/", f"{LIST}begin/"
FILE = {"file_name": "usage.csv", "size": 6, "fingerprint": "6-1-abc"}


def page(usage_import: UsageImport) -> str:
    return reverse("admin:usage_imports_usageimport_change", args=[usage_import.pk])


def send(client: Client, address: str, offset: Any, data: bytes) -> Any:
    return client.post(f"{address}?offset={offset}", data, content_type="application/octet-stream")


def test_a_browser_uploads_in_chunks_and_goes_on_after_a_reload(admin_client: Client, admin_user: User) -> None:
    begun = admin_client.post(BEGIN, FILE | {"dry_run": "on"}).json()
    assert begun["offset"] == 0
    assert send(admin_client, begun["content"], 0, b"abcd").json() == {"offset": 4}
    assert "stands at 66 %" in admin_client.get(ADD).content.decode()

    again = admin_client.post(BEGIN, FILE | {"dry_run": "on"}).json()
    assert again == begun | {"offset": 4}
    assert send(admin_client, begun["content"], 0, b"abcd").json() == {"offset": 4}  # the answer had been lost
    assert send(admin_client, begun["content"], 4, b"ef").json() == {"offset": 6}

    usage_import = UsageImport.objects.get()
    assert (usage_import.status, usage_import.user, usage_import.dry_run) == ("pending", admin_user, True)
    assert begun["page"] == page(usage_import)
    assert admin_client.get(page(usage_import)).status_code == 200


@pytest.mark.parametrize("other", [{"fingerprint": "x"}, {"size": 7}, {"file_name": "b.csv"}, {"dry_run": "on"}])
def test_another_file_is_another_upload(admin_client: Client, other: dict[str, Any]) -> None:
    first = admin_client.post(BEGIN, FILE).json()
    send(admin_client, first["content"], 0, b"abcd")

    assert admin_client.post(BEGIN, FILE | other).json()["offset"] == 0
    assert UsageImport.objects.count() == 2


def test_what_is_refused_is_said_in_words(admin_client: Client) -> None:
    answer = admin_client.post(BEGIN, FILE | {"file_name": "usage.xlsx"})
    assert (answer.status_code, "does not tell the format" in answer.json()["error"]["message"]) == (400, True)
    assert admin_client.post(BEGIN, {}).status_code == 400
    begun = admin_client.post(BEGIN, FILE).json()
    for offset in ("", "x", "9" * 30, "-1"):
        assert send(admin_client, begun["content"], offset, b"a").status_code == 400
    assert send(admin_client, begun["content"], 0, b"1234567").status_code == 400
    assert send(admin_client, begun["content"].replace("uimp_", "uimp_x"), 0, b"a").status_code == 404


def test_an_empty_file_is_complete_at_once(admin_client: Client) -> None:
    admin_client.post(BEGIN, FILE | {"size": 0})

    assert UsageImport.objects.get().status == "pending"


def test_progress_is_shown_while_it_goes_on(admin_client: Client) -> None:
    make.meter()
    data = csv_file([(DAY, "tokens", make.customer().pk, 1)])
    begun = upload(data, dry_run=True)
    progress = reverse("admin:usage_imports_progress", args=[begun.pk])
    assert f'data-url="{progress}"' in admin_client.get(page(begun)).content.decode()
    assert "data-open" in admin_client.get(progress).content.decode()

    finish(begun)

    told = admin_client.get(progress).content.decode()
    assert "data-open" not in told
    assert "Would be stored" in told
    assert "data-url" not in admin_client.get(page(begun)).content.decode()


def test_the_first_refused_rows_and_all_of_them_as_a_file(admin_client: Client) -> None:
    done = finish(upload(csv_file((DAY, "<b>no</b>", "x", number) for number in range(25))))

    shown = admin_client.get(page(done)).content.decode()
    assert shown.count('data-label="As sent"') == 20
    assert "&lt;b&gt;no&lt;/b&gt;" in shown
    assert "<b>no</b>" not in shown
    answer = admin_client.get(reverse("admin:usage_imports_errors", args=[done.pk]))
    assert answer["Content-Disposition"] == f'attachment; filename="{done.pk}-errors.csv"'
    assert len(b"".join(answer.streaming_content).splitlines()) == 26


def test_why_it_failed_is_shown(admin_client: Client) -> None:
    done = finish(upload(b"amount\n"))

    shown = admin_client.get(page(done)).content.decode()
    assert "Unknown column &#x27;amount&#x27;" in shown


def test_the_button_cancels(admin_client: Client) -> None:
    begun = upload(b"amount\n")

    admin_client.post(reverse("admin:usage_imports_usageimport_press", args=[begun.pk, "cancel"]))

    begun.refresh_from_db()
    assert begun.status == "canceled"
    assert carry_on(begun.pk) is None


def test_who_may_only_look_can_only_look(client: Client) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_usageimport"))
    client.force_login(clerk)
    begun = upload(b"amount\n")

    assert client.get(LIST).status_code == client.get(page(begun)).status_code == 200
    assert client.get(ADD).status_code == client.post(BEGIN, FILE).status_code == 403
    assert send(client, reverse("admin:usage_imports_content", args=[begun.pk]), 0, b"a").status_code == 403


def test_nobody_adds_to_the_upload_of_another(admin_client: Client) -> None:
    begun = uploads.begin(FileSpec("usage.csv"), at=NOW, user=User.objects.create_user("other"))

    assert send(admin_client, reverse("admin:usage_imports_content", args=[begun.pk]), 0, b"a").status_code == 404


def test_strangers_and_forged_requests_are_sent_away(admin_user: User) -> None:
    assert Client().post(BEGIN, FILE).status_code == 302
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(admin_user)
    assert careful.post(BEGIN, FILE).status_code == 403
    assert send(careful, f"{LIST}uimp_x/content/", 0, b"a").status_code == 403
    token = careful.get(ADD).cookies["csrftoken"].value
    assert careful.post(BEGIN, FILE, headers={"X-CSRFToken": token}).status_code == 200
