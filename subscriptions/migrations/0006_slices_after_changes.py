import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pricing', '0003_prices_with_usage_records'),
        ('subscriptions', '0005_fewer_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='itemperiod',
            name='billed_amount',
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='billed_by',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, editable=False, size=None),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='billed_ends_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='billed_starts_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='itemperiod',
            name='period_starts_at',
            field=models.DateTimeField(editable=False, help_text='Where the period that a change has cut in two began.', null=True),
        ),
        migrations.AddConstraint(
            model_name='itemperiod',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('billed_amount', None), ('billed_ends_at', None), ('billed_starts_at', None)), models.Q(('billed_amount__isnull', False), ('billed_ends_at__gte', models.F('billed_starts_at'))), _connector='OR'), name='item_period_billed_for_a_time'),
        ),
    ]
