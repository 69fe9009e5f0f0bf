import core.ids
import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import subscriptions.schedule_models
from django.db import migrations, models

from core.sql import only_change


RULES = """
CREATE FUNCTION subscriptions_schedule_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status = 'not_started' AND NEW.status IN ('active', 'released', 'canceled'))
        OR (OLD.status = 'active' AND NEW.status IN ('completed', 'released', 'canceled')) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'schedule %: it cannot go from % to %', OLD.id, OLD.status, NEW.status
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER subscriptions_subscriptionschedule_moves BEFORE UPDATE ON subscriptions_subscriptionschedule
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION subscriptions_schedule_moves();

CREATE FUNCTION subscriptions_phases_tile() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched text := COALESCE(NEW.schedule_id, OLD.schedule_id);
    at_fault timestamptz;
BEGIN
    SELECT start_date INTO at_fault FROM (
        SELECT start_date, position, row_number() OVER phases AS number, lag(end_date) OVER phases AS end_before
        FROM subscriptions_schedulephase WHERE schedule_id = touched WINDOW phases AS (ORDER BY position)
    ) AS phase WHERE position <> number - 1 OR end_before <> start_date LIMIT 1;
    IF at_fault IS NOT NULL THEN
        RAISE EXCEPTION 'the phases of schedule % do not tile time at %', touched, at_fault
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER subscriptions_schedulephase_tile
    AFTER INSERT OR UPDATE OF start_date, end_date, position OR DELETE ON subscriptions_schedulephase
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION subscriptions_phases_tile();
CREATE TRIGGER subscriptions_schedulephase_over BEFORE UPDATE ON subscriptions_schedulephase
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION core_forbid('a phase that is over never changes');
CREATE TRIGGER subscriptions_schedulephase_stays BEFORE DELETE ON subscriptions_schedulephase
    FOR EACH ROW WHEN (OLD.begun_at IS NOT NULL) EXECUTE FUNCTION core_forbid('a phase that has begun is kept');
"""


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0004_notify_of_changed_customers'),
        ('subscriptions', '0008_thresholds_and_pending_items'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubscriptionSchedule',
            fields=[
                ('id', core.ids.IdField(db_collation='C', editable=False, max_length=64, prefix='sub_sched', primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('not_started', 'Not Started'), ('active', 'Active'), ('completed', 'Completed'), ('released', 'Released'), ('canceled', 'Canceled')], default='not_started', editable=False, max_length=12)),
                ('end_behavior', models.CharField(choices=[('release', 'Release'), ('cancel', 'Cancel')], default='release', max_length=8)),
                ('billing_mode', models.CharField(choices=[('classic', 'Classic'), ('flexible', 'Flexible')], default='flexible', editable=False, max_length=10)),
                ('proration_discounts', models.CharField(default='included', editable=False, max_length=10)),
                ('default_settings', models.JSONField(blank=True, default=dict)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('next_at', models.DateTimeField(editable=False, null=True)),
                ('parked_at', models.DateTimeField(editable=False, help_text='Since when it stands still because a phase could not begin.', null=True)),
                ('parked_reason', models.TextField(blank=True, default='', editable=False)),
                ('completed_at', models.DateTimeField(editable=False, null=True)),
                ('canceled_at', models.DateTimeField(editable=False, null=True)),
                ('released_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='subscription_schedules', to='customers.customer')),
                ('released_subscription', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='subscriptions.subscription')),
                ('subscription', models.OneToOneField(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='schedule', to='subscriptions.subscription')),
            ],
            options={
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='SchedulePhase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField()),
                ('start_date', models.DateTimeField()),
                ('end_date', models.DateTimeField()),
                ('begun_at', models.DateTimeField(editable=False, null=True)),
                ('ended_at', models.DateTimeField(editable=False, null=True)),
                ('items', models.JSONField()),
                ('add_invoice_items', models.JSONField(blank=True, default=list)),
                ('currency', models.CharField(max_length=3)),
                ('proration_behavior', models.CharField(choices=[('create_prorations', 'Create Prorations'), ('always_invoice', 'Always Invoice'), ('none', 'None')], default='create_prorations', max_length=20)),
                ('billing_cycle_anchor', models.CharField(choices=[('automatic', 'Automatic'), ('phase_start', 'Phase Start')], max_length=12, null=True)),
                ('billing_thresholds', models.JSONField(null=True)),
                ('collection_method', models.CharField(max_length=24, null=True)),
                ('default_tax_rates', models.JSONField(null=True)),
                ('description', models.CharField(max_length=500, null=True)),
                ('discounts', models.JSONField(null=True)),
                ('invoice_settings', models.JSONField(null=True)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('trial', models.BooleanField(default=False)),
                ('trial_end', models.DateTimeField(null=True)),
                ('schedule', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='phases', to='subscriptions.subscriptionschedule')),
            ],
            options={
                'ordering': ('schedule', 'position'),
            },
        ),
        migrations.AddIndex(
            model_name='subscriptionschedule',
            index=models.Index(condition=models.Q(('next_at__isnull', False)), fields=['next_at'], name='schedule_due'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionschedule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('completed_at', None), ('status', 'not_started'), ('subscription', None)), models.Q(('completed_at', None), ('status', 'active'), ('subscription__isnull', False)), models.Q(('completed_at__isnull', False), ('status', 'completed'), ('subscription__isnull', False)), models.Q(('canceled_at__isnull', False), ('status', 'canceled')), models.Q(('released_at__isnull', False), ('status', 'released'), ('subscription', None)), _connector='OR'), name='schedule_status_has_its_time'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionschedule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('next_at__isnull', False), ('parked_at', None), ('status__in', ('not_started', 'active'))), models.Q(('next_at', None), ('parked_at__isnull', False), ('status__in', ('not_started', 'active'))), models.Q(models.Q(('status__in', ('not_started', 'active')), _negated=True), ('next_at', None)), _connector='OR'), name='schedule_live_has_next'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionschedule',
            constraint=models.CheckConstraint(condition=models.Q(('end_behavior__in', ['release', 'cancel'])), name='schedule_end_known'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionschedule',
            constraint=models.CheckConstraint(condition=models.Q(('billing_mode__in', ['classic', 'flexible'])), name='schedule_billing_mode_known'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.UniqueConstraint(fields=('schedule', 'position'), name='phase_one_per_position'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.CheckConstraint(condition=models.Q(('end_date__gt', models.F('start_date'))), name='phase_forward'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at', None), ('begun_at__isnull', False), _connector='OR'), name='phase_ends_after_it_began'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(expressions=[('schedule', '='), (subscriptions.schedule_models._PhaseRange('start_date', 'end_date', django.contrib.postgres.fields.ranges.RangeBoundary()), '&&')], name='phase_no_overlap'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.UniqueConstraint(condition=models.Q(('begun_at__isnull', False), ('ended_at', None)), fields=('schedule',), name='phase_one_in_force'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.CheckConstraint(condition=models.Q(('proration_behavior__in', ['create_prorations', 'always_invoice', 'none'])), name='phase_proration_behavior_known'),
        ),
        migrations.AddConstraint(
            model_name='schedulephase',
            constraint=models.CheckConstraint(condition=models.Q(('trial_end', None), models.Q(('trial_end__gte', models.F('start_date')), ('trial_end__lte', models.F('end_date'))), _connector='OR'), name='phase_trial_within'),
        ),
        migrations.RunSQL(RULES, migrations.RunSQL.noop),
        migrations.RunSQL(
            only_change(
                "subscriptions_subscriptionschedule",
                "metadata",
                when="OLD.status IN ('completed', 'released', 'canceled')",
            ),
            migrations.RunSQL.noop,
        ),
    ]
