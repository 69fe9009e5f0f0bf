from django.apps import AppConfig


class MetersConfig(AppConfig):
    name = "meters"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers.aliases import when_named
        from meters.tasks import claim_for

        when_named(claim_for)
