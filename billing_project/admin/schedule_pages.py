"""What runs by itself, and how often: the scheduler's own pages in the look of the others."""

from typing import Any

from django.contrib import admin
from django_celery_beat.admin import ClockedScheduleAdmin as BeatClockedAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

for _model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(_model)


class TaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The known tasks to choose from."""


class TaskForm(PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BeatTaskAdmin, ModelAdmin):
    form = TaskForm
    # The scheduler's own template holds a script, which the pages' security policy refuses.
    change_form_template = None
    date_hierarchy = None
    list_display = ("name", "enabled", "scheduler", "last_run_at", "total_run_count", "description")
    list_filter = ("enabled", "one_off")
    search_help_text = "Search by name or task"


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ModelAdmin):
    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ModelAdmin):
    list_display = BeatCrontabAdmin.list_display
    fields = BeatCrontabAdmin.fields
    readonly_fields = BeatCrontabAdmin.readonly_fields


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ModelAdmin):
    list_display = BeatClockedAdmin.list_display
    fields = BeatClockedAdmin.fields


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ModelAdmin):
    list_display = ("__str__",)
