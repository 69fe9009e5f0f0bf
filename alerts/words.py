"""Says what an alert and its firing mean, for people."""

from decimal import Decimal

from alerts.kinds import KINDS
from alerts.models import Alert, AlertTriggered
from core.money import format_minor, plain


def amount_of(alert: Alert, value: Decimal) -> str:
    """A value as the alert measures it."""
    kind = KINDS[alert.alert_type]
    if alert.is_percent:
        return f"{plain(value)} %"
    if kind.has_currency and alert.currency:
        return format_minor(int(value), alert.currency)
    shown = f"{value.normalize():,f}" if value else "0"
    return f"{shown} {kind.unit}".strip()


def subject_of(alert: Alert) -> str:
    """What it looks at."""
    of = f" of {alert.meter}" if alert.meter else ""
    which = "".join(f", {key} {value}" for key, value in alert.dimensions.items())
    return f"{KINDS[alert.alert_type].label}{of}{which}"


def condition_of(alert: Alert) -> str:
    """When it fires."""
    each = f", each {alert.group_by}" if alert.group_by else ""
    sign = "at most" if KINDS[alert.alert_type].falls else "at least"
    return f"{subject_of(alert)}{each}: {sign} {amount_of(alert, alert.threshold)}"


def customers_of(alert: Alert) -> str:
    """Whom it is about."""
    if alert.customer:
        return str(alert.customer)
    if alert.metadata_key:
        return f"Customers with {alert.metadata_key} = {alert.metadata_value}"
    return "All customers"


def sentence_of(row: AlertTriggered) -> str:
    """Why it fired, in one sentence."""
    alert = row.alert
    if row.is_test:
        return "This is a test: nothing has come to its threshold."
    group = f", {alert.group_by} {row.group}" if row.group else ""
    value, limit = amount_of(alert, row.value), amount_of(alert, row.threshold)
    return f"{subject_of(alert)}{group} {KINDS[alert.alert_type].verb} {value}; the threshold is {limit}."
