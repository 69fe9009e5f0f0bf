from django.apps import AppConfig


class UsageImportsConfig(AppConfig):
    name = "usage_imports"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Metering"
