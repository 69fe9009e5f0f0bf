import core.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('api', '0001_api_keys_and_idempotency_keys'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageImport',
            fields=[
                ('id', core.ids.IdField(db_collation='C', editable=False, max_length=64, prefix='uimp', primary_key=True, serialize=False)),
                ('file_name', models.CharField(max_length=255)),
                ('format', models.CharField(choices=[('csv', 'CSV'), ('json', 'JSON array'), ('ndjson', 'NDJSON (one JSON object a line)'), ('cloudevents', 'CloudEvents JSON batch')], max_length=12)),
                ('dry_run', models.BooleanField(default=False)),
                ('status', models.CharField(choices=[('awaiting_upload', 'Awaiting Upload'), ('pending', 'Pending'), ('processing', 'Processing'), ('succeeded', 'Succeeded'), ('succeeded_with_errors', 'Succeeded With Errors'), ('failed', 'Failed'), ('canceled', 'Canceled')], default='awaiting_upload', max_length=24)),
                ('size', models.BigIntegerField(null=True)),
                ('uploaded_bytes', models.BigIntegerField(default=0)),
                ('processed_bytes', models.BigIntegerField(default=0)),
                ('last_row', models.BigIntegerField(default=0)),
                ('stored', models.BigIntegerField(default=0)),
                ('duplicate', models.BigIntegerField(default=0)),
                ('conflict', models.BigIntegerField(default=0)),
                ('rejected', models.BigIntegerField(default=0)),
                ('columns', models.JSONField(help_text='The header of a CSV file.', null=True)),
                ('file_hash', models.CharField(blank=True, default='', help_text='SHA-256, in hexadecimal.', max_length=64)),
                ('fingerprint', models.CharField(blank=True, default='', help_text='By which a browser knows it again.', max_length=100)),
                ('failed_reason', models.CharField(blank=True, default='', max_length=40)),
                ('failed_message', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField()),
                ('uploaded_at', models.DateTimeField(help_text='When something was last added.')),
                ('received_at', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('api_key', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='api.apikey')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'usage import',
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='UsageImportChunk',
            fields=[
                ('pk', models.CompositePrimaryKey('usage_import_id', 'position', blank=True, editable=False, primary_key=True, serialize=False)),
                ('position', models.BigIntegerField()),
                ('data', models.BinaryField()),
                ('usage_import', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='usage_imports.usageimport')),
            ],
        ),
        migrations.CreateModel(
            name='UsageImportError',
            fields=[
                ('pk', models.CompositePrimaryKey('usage_import_id', 'row', blank=True, editable=False, primary_key=True, serialize=False)),
                ('row', models.BigIntegerField()),
                ('code', models.CharField(max_length=64)),
                ('message', models.TextField()),
                ('record', models.TextField()),
                ('usage_import', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='errors', to='usage_imports.usageimport')),
            ],
            options={
                'ordering': ('usage_import_id', 'row'),
            },
        ),
        migrations.AddIndex(
            model_name='usageimport',
            index=models.Index(condition=models.Q(('status__in', ['awaiting_upload', 'pending', 'processing'])), fields=['created_at'], name='usage_import_open'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['awaiting_upload', 'pending', 'processing', 'succeeded', 'succeeded_with_errors', 'failed', 'canceled'])), name='usage_import_status_known'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(('format__in', ['csv', 'json', 'ndjson', 'cloudevents'])), name='usage_import_format_known'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), ('status__in', ['awaiting_upload', 'pending', 'processing'])), models.Q(('finished_at__isnull', False), ('status__in', ['succeeded', 'succeeded_with_errors', 'failed', 'canceled'])), _connector='OR'), name='usage_import_ended_has_time'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'failed'), models.Q(('failed_reason', ''), _negated=True)), models.Q(models.Q(('status', 'failed'), _negated=True), ('failed_reason', '')), _connector='OR'), name='usage_import_failed_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(('processed_bytes__lte', models.F('uploaded_bytes'))), name='usage_import_reads_what_has_come'),
        ),
        # Not compressed: a part of a chunk can then be read without reading all of it.
        migrations.RunSQL(
            "ALTER TABLE usage_imports_usageimportchunk ALTER COLUMN data SET STORAGE EXTERNAL",
            migrations.RunSQL.noop,
        ),
    ]
