from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from alerts.candidates import covered
        from alerts.observe import usage_came
        from customers.watch import wanted_by
        from meters.observers import observe

        wanted_by(covered)
        observe(usage_came)
