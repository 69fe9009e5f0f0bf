import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pricing', '0003_prices_with_usage_records'),
        ('subscriptions', '0004_slices_of_time'),
    ]

    operations = [
        # Django takes a unique index on a part of the table for the index of the field, and would drop both.
        migrations.RemoveConstraint(
            model_name='itemperiod',
            name='item_period_one_open_per_item',
        ),
        migrations.AlterField(
            model_name='itemperiod',
            name='item',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='periods', to='subscriptions.subscriptionitem'),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None), ('is_cut', False)), fields=('item',), name='item_period_one_open_per_item'),
        ),
        migrations.AlterField(
            model_name='itemperiod',
            name='price',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.price'),
        ),
        migrations.AddIndex(
            model_name='itemperiod',
            index=models.Index(fields=['item', 'starts_at'], name='item_period_by_item'),
        ),
    ]
