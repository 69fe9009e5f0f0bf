from django.apps import AppConfig


class CreditsConfig(AppConfig):
    name = "credits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import timeline
        from credits.due import EXPIRE, EXPIRE_HOLDS, RECUR, SETTLE
        from credits.recurring import cancel_all
        from customers.lifecycle import before_delete

        before_delete(cancel_all)
        timeline.register(EXPIRE)
        timeline.register(EXPIRE_HOLDS)
        timeline.register(RECUR)
        timeline.register(SETTLE)
