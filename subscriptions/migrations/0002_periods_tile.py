from django.db import migrations

from core.sql import only_change

TILING = """
CREATE FUNCTION subscriptions_periods_tile() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    previous timestamptz;
BEGIN
    SELECT max(ends_at) INTO previous FROM subscriptions_itemperiod WHERE item_id = NEW.item_id;
    IF previous IS NOT NULL AND previous <> NEW.starts_at THEN
        RAISE EXCEPTION 'a period of item % must start at %, where the one before it ends', NEW.item_id, previous
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subscriptions_itemperiod_tiles BEFORE INSERT ON subscriptions_itemperiod
    FOR EACH ROW EXECUTE FUNCTION subscriptions_periods_tile();
CREATE TRIGGER subscriptions_itemperiod_stays BEFORE DELETE ON subscriptions_itemperiod
    FOR EACH ROW EXECUTE FUNCTION core_forbid('periods are kept');
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(TILING, migrations.RunSQL.noop),
        migrations.RunSQL(
            only_change("subscriptions_itemperiod", "id", when="OLD.closed_at IS NOT NULL"),
            migrations.RunSQL.noop,
        ),
    ]
