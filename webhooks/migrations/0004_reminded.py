from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("webhooks", "0003_endpoints_and_deliveries")]

    operations = [
        migrations.CreateModel(
            name="Reminded",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("type", models.CharField(max_length=100)),
                ("object_id", models.CharField(max_length=255)),
                ("instant", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("object_id", "type", "instant"), name="reminded_once")
                ],
            },
        ),
    ]
