from django.db import migrations

from core.sql import only_change

LEDGER = "customers_customerbalancetransaction"

# The rows of a customer make one chain: 1, 2, 3 … without a gap, each from where the one before it ended. What the
# customer shows is the end of the chain. Of two that go on from the same row, the second meets the unique key.
CHAIN = """
CREATE FUNCTION customers_go_on_with_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
    moved bigint;
BEGIN
    SELECT entry.id INTO wrong
    FROM added entry
    LEFT JOIN customers_customerbalancetransaction previous
        ON previous.customer_id = entry.customer_id AND previous.sequence = entry.sequence - 1
    WHERE entry.ending_balance <> coalesce(previous.ending_balance, 0) + entry.amount
        OR (previous.id IS NULL AND entry.sequence <> 1)
        OR (previous.currency <> entry.currency AND previous.ending_balance <> 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'balance transaction % does not go on where the one before it ended', wrong
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE customers_customer SET balance = newest.ending_balance, balance_sequence = newest.sequence
    FROM (
        SELECT DISTINCT ON (customer_id) customer_id, sequence, ending_balance, currency
        FROM added ORDER BY customer_id, sequence DESC
    ) newest
    WHERE customers_customer.id = newest.customer_id AND customers_customer.currency = newest.currency;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> (SELECT count(DISTINCT customer_id) FROM added) THEN
        RAISE EXCEPTION 'a balance is in the currency of its customer'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER customers_customerbalancetransaction_chain AFTER INSERT ON customers_customerbalancetransaction
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION customers_go_on_with_balance();
"""

KEPT = f"""
CREATE TRIGGER {LEDGER}_kept BEFORE DELETE ON {LEDGER}
    FOR EACH ROW EXECUTE FUNCTION core_forbid('the ledger of balances is append-only');
CREATE TRIGGER {LEDGER}_no_truncate BEFORE TRUNCATE ON {LEDGER}
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('the ledger of balances is append-only');
"""

BALANCE = """
CREATE FUNCTION customers_balance_is_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest record;
BEGIN
    SELECT sequence, ending_balance INTO newest FROM customers_customerbalancetransaction
    WHERE customer_id = NEW.id ORDER BY sequence DESC LIMIT 1;
    IF (NEW.balance_sequence, NEW.balance)
        IS DISTINCT FROM (coalesce(newest.sequence, 0), coalesce(newest.ending_balance, 0)) THEN
        RAISE EXCEPTION 'the balance of % is the sum of its transactions', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER customers_customer_balance BEFORE UPDATE ON customers_customer
    FOR EACH ROW WHEN ((OLD.balance, OLD.balance_sequence) IS DISTINCT FROM (NEW.balance, NEW.balance_sequence))
    EXECUTE FUNCTION customers_balance_is_of_ledger();
CREATE TRIGGER customers_customer_first_balance BEFORE INSERT ON customers_customer
    FOR EACH ROW WHEN (NEW.balance <> 0 OR NEW.balance_sequence <> 0)
    EXECUTE FUNCTION customers_balance_is_of_ledger();
CREATE TRIGGER customers_customer_currency BEFORE UPDATE ON customers_customer
    FOR EACH ROW WHEN (OLD.currency IS DISTINCT FROM NEW.currency AND OLD.balance <> 0)
    EXECUTE FUNCTION core_forbid('the balance is in the old currency');
"""

SERIES = """
CREATE TRIGGER customers_numberseries_forward BEFORE UPDATE ON customers_numberseries
    FOR EACH ROW WHEN (NEW.next_sequence < OLD.next_sequence OR NEW.prefix <> OLD.prefix)
    EXECUTE FUNCTION core_forbid('numbers never go back');
CREATE TRIGGER customers_numberseries_kept BEFORE DELETE ON customers_numberseries
    FOR EACH ROW EXECUTE FUNCTION core_forbid('numbers never go back');
CREATE TRIGGER customers_numberseries_no_truncate BEFORE TRUNCATE ON customers_numberseries
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('numbers never go back');
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0005_balance_and_settings"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(only_change(LEDGER, "description", "metadata"), migrations.RunSQL.noop),
        migrations.RunSQL(KEPT + CHAIN + BALANCE + SERIES, migrations.RunSQL.noop),
    ]
