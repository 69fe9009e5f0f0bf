"""The names under which usage finds a customer: its id, its external id, its ingest aliases."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet

from core.errors import InvalidRequest, NotFound
from customers.locks import lock_customer
from customers.models import Customer, CustomerAlias
from webhooks.events import telling

MOST_ALIASES = 2000
LONGEST = 128
NAMES = ("external_id", "ingest_aliases")  # what a change may say of them

# Two arms, each led by the index of its key: one join over both would read all customers.
RESOLVE = """
SELECT customer.id AS text, customer.id, customer.ref, clock.frozen_time, watch.customer_ref IS NOT NULL
FROM customers_customer AS customer LEFT JOIN customers_testclock AS clock ON clock.id = customer.test_clock_id
LEFT JOIN customers_watch AS watch ON watch.customer_ref = customer.ref
WHERE customer.id = ANY(%(texts)s) AND customer.deleted_at IS NULL
UNION ALL
SELECT known.alias, customer.id, customer.ref, clock.frozen_time, watch.customer_ref IS NOT NULL
FROM customers_customeralias AS known JOIN customers_customer AS customer ON customer.id = known.customer_id
LEFT JOIN customers_testclock AS clock ON clock.id = customer.test_clock_id
LEFT JOIN customers_watch AS watch ON watch.customer_ref = customer.ref
WHERE known.alias = ANY(%(texts)s) AND customer.deleted_at IS NULL
"""

WhenNamed = Callable[[Sequence[str]], None]
_when_named: list[WhenNamed] = []


class Owner(NamedTuple):
    """The customer that a name stands for; `frozen_time` if it lives on a test clock. `is_watched`: its usage is
    evaluated as it comes (`customers/watch.py`)."""

    id: str
    ref: int
    frozen_time: datetime | None
    is_watched: bool = False


def when_named(act: WhenNamed) -> None:
    """Let an upper app know of texts that now name a customer, after COMMIT; called from `AppConfig.ready`."""
    _when_named.append(act)


def resolve(texts: Collection[str]) -> dict[str, Owner]:
    """Whom each text names: an id, an external id or an alias. Deleted customers are not found. One query."""
    # One array and no rows of models: there may be a thousand of them.
    with connection.cursor() as cursor:
        cursor.execute(RESOLVE, {"texts": list(texts)})
        return {text: Owner(*found) for text, *found in cursor.fetchall()}


def live_names() -> tuple[QuerySet[Any], QuerySet[Any]]:
    """All texts that `resolve` finds somebody for, as two subqueries: ids and other names."""
    others = CustomerAlias.objects.filter(customer__deleted_at=None)
    return Customer.objects.live().order_by().values("pk"), others.values("pk")


def set_external_id(customer_id: str, external_id: str | None, *, at: datetime) -> Customer:
    """Give the customer the id that the user's own systems have for it, or none.

    Raises NotFound, InvalidRequest (malformed, or another customer's). Locks the customer.
    """
    return _named(customer_id, {"external_id": external_id}, at)


def set_aliases(customer_id: str, aliases: Sequence[str], *, at: datetime) -> Customer:
    """Make these, and no others, the customer's ingest aliases. What has been counted under one stays where it is.

    Raises NotFound, InvalidRequest (malformed, too many, or another customer's). Locks the customer.
    """
    return _named(customer_id, {"ingest_aliases": aliases}, at)


def release_names(customer_id: str) -> Customer:
    """Free all names of a customer for others; the one change that a deleted customer can still have.

    Raises NotFound. Locks the customer.
    """
    with transaction.atomic():
        customer = lock_customer(customer_id)
        customer.aliases.all().delete()
        return customer


def write_names(customer: Customer, changes: Mapping[str, Any]) -> None:
    """Carry out what `changes` say of `NAMES`, for a customer that the caller has locked or just made.

    Raises InvalidRequest.
    """
    before = dict(customer.aliases.values_list("alias", "is_external_id"))
    wanted = _wanted(before, changes)
    customer.aliases.filter(pk__in=[alias for alias, _ in before.items() - wanted.items()]).delete()
    # In one order for all, or two customers that ask for the same names would wait for each other.
    new = sorted(wanted.items() - before.items())
    rows = [CustomerAlias(alias=alias, customer=customer, is_external_id=external) for alias, external in new]
    CustomerAlias.objects.bulk_create(rows, ignore_conflicts=True)
    _refuse_taken(customer, [alias for alias, _ in new], changes)
    getattr(customer, "_prefetched_objects_cache", {}).pop("aliases", None)
    if texts := [alias for alias, _ in new if alias not in before]:
        transaction.on_commit(lambda: _tell(texts), robust=True)


def _named(customer_id: str, changes: Mapping[str, Any], at: datetime) -> Customer:
    with transaction.atomic():
        customer = lock_customer(customer_id)
        if customer.deleted_at:
            raise NotFound("customer", customer_id)
        with telling("customer.updated", "customer", [customer_id], at=customer.now(at)):
            write_names(customer, changes)
        return customer


def _wanted(before: Mapping[str, bool], changes: Mapping[str, Any]) -> dict[str, bool]:
    """All names the customer is to have, and which of them is the external id."""
    external = next((alias for alias, is_external in before.items() if is_external), None)
    aliases = [alias for alias, is_external in before.items() if not is_external]
    if "external_id" in changes:
        external = changes["external_id"] or None
        if external:
            _check(external, "external_id")
    if "ingest_aliases" in changes:
        aliases = list(dict.fromkeys(changes["ingest_aliases"] or []))
        for number, alias in enumerate(aliases):
            _check(alias, f"ingest_aliases[{number}]")
    if len(aliases) > MOST_ALIASES:
        raise InvalidRequest(f"A customer can have at most {MOST_ALIASES:,} aliases.", param="ingest_aliases")
    if external in aliases:
        raise InvalidRequest(
            f"'{external}' is to be both the external id and an alias; one of them is enough.",
            param="ingest_aliases" if "ingest_aliases" in changes else "external_id",
        )
    return dict.fromkeys(aliases, False) | ({external: True} if external else {})


def _check(alias: str, param: str) -> None:
    if not alias.strip() or len(alias) > LONGEST:
        raise InvalidRequest(f"A name of a customer has 1 to {LONGEST} characters.", param=param)
    if alias.startswith("cus_"):
        raise InvalidRequest("A name that begins with 'cus_' could be the id of a customer.", param=param)
    if "\x00" in alias or any("\ud800" <= character <= "\udfff" for character in alias):
        raise InvalidRequest("The name has characters that are none.", param=param)


def _refuse_taken(customer: Customer, texts: Sequence[str], changes: Mapping[str, Any]) -> None:
    taken = CustomerAlias.objects.filter(pk__in=texts).exclude(customer=customer).select_related("customer").first()
    if taken is None:
        return
    owner = f"{taken.customer_id}, which is deleted" if taken.customer.deleted_at else taken.customer_id
    is_external = taken.alias == changes.get("external_id")
    raise InvalidRequest(
        f"'{taken.alias}' already belongs to another customer: {owner}.",
        param="external_id" if is_external else "ingest_aliases",
    )


def _tell(texts: Sequence[str]) -> None:
    for act in _when_named:
        act(texts)
