"""What one writes first with Django REST framework, as the measure of what more is worth: a key is looked up, a
serializer checks the event, its customer and its meter, and a row is saved. Tables of its own beside the product's."""

import hashlib
import os
import subprocess
import sys

from django.db import connection

SETTINGS = "bench.naive.settings"


def make_tables(key: str) -> None:
    """With the customers and meters of the product, which uses the same database, and one key."""
    command = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]
    subprocess.run(command, env=os.environ | {"DJANGO_SETTINGS_MODULE": SETTINGS}, check=True)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO naive_customer SELECT id FROM customers_customer")
        cursor.execute("INSERT INTO naive_meter (event_name) SELECT event_name FROM meters_meter")
        cursor.execute("INSERT INTO naive_key (digest) VALUES (%s)", [hashlib.sha256(key.encode()).hexdigest()])
