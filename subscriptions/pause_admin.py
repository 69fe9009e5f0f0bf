"""Trials and pauses in the admin: the buttons of a subscription's page, and their forms."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget, UnfoldBooleanSwitchWidget

from core.buttons import Button, Confirmation, add_button
from subscriptions.change import update_subscription
from subscriptions.models import Subscription
from subscriptions.pause import Pause, Resumption, pause_subscription, resume_subscription
from subscriptions.pause_collection import Collection
from subscriptions.trials import Trial

CREDITS = (
    ("now", "The days that are left"),
    ("item_current_period_start", "The whole current period"),
    ("none", "Nothing"),
)
ANCHORS = (("now", "Begin a full period now"), ("unchanged", "Keep the old dates"))
PRORATIONS = (
    ("create_prorations", "On the next invoice"),
    ("always_invoice", "By an invoice at once"),
    ("none", "Not at all"),
)
BEHAVIORS = (
    ("keep_as_draft", "Keep them as drafts"),
    ("mark_uncollectible", "Write them off as uncollectible"),
    ("void", "Void them"),
)


class PauseForm(Confirmation):
    bill_usage = forms.BooleanField(
        label="Bill the usage until now",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else the usage since the last invoice is discarded.",
    )
    credit_from = forms.ChoiceField(
        label="Give back of fixed quantities", choices=CREDITS, initial="now", widget=UnfoldAdminSelectWidget
    )
    invoice_at_once = forms.BooleanField(
        label="Invoice this at once",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else it waits for the invoice after the pause.",
    )


class ResumeForm(Confirmation):
    anchor = forms.ChoiceField(label="Periods", choices=ANCHORS, initial="now", widget=UnfoldAdminSelectWidget)
    proration_behavior = forms.ChoiceField(
        label="Charge the rest of the period",
        choices=PRORATIONS,
        initial="create_prorations",
        widget=UnfoldAdminSelectWidget,
        help_text="Where the old dates are kept. A full period is invoiced at once.",
    )


class PauseCollectionForm(Confirmation):
    behavior = forms.ChoiceField(label="Invoices until then", choices=BEHAVIORS, widget=UnfoldAdminSelectWidget)
    resumes_at = forms.SplitDateTimeField(
        label="Collect again from (UTC)",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Empty: until somebody resumes it.",
    )


def end_trial(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    return update_subscription(row.pk, changes={}, trial=Trial(end="now"), at=at)


def pause(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    wish = Pause(answers["bill_usage"], answers["credit_from"], answers["invoice_at_once"])
    return pause_subscription(row.pk, pause=wish, at=at)


def resume(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    return resume_subscription(row.pk, resumption=Resumption(answers["anchor"], answers["proration_behavior"]), at=at)


def pause_collection(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> None:
    wish = Collection(answers["behavior"], answers["resumes_at"])
    update_subscription(row.pk, changes={}, collection=wish, at=at)


def resume_collection(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> None:
    update_subscription(row.pk, changes={}, collection=Collection(), at=at)


for button in (
    Button(
        name="end-trial",
        label="End trial now",
        icon="flag",
        question="The trial ends at once. A full period begins and is invoiced now; usage until now is not billed.",
        done="The trial has ended.",
        run=end_trial,
        when=lambda row: row.is_trialing,
        foreseen=True,
        at_once=True,
    ),
    Button(
        name="resume",
        label="Resume",
        icon="play_circle",
        question="The subscription is billed again. What was used while it was paused is not billed.",
        done="The subscription is active again.",
        run=resume,
        when=lambda row: row.is_paused,
        form=ResumeForm,
        foreseen=True,
        at_once=True,
    ),
    Button(
        name="pause",
        label="Pause",
        icon="pause_circle",
        question="Nothing is billed, and no invoice is made, until the subscription is resumed. Usage until then is "
        "taken in and not billed.",
        done="The subscription is paused.",
        run=pause,
        when=lambda row: row.can_pause and row.is_flexible and not row.is_sent,
        form=PauseForm,
        foreseen=True,
        at_once=True,
    ),
    Button(
        name="pause-collection",
        label="Pause collection",
        icon="money_off",
        question="Invoices are made as before, and not collected.",
        done="Invoices are not collected for the time being.",
        run=pause_collection,
        when=lambda row: not row.has_ended and not row.pause_collection,
        form=PauseCollectionForm,
    ),
    Button(
        name="resume-collection",
        label="Resume collection",
        icon="payments",
        question="Invoices are collected again from now on. Those of the pause stay as they are.",
        done="Invoices are collected again.",
        run=resume_collection,
        when=lambda row: not row.has_ended and bool(row.pause_collection),
    ),
):
    add_button(Subscription, button)
