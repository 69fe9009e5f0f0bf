"""The pages of the admin that belong to no app of ours: users, mail and the schedule; loading this registers them."""

from billing_project.admin import mail, people, schedule_pages

__all__ = ["mail", "people", "schedule_pages"]
