"""Writes the mails of alerts that have fired."""

from collections.abc import Sequence
from datetime import datetime

from django.template.loader import render_to_string

from alerts.models import AlertTriggered
from alerts.words import condition_of, sentence_of
from core.mail import operators, write_mail


def write_mails(fired: Sequence[AlertTriggered], *, at: datetime) -> None:
    """One for each, to the addresses of its alert, or to the operators where it has none. Sent after COMMIT."""
    for row in fired:
        shown = {"row": row, "alert": row.alert, "condition": condition_of(row.alert), "sentence": sentence_of(row)}
        subject = " ".join(render_to_string("alerts/triggered_subject.txt", shown).split())
        text = render_to_string("alerts/triggered.txt", shown)
        html = render_to_string("alerts/triggered.html", shown)
        write_mail(subject, text, to=row.alert.emails or operators(), at=at, html=html)
