import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from subscriptions.periods import Anchor, Cadence, period_containing

# The price and quantity of a period are those of its item: none has changed until now.
FILL = """
ALTER TABLE subscriptions_itemperiod DISABLE TRIGGER subscriptions_itemperiod_frozen;
UPDATE subscriptions_itemperiod AS period SET price_id = item.price_id, quantity = item.quantity,
    bills_at = period.ends_at
    FROM subscriptions_subscriptionitem AS item WHERE item.id = period.item_id;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE subscriptions_itemperiod ENABLE TRIGGER subscriptions_itemperiod_frozen;
"""


def keep_wholes(apps, schema_editor):
    """Keep of which full period a shorter open one is a share, which until now was computed from the anchor."""
    periods = apps.get_model("subscriptions", "ItemPeriod").objects.filter(closed_at=None, quantity__isnull=False)
    for period in periods.select_related("item__subscription", "price").iterator():
        subscription = period.item.subscription
        anchor = Anchor(subscription.billing_cycle_anchor, subscription.anchor_day)
        cadence = Cadence(period.price.interval, period.price.interval_count)
        whole = period_containing(anchor, cadence, period.starts_at)
        if (whole.start, whole.end) != (period.starts_at, period.ends_at):
            period.whole_starts_at, period.whole_ends_at = whole.start, whole.end
            period.save(update_fields=["whole_starts_at", "whole_ends_at"])


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0004_notify_of_changed_customers'),
        ('pricing', '0003_prices_with_usage_records'),
        ('subscriptions', '0003_closed_periods_stay'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='itemperiod',
            name='item_period_one_open_per_item',
        ),
        migrations.RemoveConstraint(
            model_name='itemperiod',
            name='item_period_closed_has_outcome',
        ),
        migrations.RemoveConstraint(
            model_name='subscription',
            name='subscription_status_known',
        ),
        migrations.RemoveConstraint(
            model_name='subscription',
            name='subscription_canceled_has_ended',
        ),
        migrations.RemoveConstraint(
            model_name='subscriptionitem',
            name='subscription_item_one_per_price',
        ),
        migrations.RemoveIndex(
            model_name='itemperiod',
            name='item_period_open_by_end',
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='bills_at',
            field=models.DateTimeField(help_text='When it is closed: at its end; a part that was cut off, with the rest.', null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='is_cut',
            field=models.BooleanField(default=False, help_text='Ended by a change before its time.'),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='kind',
            field=models.CharField(choices=[('regular', 'Regular'), ('trial', 'Trial'), ('free', 'Free'), ('paused', 'Paused')], default='regular', max_length=8),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='price',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='quantity',
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='whole_ends_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='whole_starts_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='itemperiod',
            name='price',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AlterField(
            model_name='itemperiod',
            name='bills_at',
            field=models.DateTimeField(help_text='When it is closed: at its end; a part that was cut off, with the rest.'),
        ),
        migrations.RunPython(keep_wholes, migrations.RunPython.noop, elidable=True),
        migrations.AddField(
            model_name='subscription',
            name='billing_mode',
            field=models.CharField(choices=[('classic', 'Classic'), ('flexible', 'Flexible')], default='flexible', editable=False, max_length=10),
        ),
        migrations.AddField(
            model_name='subscription',
            name='billing_mode_updated_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='default_tax_rates',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None),
        ),
        migrations.AddField(
            model_name='subscription',
            name='invoice_settings',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='subscription',
            name='missing_payment_method',
            field=models.CharField(choices=[('create_invoice', 'Create Invoice'), ('cancel', 'Cancel'), ('pause', 'Pause')], default='create_invoice', help_text='What happens at the end of a trial without a way to pay.', max_length=16),
        ),
        migrations.AddField(
            model_name='subscription',
            name='next_pending_invoice_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='parked_at',
            field=models.DateTimeField(editable=False, help_text='Since when it is not billed because its numbers are at fault.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='parked_reason',
            field=models.TextField(blank=True, default='', editable=False),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pause_collection',
            field=models.CharField(choices=[('keep_as_draft', 'Keep As Draft'), ('mark_uncollectible', 'Mark Uncollectible'), ('void', 'Void')], editable=False, help_text='What becomes of invoices while their collection is paused.', max_length=20, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pause_collection_resumes_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='paused_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pending_interval',
            field=models.CharField(blank=True, choices=[('day', 'Day'), ('week', 'Week'), ('month', 'Month'), ('year', 'Year')], max_length=5, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pending_interval_count',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='proration_discounts',
            field=models.CharField(choices=[('included', 'Included'), ('itemized', 'Itemized')], default='included', editable=False, max_length=10),
        ),
        migrations.AddField(
            model_name='subscription',
            name='threshold_amount',
            field=models.PositiveBigIntegerField(blank=True, help_text='An invoice is made as soon as this much is accrued, in minor units.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='threshold_resets_anchor',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='subscription',
            name='trial_end',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='trial_start',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscriptionitem',
            name='deleted_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='subscriptionitem',
            name='tax_rates',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None),
        ),
        migrations.AddField(
            model_name='subscriptionitem',
            name='threshold_usage',
            field=models.PositiveBigIntegerField(blank=True, help_text='An invoice is made as soon as this much is used in a period.', null=True),
        ),
        migrations.AlterField(
            model_name='itemperiod',
            name='outcome',
            field=models.CharField(choices=[('invoiced', 'Invoiced'), ('discarded', 'Discarded'), ('free', 'Free')], editable=False, max_length=10, null=True),
        ),
        migrations.AlterField(
            model_name='subscription',
            name='status',
            field=models.CharField(choices=[('incomplete', 'Incomplete'), ('incomplete_expired', 'Incomplete Expired'), ('trialing', 'Trialing'), ('active', 'Active'), ('past_due', 'Past Due'), ('unpaid', 'Unpaid'), ('paused', 'Paused'), ('canceled', 'Canceled')], default='active', editable=False, max_length=20),
        ),
        migrations.AddIndex(
            model_name='itemperiod',
            index=models.Index(condition=models.Q(('closed_at', None)), fields=['bills_at'], name='item_period_to_close'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None), ('is_cut', False)), fields=('item',), name='item_period_one_open_per_item'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.CheckConstraint(condition=models.Q(('bills_at__gte', models.F('ends_at'))), name='item_period_billed_after_its_end'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at', None), ('outcome', None)), models.Q(('closed_at__isnull', False), ('outcome__in', ['invoiced', 'discarded', 'free'])), _connector='OR'), name='item_period_closed_has_outcome'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['regular', 'trial', 'free', 'paused'])), name='item_period_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('whole_ends_at', None), ('whole_starts_at', None)), models.Q(('whole_ends_at__gte', models.F('ends_at')), ('whole_starts_at__lte', models.F('starts_at'))), _connector='OR'), name='item_period_part_of_whole'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'canceled'])), name='subscription_status_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', False), ('status__in', ['canceled', 'incomplete_expired'])), models.Q(models.Q(('status__in', ['canceled', 'incomplete_expired']), _negated=True), ('ended_at', None)), _connector='OR'), name='subscription_ended_has_end'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('billing_mode__in', ['classic', 'flexible'])), name='subscription_billing_mode_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('trial_end', None), ('trial_start', None)), ('trial_end__gte', models.F('trial_start')), _connector='OR'), name='subscription_trial_forward'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'paused'), ('paused_at__isnull', False)), models.Q(models.Q(('status', 'paused'), _negated=True), ('paused_at', None)), _connector='OR'), name='subscription_paused_since'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('pause_collection', None), ('pause_collection_resumes_at', None)), ('pause_collection__in', ['keep_as_draft', 'mark_uncollectible', 'void']), _connector='OR'), name='subscription_pause_collection_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('next_pending_invoice_at', None), ('pending_interval', None), ('pending_interval_count', None)), models.Q(('next_pending_invoice_at__isnull', False), ('pending_interval__isnull', False), ('pending_interval_count__gte', 1)), _connector='OR'), name='subscription_pending_interval_whole'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionitem',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at', None)), fields=('subscription', 'price'), name='subscription_item_one_per_price'),
        ),
    ]
