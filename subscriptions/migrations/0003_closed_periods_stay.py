from django.db import migrations

CLOSED_PERIODS_STAY = """
DROP TRIGGER subscriptions_itemperiod_frozen ON subscriptions_itemperiod;
CREATE TRIGGER subscriptions_itemperiod_frozen BEFORE UPDATE ON subscriptions_itemperiod
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION core_forbid('a closed period never changes');
CREATE TRIGGER subscriptions_itemperiod_no_truncate BEFORE TRUNCATE ON subscriptions_itemperiod
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('periods are kept');
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0002_periods_tile")]

    operations = [migrations.RunSQL(CLOSED_PERIODS_STAY, migrations.RunSQL.noop)]
