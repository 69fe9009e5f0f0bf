"""Credits in the admin: the pages of this app, for Django to find them."""

from credits.recurring_admin import RecurringCreditGrantAdmin as RecurringCreditGrantAdmin
