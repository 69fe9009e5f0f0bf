from django.db import migrations

from core.sql import append_only, only_change

NOTE, LINE = "invoices_creditnote", "invoices_creditnoteline"

# The invoice is locked before its notes are summed up: of two notes at once the second waits and sees the first.
WITHIN = f"""
CREATE FUNCTION invoices_credit_within_total() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    invoice record;
    credited numeric;
BEGIN
    SELECT id, status, total, customer_id, currency INTO invoice FROM invoices_invoice WHERE id = NEW.invoice_id
        FOR NO KEY UPDATE;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status <> 'issued' OR invoice.status <> 'open' THEN
            RAISE EXCEPTION 'credit note % cannot become %', NEW.id, NEW.status
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF invoice.status NOT IN ('open', 'paid') OR (invoice.customer_id, invoice.currency) <> (NEW.customer_id, NEW.currency)
        OR NEW.status <> 'issued' THEN
        RAISE EXCEPTION 'invoice % cannot have this credit note', invoice.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT coalesce(sum(total), 0) INTO credited FROM {NOTE} WHERE invoice_id = NEW.invoice_id AND status = 'issued';
    IF credited + NEW.total > invoice.total THEN
        RAISE EXCEPTION 'the credit notes of invoice % would exceed its total', invoice.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {NOTE}_within_total BEFORE INSERT ON {NOTE}
    FOR EACH ROW EXECUTE FUNCTION invoices_credit_within_total();
CREATE TRIGGER {NOTE}_void BEFORE UPDATE ON {NOTE}
    FOR EACH ROW WHEN ((OLD.status, OLD.voided_at) IS DISTINCT FROM (NEW.status, NEW.voided_at))
    EXECUTE FUNCTION invoices_credit_within_total();
CREATE TRIGGER {NOTE}_stays BEFORE DELETE ON {NOTE}
    FOR EACH ROW EXECUTE FUNCTION core_forbid('credit notes are kept');
CREATE TRIGGER {NOTE}_no_truncate BEFORE TRUNCATE ON {NOTE}
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('credit notes are kept');
"""

# At the end of the transaction: the note is the sum of its lines, no line is credited above its amount, and the invoice
# shows what its notes are.
ADDS_UP = f"""
CREATE FUNCTION invoices_credit_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    note record;
    lines record;
    sums record;
    invoice record;
BEGIN
    SELECT * INTO note FROM {NOTE} WHERE id = CASE TG_TABLE_NAME WHEN '{NOTE}' THEN NEW.id
        ELSE to_jsonb(NEW) ->> 'credit_note_id' END;
    SELECT coalesce(sum(amount), 0) AS subtotal, coalesce(sum(discount_amount), 0) AS discounts,
        coalesce(sum(credit_total), 0) AS credits, coalesce(sum(tax_total), 0) AS tax,
        coalesce(sum(inclusive_tax_total), 0) AS inclusive_tax
        INTO lines FROM {LINE} WHERE credit_note_id = note.id;
    IF (lines.subtotal, lines.discounts, lines.credits, lines.tax, lines.inclusive_tax)
        <> (note.subtotal, note.discount_amount, note.credit_total, note.tax_total, note.inclusive_tax_total) THEN
        RAISE EXCEPTION 'the lines of credit note % add up to %, not to its totals', note.id, lines
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM {LINE} AS one
            JOIN {NOTE} AS its ON its.id = one.credit_note_id AND its.status = 'issued'
            JOIN invoices_invoiceline AS credited ON credited.id = one.invoice_line_id
        WHERE one.invoice_line_id IN (SELECT invoice_line_id FROM {LINE} WHERE credit_note_id = note.id)
        GROUP BY credited.id
        HAVING sum(one.amount) > credited.amount OR bool_or(credited.invoice_id <> its.invoice_id)
    ) THEN
        RAISE EXCEPTION 'credit note % exceeds a line of its invoice', note.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT coalesce(sum(pre_payment_amount), 0) AS before, coalesce(sum(post_payment_amount), 0) AS after
        INTO sums FROM {NOTE} WHERE invoice_id = note.invoice_id AND status = 'issued';
    SELECT pre_payment_credit_notes_amount AS before, post_payment_credit_notes_amount AS after
        INTO invoice FROM invoices_invoice WHERE id = note.invoice_id;
    IF (sums.before, sums.after) <> (invoice.before, invoice.after) THEN
        RAISE EXCEPTION 'invoice % does not show its credit notes', note.invoice_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER {NOTE}_adds_up AFTER INSERT OR UPDATE ON {NOTE} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION invoices_credit_adds_up();
CREATE CONSTRAINT TRIGGER {LINE}_adds_up AFTER INSERT ON {LINE} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION invoices_credit_adds_up();
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0005_credit_notes"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(WITHIN, migrations.RunSQL.noop),
        migrations.RunSQL(only_change(NOTE, "status", "voided_at", "memo", "metadata"), migrations.RunSQL.noop),
        migrations.RunSQL(append_only(LINE, "credit notes are kept"), migrations.RunSQL.noop),
        migrations.RunSQL(ADDS_UP, migrations.RunSQL.noop),
    ]
