import signal
from typing import Any

from django.core.management.base import BaseCommand

from webhooks.deliverer import Deliverer


class Command(BaseCommand):
    help = "Deliver webhooks, and send mail, until SIGTERM. Any number of these may run."

    def handle(self, **options: Any) -> None:
        deliverer = Deliverer()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: deliverer.stop())
        deliverer.run()
