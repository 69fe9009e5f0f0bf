from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("meters", "0004_move_events")]

    operations = [migrations.RunSQL("DROP TABLE meters_meterevent_whole")]
