"""Mail in the admin: what was sent, and what is still to be."""

from django.contrib import admin
from unfold.decorators import display

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.models import OutgoingMail

LABELS = {"Sent": "success", "Waiting": "info", "Given up": "danger"}


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    empty_list = "Mail that tells people of alerts, and of what is wrong here, is listed here."
    search_fields = ("subject", "to", "message_id")
    search_help_text = "Search by subject or receiver"
    list_display = ("created_at", "subject", "receivers", "standing", "attempts")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), ("created_at", DayRangeFilter))
    fields = ("subject", "receivers", "standing", "problem", "attempts", "next_attempt_at", "sent_at", "text")
    readonly_fields = fields

    @display(description="To")
    def receivers(self, row: OutgoingMail) -> str:
        return ", ".join(row.to)

    @display(description="Status", label=LABELS)
    def standing(self, row: OutgoingMail) -> str:
        if row.sent_at:
            return "Sent"
        return "Waiting" if row.next_attempt_at else "Given up"
