from django.db import migrations

from core.sql import only_change

CHANGEABLE = (
    "status",
    "auto_advance",
    "automatically_finalizes_at",
    "amount_paid",
    "amount_paid_off_stripe",
    "paid_at",
    "voided_at",
    "marked_uncollectible_at",
    "metadata",
)

MACHINE = """
CREATE FUNCTION invoices_status_machine() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    edge text := OLD.status || ' to ' || NEW.status;
    sum_of_lines bigint;
BEGIN
    IF edge NOT IN (
        'draft to open', 'draft to paid', 'open to paid', 'open to void', 'open to uncollectible',
        'uncollectible to paid', 'uncollectible to void'
    ) THEN
        RAISE EXCEPTION 'an invoice cannot go from %', edge USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.status = 'draft' THEN
        SELECT coalesce(sum(amount), 0) INTO sum_of_lines FROM invoices_invoiceline WHERE invoice_id = NEW.id;
        IF sum_of_lines <> NEW.subtotal THEN
            RAISE EXCEPTION 'the lines of invoice % add up to %, not to %', NEW.id, sum_of_lines, NEW.subtotal
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoices_invoice_machine BEFORE UPDATE ON invoices_invoice
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION invoices_status_machine();

CREATE FUNCTION invoices_lines_of_drafts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    invoice text := CASE TG_OP WHEN 'DELETE' THEN OLD.invoice_id ELSE NEW.invoice_id END;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.invoice_id <> NEW.invoice_id
        OR EXISTS (SELECT 1 FROM invoices_invoice WHERE id = invoice AND status <> 'draft') THEN
        RAISE EXCEPTION 'the lines of finalized invoice % are frozen', invoice
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER invoices_invoiceline_frozen BEFORE INSERT OR UPDATE OR DELETE ON invoices_invoiceline
    FOR EACH ROW EXECUTE FUNCTION invoices_lines_of_drafts();

CREATE TRIGGER invoices_invoice_stays BEFORE DELETE ON invoices_invoice
    FOR EACH ROW WHEN (OLD.status <> 'draft') EXECUTE FUNCTION core_forbid('a finalized invoice is kept');
CREATE TRIGGER invoices_invoice_no_truncate BEFORE TRUNCATE ON invoices_invoice
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('invoices are kept');
CREATE TRIGGER invoices_invoiceline_no_truncate BEFORE TRUNCATE ON invoices_invoiceline
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('invoices are kept');
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(
            only_change("invoices_invoice", *CHANGEABLE, when="OLD.status <> 'draft'"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(MACHINE, migrations.RunSQL.noop),
    ]
