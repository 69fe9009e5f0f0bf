from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from alerts.candidates import covered
        from alerts.observe import something_happened, usage_came
        from customers.watch import wanted_by
        from meters.observers import observe
        from webhooks.events import when_recorded

        wanted_by(covered)
        observe(usage_came)
        when_recorded(something_happened)
