"""Everything that runs by itself, and how often. Seeds the schedule, which is then edited in the admin."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A task without arguments, sent every `seconds`."""

    task: str
    seconds: int
    description: str


TIMETABLE: dict[str, Entry] = {
    "heartbeat": Entry("core.tasks.heartbeat", 5, "Shows that beat, broker and worker work; see /readyz."),
    "advance due schedules": Entry(
        "subscriptions.tasks.advance_due_schedules", 20, "Begins each phase of a schedule whose time has come."
    ),
    "close due periods": Entry(
        "invoices.tasks.close_due_periods", 20, "Makes the draft invoice of each period that has ended."
    ),
    "check thresholds": Entry(
        "invoices.tasks.check_thresholds", 10, "Bills usage that has reached a threshold before its period ends."
    ),
    "bill pending items": Entry(
        "invoices.tasks.bill_pending_items", 60, "Bills what is pending of subscriptions that have an interval for it."
    ),
    "finalize due invoices": Entry(
        "invoices.tasks.finalize_due_invoices", 20, "Finalizes drafts whose time of grace is over."
    ),
    "correct late usage": Entry(
        "invoices.tasks.correct_late_usage", 900, "Finds usage that changed after its invoice was final."
    ),
    "mark past due subscriptions": Entry(
        "invoices.tasks.mark_past_due_subscriptions", 60, "Marks those whose invoice was sent and is not paid in time."
    ),
    "remind of subscriptions": Entry(
        "subscriptions.tasks.remind_of_subscriptions", 300, "Tells of trials and schedules that are about to end."
    ),
    "remind of invoices": Entry(
        "invoices.tasks.remind_of_invoices", 300, "Tells of invoices to come, about to be due, and overdue."
    ),
    "resume due collections": Entry(
        "subscriptions.tasks.resume_due_collections", 20, "Collects invoices again whose pause has a date of its end."
    ),
    "expire credit grants": Entry(
        "credits.tasks.expire_credit_grants", 20, "Books what is left of credit grants that have ended."
    ),
    "expire credit holds": Entry(
        "credits.tasks.expire_credit_holds", 60, "Marks credit holds whose time is over; they count no longer anyhow."
    ),
    "evaluate marked customers": Entry(
        "alerts.tasks.evaluate_marked_customers", 5, "Evaluates alerts of customers for whom something has changed."
    ),
    "evaluate timed alerts": Entry(
        "alerts.tasks.evaluate_timed_alerts", 60, "Evaluates alerts that time alone can bring about."
    ),
    "grant recurring credits": Entry(
        "credits.tasks.grant_recurring_credits", 5, "Grants the credits of each period that has begun."
    ),
    "settle credit periods": Entry(
        "credits.tasks.settle_credit_periods",
        60,
        "Ends the credits of periods that are over and billed, or carries them over.",
    ),
    "top up credits": Entry(
        "invoices.tasks.top_up_credits", 5, "Buys credits for customers whose balance has reached its threshold."
    ),
    "advance test clocks": Entry(
        "customers.tasks.advance_test_clocks", 5, "Carries on the test clocks that are advancing."
    ),
    "delete expired test clocks": Entry(
        "customers.tasks.delete_expired_test_clocks", 3600, "Removes test clocks that are 30 days old."
    ),
    "forget idempotency keys": Entry(
        "api.tasks.forget_idempotency_keys", 3600, "Removes stored answers older than a day."
    ),
    "forget portal sessions": Entry(
        "portal.tasks.forget_portal_sessions", 86_400, "Removes portal links that expired 30 days ago."
    ),
    "report refused events": Entry(
        "meters.tasks.report_refused_events", 10, "Tells of usage that was refused after it had been taken in."
    ),
    "begin a new month of events": Entry(
        "meters.tasks.rotate_epoch", 600, "Makes the next partition of events ahead of time, and turns to it."
    ),
    "carry on usage imports": Entry(
        "usage_imports.tasks.carry_on_imports", 10, "Wakes a worker for each file of events that is not done."
    ),
    "give up abandoned uploads": Entry(
        "usage_imports.tasks.give_up_abandoned_uploads", 3600, "Ends uploads that nobody went on with for a week."
    ),
    "replay quarantined events": Entry(
        "meters.tasks.replay_quarantined",
        30,
        "Replays refused events when somebody has asked for it, or when their customer is known now.",
    ),
    "archive old events": Entry(
        "meters.tasks.archive_events", 3600, "Moves months older than EVENTS_KEPT_MONTHS into files, a step at a time."
    ),
}
