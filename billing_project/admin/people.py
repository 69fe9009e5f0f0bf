"""Users, groups, and what they have done in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who has changed what here; the API is not in it."""

    search_fields = ("object_repr", "object_id", "user__username")
    search_help_text = "Search by user, or by what was changed"
    date_hierarchy = "action_time"
    list_display = ("action_time", "user", "action_flag", "content_type", "object_repr", "message")
    list_filter = ("action_flag", "user", ("action_time", DayRangeFilter))
    list_select_related = ("user", "content_type")
    fields = ("action_time", "user", "action_flag", "content_type", "object_repr", "object_id", "message")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("content_type")

    @admin.display(description="What was done")
    def message(self, row: LogEntry) -> str:
        return row.get_change_message()
