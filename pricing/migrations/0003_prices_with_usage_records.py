from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("pricing", "0002_terms_frozen"), ("meters", "0011_hidden_meters")]

    operations = [
        migrations.AddField(
            model_name="price",
            name="aggregate_usage",
            field=models.CharField(
                blank=True,
                choices=[
                    ("sum", "Sum"),
                    ("last_during_period", "Last During Period"),
                    ("last_ever", "Last Ever"),
                    ("max", "Max"),
                ],
                help_text="How the usage records of a period become one quantity, for a price without a meter.",
                max_length=20,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=Q(aggregate_usage=None)
                | Q(
                    usage_type="metered",
                    meter__isnull=False,
                    aggregate_usage__in=["sum", "last_during_period", "last_ever", "max"],
                ),
                name="price_aggregate_usage_metered",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=Q(aggregate_usage__isnull=False),
                fields=("meter",),
                name="price_with_usage_records_has_own_meter",
            ),
        ),
    ]
