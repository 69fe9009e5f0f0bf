"""The kinds of alerts; each is one entry."""

from alerts import money_kinds, usage_kinds
from alerts.asks import Kind

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "usage_threshold",
            "Usage",
            "All usage of the customer since ever, or that of the open period.",
            usage_kinds.ask_usage,
            usage_kinds.read_usage,
            has_meter=True,
        ),
        Kind(
            "spend_threshold",
            "Spend of the open period",
            "What the usage of the running periods comes to, after discounts, before credits and taxes.",
            money_kinds.ask_money,
            money_kinds.read_spend,
            by_balance=True,
            has_currency=True,
        ),
        Kind(
            "credit_balance_threshold",
            "Balance of credit",
            "What is left of the customer's credit with the usage so far taken off, or how much of it in percent.",
            money_kinds.ask_money,
            money_kinds.read_credit,
            by_balance=True,
            falls=True,
            has_currency=True,
            verb="fell to",
        ),
        Kind(
            "invoice_total_threshold",
            "Total of the coming invoice",
            "What the next invoice of a subscription would be now, with discounts and taxes.",
            money_kinds.ask_money,
            money_kinds.read_invoice_total,
            by_balance=True,
            has_currency=True,
        ),
        Kind(
            "usage_growth",
            "Growth of usage",
            "The usage of today (UTC) so far, in percent of a mean day of the days before.",
            usage_kinds.ask_growth,
            usage_kinds.read_growth,
            has_meter=True,
            unit="%",
        ),
        Kind(
            "no_usage",
            "No usage",
            "Hours since the customer's last usage of a meter.",
            usage_kinds.ask_silence,
            usage_kinds.read_silence,
            by_usage=False,
            by_time=True,
            has_meter=True,
            unit="hours",
            verb="for",
        ),
    )
}
