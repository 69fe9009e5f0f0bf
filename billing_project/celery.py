"""The Celery application; what runs by itself is listed in `billing_project/timetable.py`."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_process_init

from billing_project.embedded.processes import die_with_supervised_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")

# Where root is the only user there is, running as root is meant; messages are JSON, never code.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("countinghouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def leave_no_orphan(**kwargs: Any) -> None:
    die_with_supervised_parent()
