"""Whom and what the words of a search for events mean: a customer by any of its names, or one event."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from core.sql import TookTooLong, time_limit
from customers.models import Customer
from meters.models import QuarantinedEvent

MILLISECONDS = 1000
MOST_CUSTOMERS = 1000  # words that fit more customers than this are of no use
MOST_NAMES = 50


@dataclass(frozen=True)
class HeldName:
    """Events held in the quarantine under one text: an identifier, or a name that they give their customer."""

    text: str
    count: int


def customers_like(words: str) -> list[Customer]:
    """By id, external id, alias or email; where nobody has that to the letter, by the email or a part of the name."""
    exactly = list(
        Customer.objects.filter(Q(pk=words) | Q(aliases__alias=words) | Q(email=words)).distinct()[:MOST_CUSTOMERS]
    )
    if exactly:
        return exactly
    try:
        with time_limit(MILLISECONDS):
            fits = Q(email__iexact=words) | Q(name__icontains=words)
            return list(Customer.objects.filter(fits)[:MOST_CUSTOMERS])
    except TookTooLong:
        return []


def held_like(words: str, customers: Sequence[Customer]) -> list[HeldName]:
    """What is held under the words themselves, and under the names of a few customers."""
    names = {words}
    for customer in customers[:MOST_NAMES]:
        names |= {customer.pk, *customer.aliases.values_list("alias", flat=True)[:MOST_NAMES]}
    held = QuarantinedEvent.objects.held().order_by()
    found = dict(
        held.filter(customer_text__in=names)
        .values("customer_text")
        .annotate(n=Count("pk"))
        .values_list("customer_text", "n")
    )
    if by_identifier := held.filter(identifier=words).exclude(customer_text=words).count():
        found[words] = found.get(words, 0) + by_identifier
    return [HeldName(text, count) for text, count in sorted(found.items())]
