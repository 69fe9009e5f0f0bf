from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from core import secrecy
from webhooks.models import SigningSecret


class Command(BaseCommand):
    help = "Seal every secret with the first of SECRETS_KEYS; afterwards the others may be forgotten."

    def handle(self, **options: Any) -> None:
        with transaction.atomic():
            rows = list(SigningSecret.objects.select_for_update())
            old = [row for row in rows if not secrecy.is_current(row.sealed)]
            for row in old:
                row.sealed = secrecy.seal(secrecy.unseal(row.sealed))
                row.save(update_fields=["sealed"])
        self.stdout.write(f"Sealed anew: {len(old)} of {len(rows)} secrets.")
