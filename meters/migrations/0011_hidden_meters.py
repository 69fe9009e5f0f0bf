from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meters", "0010_notify_of_changed_meters")]

    operations = [
        migrations.AddField(
            model_name="meter",
            name="hidden",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Made for one price: it counts usage records, takes no events from outside and is not listed.",
            ),
        ),
    ]
