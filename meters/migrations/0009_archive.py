from django.db import migrations, models

from core.sql import revoke_changes

COLUMNS = """
ALTER TABLE meters_ingestepoch
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN archive_path text,
    ADD COLUMN archive_sha256 text,
    ADD COLUMN archive_rows bigint,
    ADD COLUMN detached_at timestamptz,
    ADD COLUMN dropped_at timestamptz,
    ADD CONSTRAINT epoch_archive_whole
        CHECK (num_nulls(archived_at, archive_path, archive_sha256, archive_rows) IN (0, 4)),
    ADD CONSTRAINT epoch_archived_after_its_end CHECK (archived_at IS NULL OR measured_at IS NOT NULL),
    ADD CONSTRAINT epoch_detached_after_archived CHECK (detached_at IS NULL OR archived_at IS NOT NULL),
    ADD CONSTRAINT epoch_dropped_after_detached CHECK (dropped_at IS NULL OR detached_at IS NOT NULL);
"""

# Read beside the events: no rows, but an error where one of these epochs has left the table since the caller looked.
# Asks the system's caches and not the snapshot, which may be older than the locks that this statement holds.
STILL_ATTACHED = """
CREATE FUNCTION meters_still_attached(VARIADIC numbers integer[]) RETURNS SETOF meters_meterevent
LANGUAGE plpgsql STABLE AS $$
DECLARE
    number integer;
BEGIN
    FOREACH number IN ARRAY numbers LOOP
        IF to_regclass('meters_meterevent_' || number) IS NULL THEN
            RAISE EXCEPTION 'the events received in % have just been archived', number
                USING ERRCODE = 'lock_not_available', HINT = 'Try again: they are read from the archive then.';
        END IF;
    END LOOP;
END $$;
"""

# As before, but an archived epoch gets no second partition, and nobody may change or remove rows of the one that is
# made; where rows move out of the default partition, that is granted for the moment.
MAKE_PARTITION = """
CREATE OR REPLACE FUNCTION meters_make_partition(number integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    part text := 'meters_meterevent_' || number;
BEGIN
    IF to_regclass(part) IS NOT NULL
        OR EXISTS (SELECT FROM meters_ingestepoch WHERE epoch = number AND archived_at IS NOT NULL) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE meters_meterevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)'
        ' WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000)', part);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM CURRENT_USER', part);
    IF EXISTS (SELECT FROM meters_meterevent_rest WHERE epoch = number) THEN
        PERFORM meters_hold_ingest();
        ALTER TABLE meters_meterevent_rest DISABLE TRIGGER USER;
        GRANT DELETE ON meters_meterevent_rest TO CURRENT_USER;
        EXECUTE format('WITH moved AS (DELETE FROM meters_meterevent_rest WHERE epoch = %s RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved', number, part);
        REVOKE DELETE ON meters_meterevent_rest FROM CURRENT_USER;
        ALTER TABLE meters_meterevent_rest ENABLE TRIGGER USER;
    END IF;
    EXECUTE format('ALTER TABLE meters_meterevent ATTACH PARTITION %I FOR VALUES IN (%s)', part, number);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION core_forbid(%L)',
        part || '_no_truncate', part, 'events are append-only');
    RETURN true;
END $$;
"""
REVOKE_FROM_PARTITIONS = """
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'meters_meterevent'::regclass LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM CURRENT_USER', part);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("meters", "0008_quarantine")]

    operations = [
        migrations.RunSQL(COLUMNS),
        migrations.RunSQL(STILL_ATTACHED),
        migrations.RunSQL(MAKE_PARTITION),
        migrations.RunSQL(revoke_changes("meters_meterevent")),
        migrations.RunSQL(REVOKE_FROM_PARTITIONS),
        migrations.CreateModel(
            name="IngestEpoch",
            fields=[
                ("epoch", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("measured_at", models.DateTimeField(null=True)),
                ("oldest", models.DateTimeField(null=True, verbose_name="oldest event")),
                ("newest", models.DateTimeField(null=True, verbose_name="newest event")),
                ("archived_at", models.DateTimeField(null=True)),
                ("archive_path", models.TextField(null=True, verbose_name="file")),
                ("archive_sha256", models.TextField(null=True, verbose_name="SHA-256")),
                ("archive_rows", models.BigIntegerField(null=True)),
                ("detached_at", models.DateTimeField(null=True)),
                ("dropped_at", models.DateTimeField(null=True)),
            ],
            options={
                "managed": False,
                "db_table": "meters_ingestepoch",
                "ordering": ("-epoch",),
                "verbose_name": "month of events",
                "verbose_name_plural": "months of events",
            },
        ),
    ]
