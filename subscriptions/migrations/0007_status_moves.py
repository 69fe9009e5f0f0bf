from django.db import migrations, models

# What a status may become, by what it was. An ended subscription stays ended.
MOVES = {
    "incomplete": ("active", "incomplete_expired"),
    "trialing": ("active", "paused", "canceled"),
    "active": ("trialing", "past_due", "paused", "canceled"),
    "past_due": ("active", "unpaid", "paused", "canceled"),
    "unpaid": ("active", "paused", "canceled"),
    "paused": ("active", "canceled"),
}
_ROWS = ", ".join(f"('{before}', '{after}')" for before, afters in MOVES.items() for after in afters)

STATUS_MOVES = f"""
CREATE FUNCTION subscriptions_status_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (VALUES {_ROWS}) THEN
        RAISE EXCEPTION 'the status of subscription % cannot go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subscriptions_subscription_status_moves BEFORE UPDATE OF status ON subscriptions_subscription
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION subscriptions_status_moves();
"""
UNDO = """
DROP TRIGGER subscriptions_subscription_status_moves ON subscriptions_subscription;
DROP FUNCTION subscriptions_status_moves();
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0006_slices_after_changes")]

    operations = [
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("pause_collection_resumes_at__isnull", False)),
                fields=["pause_collection_resumes_at"],
                name="subscription_to_resume",
            ),
        ),
        migrations.RunSQL(STATUS_MOVES, UNDO),
    ]
