from django.apps import AppConfig


class BillingProjectConfig(AppConfig):
    """The project itself, an app so that its commands and its admin site are found."""

    name = "billing_project"
    label = "billing_project"
