import django.db.models.deletion
from django.db import migrations, models

# Ids are compared by their bytes (collation C), so the plain index serves LIKE as well.
DROP_LIKE = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT indexname FROM pg_indexes
        WHERE tablename IN ('invoices_invoice', 'invoices_invoiceline', 'invoices_invoiceitem')
            AND schemaname = current_schema() AND indexname LIKE '%\\_like'
    LOOP
        EXECUTE format('DROP INDEX %I', found.indexname);
    END LOOP;
END $$;
"""

# Once for all the lines of a statement, instead of a question for each of them.
LINES_TOGETHER = """
CREATE FUNCTION invoices_lines_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    final text;
BEGIN
    SELECT id INTO final FROM invoices_invoice
        WHERE id IN (SELECT invoice_id FROM added) AND status <> 'draft' LIMIT 1;
    IF final IS NOT NULL THEN
        RAISE EXCEPTION 'the lines of finalized invoice % are frozen', final
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER invoices_invoiceline_added AFTER INSERT ON invoices_invoiceline
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION invoices_lines_added();
DROP TRIGGER invoices_invoiceline_frozen ON invoices_invoiceline;
CREATE TRIGGER invoices_invoiceline_frozen BEFORE UPDATE OR DELETE ON invoices_invoiceline
    FOR EACH ROW EXECUTE FUNCTION invoices_lines_of_drafts();
"""

# An invoice may be stored as final at once, after its lines; it has to add up as one does that was a draft before.
FINAL_ADDED = """
CREATE FUNCTION invoices_final_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT added.id INTO wrong FROM added LEFT JOIN LATERAL (
        SELECT sum(amount) AS subtotal, sum(discount_total) AS discounts, sum(credit_total) AS credits,
            sum(tax_total) AS tax, sum(inclusive_tax_total) AS inclusive_tax
        FROM invoices_invoiceline WHERE invoice_id = added.id
    ) AS of_lines ON true
    WHERE added.status <> 'draft' AND (
        coalesce(of_lines.subtotal, 0), coalesce(of_lines.discounts, 0), coalesce(of_lines.credits, 0),
        coalesce(of_lines.tax, 0), coalesce(of_lines.inclusive_tax, 0)
    ) <> (added.subtotal, added.discount_total, added.credit_total, added.tax_total, added.inclusive_tax_total)
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the lines of invoice % do not add up to its totals', wrong
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER invoices_invoice_added AFTER INSERT ON invoices_invoice
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION invoices_final_added();
"""

FILL = """
ALTER TABLE invoices_invoice DISABLE TRIGGER invoices_invoice_frozen;
UPDATE invoices_invoice SET subtotal_excluding_tax = subtotal - inclusive_tax_total;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE invoices_invoice ENABLE TRIGGER invoices_invoice_frozen;
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0006_credit_notes_within_total")]

    operations = [
        migrations.AddField(
            model_name='invoice',
            name='subtotal_excluding_tax',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name='invoiceline',
            name='invoice_line_one_per_invoice_item',
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='invoice',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='invoices.invoice'),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='invoice_item',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='invoices.invoiceitem'),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='item_period',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='invoice_lines', to='subscriptions.itemperiod'),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='meter',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='meters.meter'),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='price',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AddIndex(
            model_name='invoiceline',
            index=models.Index(condition=models.Q(('invoice_item__isnull', False)), fields=['invoice_item'], name='invoice_line_by_invoice_item'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.UniqueConstraint(condition=models.Q(('invoice_item__isnull', False)), fields=('invoice', 'invoice_item'), name='invoice_line_one_per_invoice_item'),
        ),
        migrations.RunSQL(DROP_LIKE, migrations.RunSQL.noop),
        migrations.RunSQL(LINES_TOGETHER, migrations.RunSQL.noop),
        migrations.RunSQL(FINAL_ADDED, migrations.RunSQL.noop),
    ]
