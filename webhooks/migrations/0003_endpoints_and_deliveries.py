import core.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from core.sql import append_only

# Wakes who delivers, when what was put into the outbox is committed.
NOTIFY = """
CREATE FUNCTION webhooks_notify_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('countinghouse_deliveries', '');
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_delivery_notify AFTER INSERT ON webhooks_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_notify_deliveries();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0002_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.CharField(db_collation='C', max_length=64, verbose_name='event')),
                ('event_type', models.CharField(max_length=100, verbose_name='type')),
                ('of_thin', models.BooleanField(default=False)),
                ('pending_webhooks', models.PositiveSmallIntegerField(help_text='As the body says it: of this event, then.')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('failed', 'Failed'), ('canceled', 'Canceled')], default='pending', max_length=9)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('next_attempt_at', models.DateTimeField(null=True)),
                ('delivered_at', models.DateTimeField(null=True)),
                ('asked_by', models.CharField(blank=True, help_text='Who asked for the attempt that is due.', max_length=150)),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ('-pk',),
            },
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('milliseconds', models.PositiveIntegerField()),
                ('status', models.PositiveSmallIntegerField(help_text='Of HTTP; none: there was no answer.', null=True)),
                ('answer', models.CharField(blank=True, max_length=200)),
                ('problem', models.CharField(blank=True, max_length=200)),
                ('asked_by', models.CharField(blank=True, max_length=150)),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tries', to='webhooks.delivery')),
            ],
            options={
                'ordering': ('-pk',),
            },
        ),
        migrations.CreateModel(
            name='Endpoint',
            fields=[
                ('id', core.ids.IdField(db_collation='C', editable=False, max_length=64, prefix='we', primary_key=True, serialize=False)),
                ('is_destination', models.BooleanField(default=False, editable=False, help_text='Made under /v2.')),
                ('url', models.CharField(max_length=2000, verbose_name='URL')),
                ('enabled_events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), help_text='Types of events; * stands for all.', size=None)),
                ('payload', models.CharField(choices=[('snapshot', 'Snapshot'), ('thin', 'Thin')], default='snapshot', editable=False, max_length=8)),
                ('api_version', models.CharField(blank=True, editable=False, max_length=30, verbose_name='API version')),
                ('name', models.CharField(blank=True, max_length=255)),
                ('description', models.CharField(blank=True, max_length=5000)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('status', models.CharField(choices=[('enabled', 'Enabled'), ('disabled', 'Disabled')], default='enabled', editable=False, max_length=8)),
                ('disabled_reason', models.CharField(blank=True, choices=[('user', 'by a user'), ('receiver_gone', 'the receiver answered 410'), ('receiver_failing', 'nothing but failures for too long')], editable=False, max_length=16)),
                ('disabled_at', models.DateTimeField(editable=False, null=True)),
                ('failing_since', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('updated_at', models.DateTimeField(editable=False)),
                ('deleted_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'verbose_name': 'webhook endpoint',
                'ordering': ('-created_at', '-id'),
                'constraints': [models.CheckConstraint(condition=models.Q(('enabled_events__len__gt', 0)), name='endpoint_wants_something'), models.CheckConstraint(condition=models.Q(models.Q(('disabled_at', None), ('disabled_reason', ''), ('status', 'enabled')), models.Q(('disabled_at__isnull', False), ('status', 'disabled'), models.Q(('disabled_reason', ''), _negated=True)), _connector='OR'), name='endpoint_disabled_for_a_reason'), models.CheckConstraint(condition=models.Q(('payload__in', ('snapshot', 'thin'))), name='endpoint_payload_is_known')],
            },
        ),
        migrations.AddField(
            model_name='delivery',
            name='endpoint',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='webhooks.endpoint'),
        ),
        migrations.CreateModel(
            name='SigningSecret',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sealed', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='secrets', to='webhooks.endpoint')),
            ],
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['endpoint', 'next_attempt_at'], name='delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['status', '-id'], name='delivery_by_status'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('event_id', 'endpoint'), name='event_goes_to_an_endpoint_once'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'pending'), _negated=True), ('next_attempt_at__isnull', False), _connector='OR'), name='delivery_pending_is_due'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'delivered'), _negated=True), ('delivered_at__isnull', False), _connector='OR'), name='delivery_delivered_at_some_time'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'canceled'), _negated=True), ('next_attempt_at', None), _connector='OR'), name='delivery_canceled_is_not_due'),
        ),
        migrations.AddConstraint(
            model_name='signingsecret',
            constraint=models.UniqueConstraint(condition=models.Q(('expires_at', None)), fields=('endpoint',), name='endpoint_has_one_lasting_secret'),
        ),
        migrations.RunSQL(append_only("webhooks_attempt", "attempts are append-only"), migrations.RunSQL.noop),
        migrations.RunSQL(NOTIFY, "DROP FUNCTION webhooks_notify_deliveries() CASCADE"),
    ]
