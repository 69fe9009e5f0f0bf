import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customers", "0007_customer_email_any_case")]

    operations = [
        migrations.CreateModel(
            name="WatchMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("customer_ref", models.BigIntegerField()),
                ("of_usage", models.BooleanField(default=False)),
                ("marked_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("customer_ref", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="watch",
                        to="customers.customer",
                    ),
                ),
            ],
            options={"verbose_name_plural": "watches"},
        ),
    ]
