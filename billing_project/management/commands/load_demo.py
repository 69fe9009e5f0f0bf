from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing_project.demo import load_demo
from core import clock


class Command(BaseCommand):
    help = "Load three invented companies with two months of usage; does nothing where there are customers."

    def handle(self, **options: Any) -> None:
        if settings.LIVEMODE:
            raise CommandError("Demo data are for test mode only.")
        loaded = load_demo(clock.now())
        self.stdout.write("Demo data loaded." if loaded else "There are customers already: no demo data loaded.")
