"""The pages of the admin that belong to no app of ours: users and the schedule; loading this registers them."""

from billing_project.admin import people, schedule_pages

__all__ = ["people", "schedule_pages"]
