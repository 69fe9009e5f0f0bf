import django.db.models
from django.db import migrations, models

from core.sql import append_only

REASON = "events are append-only"

# The columns go from wide to narrow, so that nothing is lost to alignment. The primary key begins with `ident`: it
# then also serves those who know an identifier and not when it was received.
EVENTS = """
ALTER TABLE meters_meterevent RENAME TO meters_meterevent_whole;
ALTER INDEX meters_meterevent_pkey RENAME TO meters_meterevent_whole_pkey;
ALTER INDEX event_by_customer_meter RENAME TO event_whole_by_customer_meter;

CREATE TABLE meters_meterevent (
    ident uuid NOT NULL,
    customer_ref bigint NOT NULL,
    meter_ref integer NOT NULL,
    epoch smallint NOT NULL,
    timestamp_given boolean NOT NULL,
    "timestamp" timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    value numeric(38, 12) NOT NULL,
    identifier varchar(100) NOT NULL,
    payload jsonb NOT NULL,
    CONSTRAINT meters_meterevent_pkey PRIMARY KEY (ident, epoch),
    CONSTRAINT event_value_bounded CHECK (value > -100000000000000000000 AND value < 100000000000000000000)
) PARTITION BY LIST (epoch);
CREATE INDEX event_by_customer_meter ON meters_meterevent (customer_ref, meter_ref, "timestamp") INCLUDE (value);
CREATE TABLE meters_meterevent_rest PARTITION OF meters_meterevent DEFAULT;
"""

EPOCHS = """
CREATE TABLE meters_ingestepoch (
    epoch smallint PRIMARY KEY,
    started_at timestamptz NOT NULL,
    measured_at timestamptz,
    oldest timestamptz,
    newest timestamptz
);
COMMENT ON TABLE meters_ingestepoch IS
    'One row per epoch of receipt; the last is current. See docs/decisions/0020 and meters/epochs.py.';

-- Whether `expected` is the current epoch; it stays so until the transaction of the caller ends. The caller has to
-- know it from before its statement began: the look into earlier epochs uses the snapshot of that moment.
CREATE FUNCTION meters_enter_epoch(expected integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1835365491, 1);
    RETURN expected = (SELECT max(epoch) FROM meters_ingestepoch);
END $$;

-- Returns when no transaction that takes events in is open, and lets none begin until the caller's ends.
CREATE FUNCTION meters_hold_ingest() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1835365491, 1);
END $$;

-- Made beside the table and then attached, which stops neither readers nor writers of the other partitions. A trigger
-- against TRUNCATE is not inherited. Rows that the default partition has caught move in.
CREATE FUNCTION meters_make_partition(number integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    part text := 'meters_meterevent_' || number;
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE meters_meterevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)'
        ' WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000)', part);
    IF EXISTS (SELECT FROM meters_meterevent_rest WHERE epoch = number) THEN
        PERFORM meters_hold_ingest();
        ALTER TABLE meters_meterevent_rest DISABLE TRIGGER USER;
        EXECUTE format('WITH moved AS (DELETE FROM meters_meterevent_rest WHERE epoch = %s RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved', number, part);
        ALTER TABLE meters_meterevent_rest ENABLE TRIGGER USER;
    END IF;
    EXECUTE format('ALTER TABLE meters_meterevent ATTACH PARTITION %I FOR VALUES IN (%s)', part, number);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION core_forbid(%L)',
        part || '_no_truncate', part, 'events are append-only');
    RETURN true;
END $$;
"""

# The first epoch began before anything was received.
FIRST = """
CREATE TRIGGER meters_meterevent_rest_no_truncate BEFORE TRUNCATE ON meters_meterevent_rest
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('events are append-only');
INSERT INTO meters_ingestepoch (epoch, started_at)
    SELECT to_char(now() AT TIME ZONE 'UTC', 'YYMM')::smallint, '1970-01-01 00:00:00+00';
SELECT meters_make_partition(epoch) FROM meters_ingestepoch;
SELECT meters_make_partition(to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYMM')::integer);
"""


class Migration(migrations.Migration):
    dependencies = [("meters", "0002_append_only"), ("core", "0002_guards")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(EVENTS),
                migrations.RunSQL(EPOCHS),
                # Those of the old table keep their names: they are other triggers on another table.
                migrations.RunSQL(append_only("meters_meterevent", REASON)),
                migrations.RunSQL(FIRST),
            ],
            state_operations=[
                migrations.AddField("meterevent", "epoch", models.SmallIntegerField(default=0), preserve_default=False),
                migrations.AddField("meterevent", "timestamp_given", models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name="UsageDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_ref", "meter_ref", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("customer_ref", models.BigIntegerField()),
                ("meter_ref", models.IntegerField()),
                ("day", models.DateField()),
                ("n", models.BigIntegerField()),
                ("total", models.DecimalField(decimal_places=12, max_digits=60)),
                ("vmax", models.DecimalField(decimal_places=12, max_digits=38)),
                ("vmin", models.DecimalField(decimal_places=12, max_digits=38)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=django.db.models.Q(("n__gt", 0)), name="usage_day_has_events")
                ]
            },
        ),
        # Room on the page for the next version of a row: its updates then touch no index.
        migrations.RunSQL("ALTER TABLE meters_usageday SET (fillfactor = 70)"),
    ]
