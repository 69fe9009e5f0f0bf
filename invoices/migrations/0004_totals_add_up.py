from django.db import migrations

from core.sql import only_change

CHANGEABLE = (
    "status",
    "auto_advance",
    "automatically_finalizes_at",
    "amount_due",
    "amount_paid",
    "amount_paid_off_stripe",
    "pre_payment_credit_notes_amount",
    "post_payment_credit_notes_amount",
    "paid_at",
    "voided_at",
    "marked_uncollectible_at",
    "metadata",
)

MACHINE = """
CREATE OR REPLACE FUNCTION invoices_status_machine() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    edge text := OLD.status || ' to ' || NEW.status;
    of_lines record;
BEGIN
    IF edge NOT IN (
        'draft to open', 'draft to paid', 'open to paid', 'open to void', 'open to uncollectible',
        'uncollectible to paid', 'uncollectible to void'
    ) THEN
        RAISE EXCEPTION 'an invoice cannot go from %', edge USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.status = 'draft' THEN
        SELECT coalesce(sum(amount), 0) AS subtotal, coalesce(sum(discount_total), 0) AS discounts,
            coalesce(sum(credit_total), 0) AS credits, coalesce(sum(tax_total), 0) AS tax,
            coalesce(sum(inclusive_tax_total), 0) AS inclusive_tax
            INTO of_lines FROM invoices_invoiceline WHERE invoice_id = NEW.id;
        IF (of_lines.subtotal, of_lines.discounts, of_lines.credits, of_lines.tax, of_lines.inclusive_tax)
            <> (NEW.subtotal, NEW.discount_total, NEW.credit_total, NEW.tax_total, NEW.inclusive_tax_total) THEN
            RAISE EXCEPTION 'the lines of invoice % add up to %, not to its totals', NEW.id, of_lines
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER invoices_invoice_frozen ON invoices_invoice;
"""

ITEMS = """
CREATE FUNCTION invoices_items_of_drafts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM invoices_invoice WHERE id = OLD.invoice_id AND status <> 'draft') THEN
        RAISE EXCEPTION 'invoice item % is on a finalized invoice', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER invoices_invoiceitem_frozen BEFORE UPDATE OR DELETE ON invoices_invoiceitem
    FOR EACH ROW WHEN (OLD.invoice_id IS NOT NULL) EXECUTE FUNCTION invoices_items_of_drafts();
CREATE TRIGGER invoices_invoiceitem_no_truncate BEFORE TRUNCATE ON invoices_invoiceitem
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('invoice items are kept');
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0003_items_discounts_and_taxes")]

    operations = [
        migrations.RunSQL(MACHINE, migrations.RunSQL.noop),
        migrations.RunSQL(
            only_change("invoices_invoice", *CHANGEABLE, when="OLD.status <> 'draft'"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(ITEMS, migrations.RunSQL.noop),
    ]
