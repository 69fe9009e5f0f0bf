import core.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

# Until now a total was the sum of the lines, and no invoice touched a balance.
FILL = """
ALTER TABLE invoices_invoice DISABLE TRIGGER invoices_invoice_frozen;
UPDATE invoices_invoice SET ending_balance = 0 WHERE status <> 'draft';
ALTER TABLE invoices_invoiceline DISABLE TRIGGER invoices_invoiceline_frozen;
UPDATE invoices_invoiceline SET discountable = false WHERE proration;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE invoices_invoice ENABLE TRIGGER invoices_invoice_frozen;
ALTER TABLE invoices_invoiceline ENABLE TRIGGER invoices_invoiceline_frozen;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0004_notify_of_changed_customers'),
        ('invoices', '0002_finalized_frozen'),
        ('meters', '0011_hidden_meters'),
        ('pricing', '0003_prices_with_usage_records'),
        ('subscriptions', '0004_slices_of_time'),
    ]

    operations = [
        migrations.CreateModel(
            name='InvoiceItem',
            fields=[
                ('id', core.ids.IdField(db_collation='C', editable=False, max_length=64, prefix='ii', primary_key=True, serialize=False)),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.BigIntegerField()),
                ('quantity', models.DecimalField(decimal_places=12, default=1, max_digits=30)),
                ('unit_amount_decimal', models.DecimalField(decimal_places=12, max_digits=30, null=True)),
                ('description', models.TextField(blank=True, default='', max_length=5000)),
                ('formula', models.TextField(blank=True, default='')),
                ('period_start', models.DateTimeField()),
                ('period_end', models.DateTimeField()),
                ('discountable', models.BooleanField(default=True)),
                ('proration', models.BooleanField(default=False, editable=False)),
                ('credited_lines', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, editable=False, help_text='Invoice lines that it takes back.', size=None)),
                ('tax_rates', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None)),
                ('tax_behavior', models.CharField(choices=[('unspecified', 'Unspecified'), ('exclusive', 'Exclusive'), ('inclusive', 'Inclusive')], default='unspecified', max_length=12)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(editable=False)),
            ],
            options={
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_finalized_has_number',
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_total_adds_up',
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_amount_due',
        ),
        migrations.RemoveConstraint(
            model_name='invoiceline',
            name='invoice_line_billed_once',
        ),
        migrations.RemoveConstraint(
            model_name='invoiceline',
            name='invoice_line_quantity_bounded',
        ),
        migrations.AddField(
            model_name='invoice',
            name='credit_total',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='default_tax_rates',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None),
        ),
        migrations.AddField(
            model_name='invoice',
            name='discount_total',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='ending_balance',
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='inclusive_tax_total',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='last_finalization_error',
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='post_payment_credit_notes_amount',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='pre_payment_credit_notes_amount',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='starting_balance',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='statement_descriptor',
            field=models.CharField(blank=True, default='', max_length=22),
        ),
        migrations.AddField(
            model_name='invoice',
            name='subscription_proration_date',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax_total',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='invoice',
            name='threshold_reason',
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='credit_amounts',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='credit_total',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='discount_amounts',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='discount_total',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='discountable',
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='inclusive_tax_total',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='revision',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='tax_amounts',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='tax_rates',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, size=None),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='tax_total',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='invoice',
            name='billing_reason',
            field=models.CharField(choices=[('manual', 'Manual'), ('subscription_create', 'Subscription Create'), ('subscription_cycle', 'Subscription Cycle'), ('subscription_update', 'Subscription Update'), ('subscription_threshold', 'Subscription Threshold'), ('automatic_pending_invoice_item_invoice', 'Pending Items')], editable=False, max_length=50),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='kind',
            field=models.CharField(choices=[('unit', 'Unit'), ('flat', 'Flat'), ('item', 'Item'), ('trial', 'Trial'), ('billed', 'Billed')], max_length=10),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='price',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='product',
            field=models.CharField(max_length=64, null=True),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='terms',
            field=models.JSONField(null=True),
        ),
        migrations.AlterField(
            model_name='invoiceline',
            name='unit_amount_decimal',
            field=models.DecimalField(decimal_places=12, max_digits=30, null=True),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finalized_at', None), ('status', 'draft')), models.Q(models.Q(('status', 'draft'), _negated=True), ('finalized_at__isnull', False), ('number__isnull', False)), _connector='OR'), name='invoice_finalized_has_number'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('total', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('subtotal'), '-', models.F('discount_total')), '-', models.F('credit_total')), '+', models.F('tax_total')))), name='invoice_total_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('amount_due__gte', 0)), name='invoice_amount_due_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ending_balance', None), ('status', 'draft')), models.Q(models.Q(('status', 'draft'), _negated=True), ('amount_due', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('total'), '+', models.F('starting_balance')), '-', models.F('ending_balance')), '-', models.F('pre_payment_credit_notes_amount')))), _connector='OR'), name='invoice_amount_due_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('post_payment_credit_notes_amount__gte', 0), ('pre_payment_credit_notes_amount__gte', 0)), name='invoice_credit_notes_not_negative'),
        ),
        migrations.AddField(
            model_name='invoiceitem',
            name='customer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoice_items', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='invoiceitem',
            name='invoice',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='invoice_items', to='invoices.invoice'),
        ),
        migrations.AddField(
            model_name='invoiceitem',
            name='price',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AddField(
            model_name='invoiceitem',
            name='subscription',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='invoice_items', to='subscriptions.subscription'),
        ),
        migrations.AddField(
            model_name='invoiceitem',
            name='subscription_item',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='invoice_items', to='subscriptions.subscriptionitem'),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='invoice_item',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='invoices.invoiceitem'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.UniqueConstraint(condition=models.Q(('item_period__isnull', False)), fields=('item_period', 'kind', 'tier', 'revision'), name='invoice_line_billed_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.UniqueConstraint(fields=('invoice', 'invoice_item'), name='invoice_line_one_per_invoice_item'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', -100000000000000000000000000), ('quantity__lt', 100000000000000000000000000)), name='invoice_line_quantity_bounded'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'item'), _negated=True), ('invoice_item__isnull', False), _connector='OR'), name='invoice_line_of_an_item_names_it'),
        ),
        migrations.AddIndex(
            model_name='invoiceitem',
            index=models.Index(condition=models.Q(('invoice', None)), fields=['customer', 'created_at'], name='invoice_item_pending'),
        ),
        migrations.AddConstraint(
            model_name='invoiceitem',
            constraint=models.CheckConstraint(condition=models.Q(('period_end__gte', models.F('period_start'))), name='invoice_item_period_forward'),
        ),
        migrations.AddConstraint(
            model_name='invoiceitem',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', -1000000000000000), ('amount__lt', 1000000000000000)), name='invoice_item_amount_bounded'),
        ),
        migrations.AddConstraint(
            model_name='invoiceitem',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', -1000000000000000000), ('quantity__lt', 1000000000000000000)), name='invoice_item_quantity_bounded'),
        ),
    ]
