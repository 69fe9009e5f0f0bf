"""What of the past of a customer no final invoice has billed yet: asked by `credits/unbilled.py`."""

from datetime import datetime

from invoices.models import Invoice
from subscriptions.models import ItemPeriod


def unbilled_until(customer_id: str, until: datetime) -> str:
    """In words, the first of what is still to be billed of the time until an instant; "" where all of it is final."""
    draft = (
        Invoice.objects.drafts()
        .filter(customer=customer_id, subscription__isnull=False, period_end__lte=until)
        .order_by("period_end", "pk")
        .first()
    )
    if draft is not None:
        return f"The draft {draft.pk} is not final."
    waiting = ItemPeriod.objects.unbilled().filter(item__subscription__customer=customer_id, bills_at__lte=until)
    subscription = waiting.order_by("bills_at").values_list("item__subscription", flat=True).first()
    return f"A period of {subscription} is not invoiced." if subscription else ""
