"""Tells of alerts that have fired, through their channels, in the transaction in which they fire."""

from collections.abc import Sequence
from datetime import datetime

from alerts.mails import write_mails
from alerts.models import Alert, AlertTriggered
from webhooks.events import record_many

TYPE = "billing.alert.triggered"


def tell(fired: Sequence[AlertTriggered], *, at: datetime) -> None:
    """The event, which webhooks carry on, and the mails; the inbox of the admin is the rows themselves."""
    told = [row for row in fired if Alert.Channel.WEBHOOK in row.alert.channels]
    if told:
        record_many(TYPE, "billing.alert_triggered", told, at=at)
    write_mails([row for row in fired if Alert.Channel.EMAIL in row.alert.channels], at=at)
