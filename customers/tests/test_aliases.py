"""The names under which usage finds a customer: one set of them for all customers."""

from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from core.errors import InvalidRequest, NotFound
from customers.aliases import MOST_ALIASES, release_names, resolve, set_aliases, set_external_id, when_named
from customers.lifecycle import create_customer, delete_customer, update_customer
from customers.models import Customer, CustomerAlias
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db


def names(customer: Customer) -> tuple[str | None, list[str]]:
    fresh = Customer.objects.get(pk=customer.pk)
    return fresh.external_id, fresh.ingest_aliases


def refusal(call, *args, **kwargs) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        call(*args, **kwargs)
    return caught.value.message, caught.value.param


def test_each_name_and_the_id_lead_to_the_customer():
    clock = make.clock()
    ada, bob = make.customer(), make.customer(on=clock)
    set_external_id(ada.pk, "crm-1", at=JAN)
    set_aliases(ada.pk, ["acme", "acme-eu"], at=JAN)

    found = resolve([ada.pk, "crm-1", "acme-eu", bob.pk, "unknown", "cus_unknown"])

    assert found == dict.fromkeys((ada.pk, "crm-1", "acme-eu"), (ada.pk, ada.ref, None, False)) | {
        bob.pk: (bob.pk, bob.ref, JAN, False)
    }


def test_names_are_resolved_by_one_query(django_assert_num_queries):
    ada = make.customer()
    set_aliases(ada.pk, ["acme"], at=JAN)
    with django_assert_num_queries(1):
        assert resolve(["acme", ada.pk]).keys() == {"acme", ada.pk}
    with django_assert_num_queries(1):
        assert resolve([]) == {}


def test_a_new_set_replaces_the_old_one_and_leaves_the_external_id():
    ada = make.customer()
    set_external_id(ada.pk, "crm-1", at=JAN)
    set_aliases(ada.pk, ["b", "a", "b"], at=JAN)
    kept = CustomerAlias.objects.get(pk="b").created_at

    set_aliases(ada.pk, ["c", "b"], at=JAN)
    assert names(ada) == ("crm-1", ["b", "c"])
    assert CustomerAlias.objects.get(pk="b").created_at == kept
    set_aliases(ada.pk, [], at=JAN)
    set_external_id(ada.pk, "crm-2", at=JAN)
    assert names(ada) == ("crm-2", [])
    set_external_id(ada.pk, None, at=JAN)
    assert not CustomerAlias.objects.exists()


def test_a_name_can_turn_from_one_kind_into_the_other_in_one_change():
    ada = make.customer(external_id="x", ingest_aliases=["y"])
    update_customer(ada.pk, changes={"external_id": "y", "ingest_aliases": ["x"]}, at=JAN)
    assert names(ada) == ("y", ["x"])
    message, param = refusal(set_external_id, ada.pk, "x", at=JAN)
    assert ("both the external id and an alias" in message, param) == (True, "external_id")
    assert refusal(set_aliases, ada.pk, ["y"], at=JAN)[1] == "ingest_aliases"


@pytest.mark.parametrize("bad", ["", "  ", "x" * 129, "cus_1", "a\x00", "\ud800"])
def test_what_is_no_name_is_refused(bad):
    ada = make.customer()
    assert refusal(set_aliases, ada.pk, ["fine", bad], at=JAN)[1] == "ingest_aliases[1]"
    if bad:
        assert refusal(set_external_id, ada.pk, bad, at=JAN)[1] == "external_id"
    assert names(ada) == (None, [])


def test_there_is_a_limit():
    ada = make.customer()
    set_aliases(ada.pk, [f"a-{n}" for n in range(MOST_ALIASES)], at=JAN)
    message, param = refusal(set_aliases, ada.pk, [f"a-{n}" for n in range(MOST_ALIASES + 1)], at=JAN)
    assert (message, param) == ("A customer can have at most 2,000 aliases.", "ingest_aliases")


def test_a_name_belongs_to_one_customer():
    ada = make.customer(external_id="acme")
    bob = make.customer()
    taken = f"'acme' already belongs to another customer: {ada.pk}."
    assert refusal(set_aliases, bob.pk, ["new", "acme"], at=JAN) == (taken, "ingest_aliases")
    assert refusal(set_external_id, bob.pk, "acme", at=JAN) == (taken, "external_id")
    assert refusal(create_customer, at=JAN, external_id="acme") == (taken, "external_id")
    assert names(bob) == (None, [])
    assert Customer.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        CustomerAlias.objects.create(alias="second", customer=ada, is_external_id=True)


def test_a_deleted_customer_keeps_its_names_until_they_are_released():
    ada, bob = make.customer(ingest_aliases=["acme"]), make.customer()
    delete_customer(ada.pk, at=JAN)

    assert resolve(["acme", ada.pk]) == {}
    assert refusal(set_aliases, bob.pk, ["acme"], at=JAN)[0].endswith(f"another customer: {ada.pk}, which is deleted.")
    with pytest.raises(NotFound):
        set_aliases(ada.pk, [], at=JAN)
    release_names(ada.pk)
    release_names(ada.pk)
    set_aliases(bob.pk, ["acme"], at=JAN)
    assert resolve(["acme"])["acme"].id == bob.pk


def test_nobody_has_no_names():
    for call in (
        lambda: set_aliases("cus_x", [], at=JAN),
        lambda: set_external_id("cus_x", "a", at=JAN),
        lambda: release_names("cus_x"),
    ):
        with pytest.raises(NotFound):
            call()


def test_apps_above_hear_of_new_names_after_commit(django_capture_on_commit_callbacks, monkeypatch):
    heard: list[list[str]] = []
    monkeypatch.setattr("customers.aliases._when_named", [])
    when_named(lambda texts: heard.append(list(texts)))
    with django_capture_on_commit_callbacks(execute=True):
        ada = make.customer(external_id="x")
    with django_capture_on_commit_callbacks(execute=True):
        set_aliases(ada.pk, ["b", "a"], at=JAN)
    with django_capture_on_commit_callbacks(execute=True):
        set_aliases(ada.pk, ["b", "a"], at=JAN)
        set_external_id(ada.pk, "x", at=JAN)
    assert heard == [["x"], ["a", "b"]]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_want_a_name_at_once_one_gets_it():
    customers = [make.customer() for _ in range(4)]
    barrier, said = Barrier(len(customers)), []

    def want(customer: Customer, texts: list[str]) -> None:
        barrier.wait()
        try:
            set_aliases(customer.pk, texts, at=JAN)
            said.append(customer.pk)
        except InvalidRequest:
            pass
        finally:
            connection.close()

    texts = [f"n-{n}" for n in range(50)]
    threads = [
        Thread(target=want, args=(customer, texts if n % 2 else texts[::-1])) for n, customer in enumerate(customers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(said) == 1
    assert list(CustomerAlias.objects.values_list("customer_id", flat=True).distinct()) == said
    assert CustomerAlias.objects.count() == 50
