from django.apps import AppConfig


class InvoicesConfig(AppConfig):
    name = "invoices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import timeline
        from credits import consumers
        from invoices import due, late_usage, pending_interval, thresholds
        from invoices.biller import InvoiceBiller
        from invoices.consumers import InvoiceConsumers
        from invoices.overdue import OVERDUE
        from invoices.reminders import REMINDERS
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
        for reminder in REMINDERS:
            timeline.register(reminder.work)
