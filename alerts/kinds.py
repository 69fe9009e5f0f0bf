"""The kinds of alerts; each is one entry."""

from alerts import usage_kinds
from alerts.asks import Kind

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "usage_threshold",
            "Usage of a meter",
            "All usage of the customer since ever, or that of the open period.",
            usage_kinds.ask_usage,
            usage_kinds.read_usage,
            has_meter=True,
        ),
        Kind(
            "usage_growth",
            "Usage beyond what is usual",
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
        ),
    )
}
