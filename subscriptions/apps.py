from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import timeline
        from customers.lifecycle import before_delete
        from customers.test_clocks import limit_advance
        from subscriptions.cancel import cancel_all
        from subscriptions.clock import furthest_advance
        from subscriptions.pause_collection import RESUME
        from subscriptions.reminders import REMINDERS
        from subscriptions.schedule_end import cancel_schedules
        from subscriptions.schedule_run import ADVANCE

        before_delete(cancel_schedules)
        before_delete(cancel_all)
        timeline.register(ADVANCE)
        limit_advance(furthest_advance)
        timeline.register(RESUME)
        for reminder in REMINDERS:
            timeline.register(reminder.work)
