from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("invoices", "0007_subtotal_and_fewer_indexes")]

    operations = [
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("due_date__isnull", False), ("status", "open")),
                fields=["due_date"],
                name="invoice_to_be_paid",
            ),
        ),
    ]
