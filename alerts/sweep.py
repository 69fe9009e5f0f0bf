"""Evaluates alerts that usage alone does not wake: what was marked, what time has brought, whose snooze is over."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Max, QuerySet

from alerts.candidates import covered_by, kinds_where, pairs_of
from alerts.evaluate import evaluate
from alerts.models import Alert
from core.sweep import database_is_gone
from customers import watch
from customers.models import Watch, WatchMark

BATCH = 500
log = logging.getLogger(__name__)


def evaluate_marked(at: datetime) -> int:
    """Evaluate the customers that are marked; returns how many marks were dealt with.

    Safe to run many times and at once: a mark goes in the transaction that evaluates it. One customer whose alerts
    cannot be evaluated keeps its marks and stops no other.
    """
    wake_snoozed(at)
    done, left = 0, set[int]()
    newest = WatchMark.objects.aggregate(newest=Max("pk"))["newest"] or 0
    rows = WatchMark.objects.filter(pk__lte=newest).order_by("pk")
    while marks := list(rows.exclude(pk__in=left)[:BATCH]):
        failed = _each_or_all(sorted({mark.customer_ref for mark in marks}), lambda refs: _carry_out(refs, at))
        left |= {mark.pk for mark in marks if mark.customer_ref in failed}
        done += sum(mark.customer_ref not in failed for mark in marks)
    return done


def evaluate_timed(at: datetime) -> None:
    """Evaluate what may have come about without anything having happened."""
    kinds = kinds_where(by_time=True)
    for refs in _shares(Alert.objects.on_duty(at).filter(alert_type__in=kinds)):
        _each_or_all(refs, lambda some: _evaluate(some, at, kinds))


def wake_snoozed(at: datetime) -> None:
    """Evaluate the alerts whose snooze is over: what stands over its threshold then fires."""
    for alert in Alert.objects.over_snoozed(at):
        act = partial(_evaluate, at=at, kinds=[alert.alert_type], only=alert)
        failed = [_each_or_all(refs, act) for refs in _shares(Alert.objects.filter(pk=alert.pk))]
        if not any(failed):
            Alert.objects.over_snoozed(at).filter(pk=alert.pk).update(snoozed_until=None)


def _carry_out(refs: Sequence[int], at: datetime) -> None:
    """Deal with all marks of some customers; the first that comes takes them."""
    with transaction.atomic():
        watched = watch.lock(refs)
        marks = list(WatchMark.objects.filter(customer_ref__in=refs))
        _evaluate_locked(watched & {mark.customer_ref for mark in marks}, at, kinds_where(by_balance=True))
        of_usage = {mark.customer_ref for mark in marks if mark.of_usage}
        _evaluate_locked(watched & of_usage, at, kinds_where(by_usage=True))
        WatchMark.objects.filter(pk__in=[mark.pk for mark in marks]).delete()


def _evaluate(refs: Collection[int], at: datetime, kinds: Collection[str], only: Alert | None = None) -> None:
    with transaction.atomic():
        _evaluate_locked(watch.lock(refs), at, kinds, only)


def _evaluate_locked(refs: Collection[int], at: datetime, kinds: Collection[str], only: Alert | None = None) -> None:
    if refs and kinds:
        evaluate(pairs_of(refs, at, kinds=kinds, only=only), at)


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


def _shares(alerts: QuerySet[Alert]) -> Iterator[list[int]]:
    """The watched customers whom any of these alerts is about, in the order of their numbers."""
    last = 0
    rows = Watch.objects.filter(customer__in=covered_by(alerts).order_by().values("pk")).order_by("pk")
    while refs := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        yield refs
        last = refs[-1]
