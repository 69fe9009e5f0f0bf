"""Writes the mails of alerts that have fired."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.template.loader import render_to_string

from alerts.models import AlertTriggered
from alerts.words import condition_of, sentence_of
from core.mail import operators, write_mail

MOST_SHOWN = 50  # customers in one mail


def write_mails(fired: Sequence[AlertTriggered], *, at: datetime) -> None:
    """One for each alert, about all for whom it fired, to its addresses, or to the operators where it has none."""
    by_alert: dict[str, list[AlertTriggered]] = defaultdict(list)
    for row in fired:
        by_alert[row.alert_id].append(row)
    for rows in by_alert.values():
        _write(rows, at)


def _write(rows: Sequence[AlertTriggered], at: datetime) -> None:
    alert = rows[0].alert
    shown = {
        "rows": [(row, sentence_of(row)) for row in rows[:MOST_SHOWN]],
        "more": max(0, len(rows) - MOST_SHOWN),
        "number": len(rows),
        "alert": alert,
        "condition": condition_of(alert),
    }
    subject = render_to_string("alerts/triggered_subject.txt", shown)
    text = render_to_string("alerts/triggered.txt", shown)
    html = render_to_string("alerts/triggered.html", shown)
    write_mail(subject, text, to=alert.emails or operators(), at=at, html=html)
