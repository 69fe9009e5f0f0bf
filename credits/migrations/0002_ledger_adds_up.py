from django.db import migrations

from core.sql import append_only, only_change

GRANT, LEDGER, ENTRY = "credits_creditgrant", "credits_credittransaction", "credits_ledgerentry"

# The rows of a grant make one chain: 1, 2, 3 … without a gap, each from where the one before it ended. What is left of
# the grant is the end of the chain, and the check on the grant says that it is neither below zero nor above what was
# granted. Of two that go on from the same row, the second meets the unique key.
CHAIN = f"""
CREATE FUNCTION credits_go_on_with_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT entry.id INTO wrong
    FROM added entry
    JOIN {GRANT} owner ON owner.id = entry.grant_id
    LEFT JOIN {LEDGER} previous
        ON previous.grant_id = entry.grant_id AND previous.sequence = entry.sequence - 1
    WHERE entry.ending_balance <> coalesce(previous.ending_balance, 0) + entry.amount
        OR (previous.id IS NULL) <> (entry.sequence = 1)
        OR (entry.sequence = 1) <> (entry.type = 'credits_granted')
        OR entry.customer_id <> owner.customer_id
        OR (owner.currency <> '' AND entry.amount <> trunc(entry.amount))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'credit transaction % does not go on where the one before it ended', wrong
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE {GRANT} SET balance = newest.ending_balance, balance_sequence = newest.sequence
    FROM (
        SELECT DISTINCT ON (grant_id) grant_id, sequence, ending_balance
        FROM added ORDER BY grant_id, sequence DESC
    ) newest
    WHERE {GRANT}.id = newest.grant_id;
    RETURN NULL;
END $$;
CREATE TRIGGER {LEDGER}_chain AFTER INSERT ON {LEDGER}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION credits_go_on_with_balance();
"""

BALANCE = f"""
CREATE FUNCTION credits_balance_is_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest record;
BEGIN
    SELECT sequence, ending_balance INTO newest FROM {LEDGER}
    WHERE grant_id = NEW.id ORDER BY sequence DESC LIMIT 1;
    IF (NEW.balance_sequence, NEW.balance)
        IS DISTINCT FROM (coalesce(newest.sequence, 0), coalesce(newest.ending_balance, 0)) THEN
        RAISE EXCEPTION 'the balance of % is the sum of its transactions', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {GRANT}_balance BEFORE UPDATE ON {GRANT}
    FOR EACH ROW WHEN ((OLD.balance, OLD.balance_sequence) IS DISTINCT FROM (NEW.balance, NEW.balance_sequence))
    EXECUTE FUNCTION credits_balance_is_of_ledger();
CREATE TRIGGER {GRANT}_first_balance BEFORE INSERT ON {GRANT}
    FOR EACH ROW WHEN (NEW.balance <> 0 OR NEW.balance_sequence <> 0)
    EXECUTE FUNCTION credits_balance_is_of_ledger();
CREATE TRIGGER {GRANT}_kept BEFORE DELETE ON {GRANT}
    FOR EACH ROW EXECUTE FUNCTION core_forbid('a grant is voided or expires, and stays');
CREATE TRIGGER {GRANT}_no_truncate BEFORE TRUNCATE ON {GRANT}
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('a grant is voided or expires, and stays');
CREATE TRIGGER {GRANT}_voided_for_good BEFORE UPDATE ON {GRANT}
    FOR EACH ROW WHEN (OLD.voided_at IS NOT NULL AND NEW.voided_at IS DISTINCT FROM OLD.voided_at)
    EXECUTE FUNCTION core_forbid('a voided grant stays voided');
"""

# Two sides of every transaction, looked at when all of them are there: at commit.
DOUBLE_ENTRY = f"""
CREATE FUNCTION credits_sides_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number text := CASE WHEN TG_TABLE_NAME = '{LEDGER}' THEN to_jsonb(NEW)->>'id'
                        ELSE to_jsonb(NEW)->>'transaction_id' END;
    moved numeric := (SELECT amount FROM {LEDGER} WHERE id = number);
    sides record;
BEGIN
    SELECT sum(amount) AS total, sum(amount) FILTER (WHERE account = 'outstanding') AS outstanding INTO sides
    FROM {ENTRY} WHERE transaction_id = number;
    IF (sides.total, sides.outstanding) IS DISTINCT FROM (0::numeric, moved) THEN
        RAISE EXCEPTION 'the entries of % do not add up to zero', number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER {LEDGER}_has_two_sides AFTER INSERT ON {LEDGER} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION credits_sides_add_up();
CREATE CONSTRAINT TRIGGER {ENTRY}_sum_to_zero AFTER INSERT ON {ENTRY} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION credits_sides_add_up();
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(
            only_change(GRANT, "balance", "balance_sequence", "expires_at", "voided_at", "metadata", "updated_at"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(append_only(LEDGER, "the ledger of credits is append-only"), migrations.RunSQL.noop),
        migrations.RunSQL(append_only(ENTRY, "the ledger of credits is append-only"), migrations.RunSQL.noop),
        migrations.RunSQL(CHAIN + BALANCE + DOUBLE_ENTRY, migrations.RunSQL.noop),
    ]
