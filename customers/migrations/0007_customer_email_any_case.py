from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [("customers", "0006_balance_follows_its_ledger")]

    operations = [
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(Upper("email"), name="customer_email_any_case"),
        ),
    ]
