"""Evaluates alerts that usage alone does not wake: what was marked, what time has brought, whose snooze is over."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from django.db import transaction

from alerts.candidates import covered_by, kinds_where, pairs_of
from alerts.evaluate import evaluate
from alerts.models import Alert
from core.sweep import database_is_gone
from customers import watch
from customers.models import Watch, WatchMark

BATCH = 500
log = logging.getLogger(__name__)


def evaluate_marked(at: datetime) -> int:
    """Evaluate the customers that were marked by `at`; returns how many marks were dealt with.

    Safe to run many times and at once: a mark goes in the transaction that evaluates it. One customer whose alerts
    cannot be evaluated keeps its marks and stops no other.
    """
    wake_snoozed(at)
    done, left = 0, set[int]()
    while marks := list(WatchMark.objects.filter(marked_at__lte=at).exclude(pk__in=left).order_by("pk")[:BATCH]):
        failed = _each_or_all(sorted({mark.customer_ref for mark in marks}), lambda refs: _carry_out(refs, at))
        left |= {mark.pk for mark in marks if mark.customer_ref in failed}
        done += sum(mark.customer_ref not in failed for mark in marks)
    return done


def evaluate_timed(at: datetime) -> None:
    """Evaluate, of every watched customer, what may have come about without anything having happened."""
    kinds = kinds_where(by_time=True)
    for refs in _shares(kinds):
        _each_or_all(refs, lambda some: _evaluate(some, at, kinds))


def wake_snoozed(at: datetime) -> None:
    """Mark the customers of alerts whose snooze is over: what stands over its threshold then fires."""
    for alert in Alert.objects.over_snoozed(at):
        with transaction.atomic():
            if not Alert.objects.over_snoozed(at).filter(pk=alert.pk).update(snoozed_until=None):
                continue
            watched = Watch.objects.filter(
                customer__in=covered_by(Alert.objects.filter(pk=alert.pk)).order_by().values("pk")
            )
            watch.mark(list(watched.values_list("pk", flat=True)), at=at, of_usage=True)


def _carry_out(refs: Sequence[int], at: datetime) -> None:
    """Deal with all marks of some customers; the first that comes takes them."""
    with transaction.atomic():
        watched = watch.lock(refs)
        marks = list(WatchMark.objects.filter(customer_ref__in=refs, marked_at__lte=at))
        of_usage = {mark.customer_ref: mark.marked_at for mark in marks if mark.of_usage}
        _evaluate_locked(watched & {mark.customer_ref for mark in marks}, at, kinds_where(by_balance=True))
        if usage := watched & of_usage.keys():
            _evaluate_locked(usage, at, kinds_where(by_usage=True), since=max(of_usage.values()))
        WatchMark.objects.filter(pk__in=[mark.pk for mark in marks]).delete()


def _evaluate(refs: Collection[int], at: datetime, kinds: Collection[str]) -> None:
    with transaction.atomic():
        _evaluate_locked(watch.lock(refs), at, kinds)


def _evaluate_locked(
    refs: Collection[int], at: datetime, kinds: Collection[str], since: datetime | None = None
) -> None:
    if refs and kinds:
        evaluate(pairs_of(refs, at, kinds=kinds, since=since), at)


def _each_or_all(refs: Sequence[int], act: Callable[[Sequence[int]], None]) -> set[int]:
    """Act for all together; where that fails for each by itself. Those for which it failed."""
    try:
        act(refs)
    except Exception:
        if database_is_gone():
            raise
        if len(refs) == 1:
            log.exception("alerts of customer %s could not be evaluated", refs[0])
            return set(refs)
        return set().union(*(_each_or_all([ref], act) for ref in refs))
    return set()


def _shares(kinds: Collection[str]) -> Iterator[list[int]]:
    """The watched customers, in the order of their numbers, while any alert is of these kinds."""
    last = 0
    while Alert.objects.active().filter(alert_type__in=kinds).exists():
        refs = list(Watch.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not refs:
            return
        yield refs
        last = refs[-1]
