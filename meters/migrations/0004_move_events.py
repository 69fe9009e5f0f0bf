from django.db import migrations

# All go into the first epoch, which began before anything was received.
MOVE = """
INSERT INTO meters_meterevent (ident, customer_ref, meter_ref, epoch, timestamp_given, "timestamp", received_at, txid,
                               value, identifier, payload)
    SELECT ident, customer_ref, meter_ref, (SELECT min(epoch) FROM meters_ingestepoch), true, "timestamp", received_at,
           txid, value, identifier, payload
    FROM meters_meterevent_whole
"""
FOLD = """
INSERT INTO meters_usageday (customer_ref, meter_ref, day, n, total, vmax, vmin)
    SELECT customer_ref, meter_ref, ("timestamp" AT TIME ZONE 'UTC')::date, count(*), sum(value), max(value), min(value)
    FROM meters_meterevent GROUP BY 1, 2, 3
"""


class Migration(migrations.Migration):
    dependencies = [("meters", "0003_partitioned_events")]

    operations = [migrations.RunSQL(MOVE), migrations.RunSQL(FOLD)]
