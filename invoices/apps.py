from django.apps import AppConfig


class InvoicesConfig(AppConfig):
    name = "invoices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import timeline
        from credits import consumers
        from customers.lifecycle import before_delete
        from invoices import due, late_usage, pending_interval, thresholds
        from invoices.auto_top_ups import delete_all
        from invoices.biller import InvoiceBiller
        from invoices.consumers import InvoiceConsumers
        from invoices.overdue import OVERDUE
        from invoices.reminders import REMINDERS
        from invoices.top_ups import TOP_UPS
        from subscriptions.biller import use

        use(InvoiceBiller())
        consumers.use(InvoiceConsumers())
        timeline.register(due.FINALIZE)
        timeline.register(due.CLOSE)
        timeline.register(pending_interval.PENDING)
        timeline.register(thresholds.THRESHOLDS)
        timeline.register(late_usage.CORRECT)
        timeline.register(late_usage.LEFT_OVER)
        timeline.register(OVERDUE)
        timeline.register(TOP_UPS)
        for reminder in REMINDERS:
            timeline.register(reminder.work)
        before_delete(delete_all)
