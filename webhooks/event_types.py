"""Which types of events there are: a closed list, against which endpoints are checked.

An app that records a new type enters it here. Some are recorded by nothing yet: receivers of Stripe's may ask for
them, and will get them when there is something to tell.
"""

_BY_AREA = {
    "billing.meter": "created updated deactivated reactivated",
    "billing.alert": "triggered",
    "billing.credit_grant": "created updated",
    "billing.credit_balance_transaction": "created",
    "customer": "created updated deleted",
    "customer.discount": "created updated deleted",
    "customer.subscription": "created updated deleted paused resumed trial_will_end pending_update_applied "
    "pending_update_expired",
    "subscription_schedule": "created updated canceled completed released aborted expiring",
    "invoice": "created updated finalized finalization_failed paid payment_succeeded payment_failed "
    "payment_action_required payment_attempt_required sent upcoming voided deleted marked_uncollectible overdue "
    "will_be_due overpaid",
    "invoice_payment": "paid",
    "invoiceitem": "created deleted",
    "credit_note": "created updated voided",
    "product": "created updated deleted",
    "price": "created updated deleted",
    "plan": "created updated deleted",
    "coupon": "created updated deleted",
    "promotion_code": "created updated",
    "tax_rate": "created updated",
    "test_helpers.test_clock": "created advancing ready internal_failure deleted",
    "billing_portal.session": "created",
    "billing_portal.configuration": "created updated",
}
SNAPSHOT_TYPES = tuple(f"{area}.{what}" for area, words in _BY_AREA.items() for what in words.split())
# Of these there is no snapshot.
ONLY_THIN = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
# Sent to one endpoint, when somebody asks for it.
PING = "v2.core.event_destination.ping"


def thin_name(type: str) -> str:
    """What a thin payload calls a snapshot event of `type`."""
    return f"v1.{type}"


THIN_TYPES = (*map(thin_name, SNAPSHOT_TYPES), *ONLY_THIN)
