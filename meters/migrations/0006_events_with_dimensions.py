import django.contrib.postgres.fields
import django.db.models
from django.db import migrations, models

from core.sql import append_only

REASON = "events are append-only"

# The table is made anew, as columns can only be added at its end, where they would lose room to alignment: from wide
# to narrow here, texts last. Partitions, triggers and indexes go with the old one.
KEEP = "CREATE TABLE meters_meterevent_kept AS SELECT * FROM meters_meterevent; DROP TABLE meters_meterevent"
EVENTS = """
CREATE TABLE meters_meterevent (
    ident uuid NOT NULL,
    "timestamp" timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    dimension_ref bigint NOT NULL DEFAULT 0,
    customer_ref integer NOT NULL,
    meter_ref integer NOT NULL,
    sent_key integer NOT NULL DEFAULT 0,
    epoch smallint NOT NULL,
    timestamp_given boolean NOT NULL,
    value numeric(38, 12) NOT NULL,
    identifier varchar(100) NOT NULL,
    payload jsonb NOT NULL,
    CONSTRAINT meters_meterevent_pkey PRIMARY KEY (ident, epoch),
    CONSTRAINT event_value_bounded CHECK (value > -1e26 AND value < 1e26)
) PARTITION BY LIST (epoch);
CREATE INDEX event_by_customer_meter ON meters_meterevent (customer_ref, meter_ref, "timestamp")
    INCLUDE (value, epoch);
CREATE TABLE meters_meterevent_rest PARTITION OF meters_meterevent DEFAULT;
CREATE TRIGGER meters_meterevent_rest_no_truncate BEFORE TRUNCATE ON meters_meterevent_rest
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('events are append-only');
SELECT meters_make_partition(epoch) FROM meters_ingestepoch;
SELECT meters_make_partition(to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYMM')::integer);
"""
MOVE = """
INSERT INTO meters_meterevent (ident, "timestamp", received_at, txid, customer_ref, meter_ref, epoch, timestamp_given,
                               value, identifier, payload)
    SELECT ident, "timestamp", received_at, txid, customer_ref, meter_ref, epoch, timestamp_given,
           value, identifier, payload
    FROM meters_meterevent_kept;
DROP TABLE meters_meterevent_kept;
"""
# Room on the page for the next version of a row: its updates then touch no index.
ROLLUPS = """
ALTER TABLE meters_usageday DROP CONSTRAINT meters_usageday_pkey,
    ADD COLUMN dimension_ref bigint NOT NULL DEFAULT 0,
    ALTER COLUMN customer_ref TYPE integer,
    ADD CONSTRAINT meters_usageday_pkey PRIMARY KEY (customer_ref, meter_ref, day, dimension_ref);

"""


class Migration(migrations.Migration):
    dependencies = [("meters", "0005_drop_whole_table"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(KEEP),
        migrations.RunSQL(EVENTS),
        migrations.RunSQL(append_only("meters_meterevent", REASON)),
        migrations.RunSQL(MOVE),
        migrations.RunSQL(ROLLUPS),
        migrations.CreateModel(
            name="UsageItem",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_ref", "meter_ref", "day", "dimension_ref", "value",
                        blank=True, editable=False, primary_key=True, serialize=False,
                    ),
                ),
                ("dimension_ref", models.BigIntegerField()),
                ("n", models.BigIntegerField()),
                ("customer_ref", models.IntegerField()),
                ("meter_ref", models.IntegerField()),
                ("day", models.DateField()),
                ("value", models.DecimalField(decimal_places=12, max_digits=38)),
            ],
        ),
        migrations.RunSQL("ALTER TABLE meters_usageitem SET (fillfactor = 70)"),
        migrations.CreateModel(
            name="Dimensions",
            fields=[
                ("ref", models.BigIntegerField(primary_key=True, serialize=False)),
                ("meter_ref", models.IntegerField(db_index=True)),
                ("values", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
            ],
            options={"db_table": "meters_dimensions"},
        ),
        migrations.RunSQL(append_only("meters_dimensions", "what a combination stands for never changes")),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint("meterevent", "event_value_bounded"),
                migrations.RemoveIndex("meterevent", "event_by_customer_meter"),
                migrations.AlterField("meterevent", "customer_ref", models.IntegerField()),
                migrations.AddField("meterevent", "dimension_ref", models.BigIntegerField(default=0)),
                migrations.AddField("meterevent", "sent_key", models.IntegerField(default=0)),
                migrations.AddConstraint(
                    "meterevent",
                    models.CheckConstraint(
                        condition=models.Q(("value__gt", -(10**26)), ("value__lt", 10**26)), name="event_value_bounded"
                    ),
                ),
                migrations.AddIndex(
                    "meterevent",
                    models.Index(
                        fields=["customer_ref", "meter_ref", "timestamp"],
                        include=["value", "epoch"],
                        name="event_by_customer_meter",
                    ),
                ),
                migrations.DeleteModel("UsageDay"),
                migrations.CreateModel(
                    name="UsageDay",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "customer_ref",
                                "meter_ref",
                                "day",
                                "dimension_ref",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("customer_ref", models.IntegerField()),
                        ("meter_ref", models.IntegerField()),
                        ("day", models.DateField()),
                        ("dimension_ref", models.BigIntegerField(default=0)),
                        ("n", models.BigIntegerField()),
                        ("total", models.DecimalField(decimal_places=12, max_digits=60)),
                        ("vmax", models.DecimalField(decimal_places=12, max_digits=38)),
                        ("vmin", models.DecimalField(decimal_places=12, max_digits=38)),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=django.db.models.Q(("n__gt", 0)), name="usage_day_has_events"
                            )
                        ]
                    },
                ),
            ],
        ),
        migrations.AddField(
            "meter",
            "filters",
            models.JSONField(blank=True, default=list, help_text="Conditions on the payload; events that do not meet "
                             "all of them are kept and not counted."),
        ),
        migrations.AddField(
            "meter",
            "dimension_payload_keys",
            models.JSONField(blank=True, default=list, help_text="Keys of the payload by which usage can be grouped "
                             "and priced; every event has to have them."),
        ),
    ]
