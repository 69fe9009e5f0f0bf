"""How every page of the admin changes things: through the verbs, as the API does.

The form checks shape; then one verb is called in Django's own transaction. What the verb refuses is shown on the
form, and nothing is saved.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock
from core.admin_forms import VerbForm, VerbFormSet
from core.buttons import Button, Confirmation, buttons_of
from core.errors import BillingError
from core.foresight import Foreseen, carry_out, foresight_of
from core.panels import panels_of

REFUSAL = "_refusal"  # attribute of a request whose verb has refused
FORESEEN = "_foreseen"  # attribute of a request whose verb has an outcome to be looked at
SEEN = "seen"  # field of what was last looked at
LOOK = "_look"  # name of the button that looks ahead


class VerbInline(TabularInline):
    """Rows given together with a new row of their parent. Who may add the parent may add them."""

    formset = VerbFormSet
    rows_param = ""
    extra = 1
    can_delete = True
    hide_title = True

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> type[VerbFormSet]:
        made = super().get_formset(request, obj, **kwargs)  # a class of this request alone
        made.refusal, made.rows_param = getattr(request, REFUSAL, None), self.rows_param
        return made

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj._state.adding

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)


class PageAdmin(ModelAdmin):
    """A page with panels and buttons. Nothing is ever deleted here: what can be deleted has a verb, and a button."""

    actions = None
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = False
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})}}
    empty_value_display = "–"
    # What an empty list says, and to do next.
    empty_list = ""
    panels_first = False
    # What a page that only shows says instead of a column that would be raw there.
    shown_as: Mapping[str, str] = {"metadata": "metadata_words"}
    change_form_before_template = "core/admin/_foreseen.html"
    change_form_after_template = "core/admin/_look.html"
    change_form_outer_before_template = "core/admin/_panels_before.html"
    change_form_outer_after_template = "core/admin/_panels_after.html"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": [self.shown_as.get(name, name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def name_of(self, row: Any) -> str:
        """What the page of a button calls the row."""
        return str(row)

    @display(description="Metadata")
    def metadata_words(self, row: Any) -> str:
        return pairs_in_words(row.metadata)

    def may_press(self, request: HttpRequest) -> bool:
        """Whether this user may use the buttons: who may change such rows may."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")  # type: ignore[union-attr]

    def get_urls(self) -> list[URLPattern]:
        press = path(
            "<path:object_id>/do/<slug:name>/",
            self.admin_site.admin_view(self.press),
            name=f"{self.opts.app_label}_{self.opts.model_name}_press",
        )
        return [press, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = context.get("original")
        if row is not None:
            context["panels"] = panels_of(row, clock.now())
            context["actions_detail"] = self._button_links(request, row)
        elif foresight_of(self.model):
            context["look"] = LOOK
        if foreseen := getattr(request, FORESEEN, None):
            context |= {"foreseen": foreseen, "errors": None}
            context["adminform"].form.errors.clear()  # its only one is that nothing is written yet
        context["show_save_and_continue"] = context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def press(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask whether to do what the button says; on POST do it."""
        row = self.get_object(request, unquote(object_id))
        if not self.may_press(request):
            raise PermissionDenied
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        button = next((button for button in buttons_of(row) if button.name == name), None)
        if button is None:
            messages.warning(request, f"This is not possible with {row} as it is now.")
            return HttpResponseRedirect(self._page_of(row))
        form = button.form(request.POST if request.method == "POST" else None, row=row)
        context = self._page(request, row, title=button.label) | {
            "button": button,
            "form": form,
            "looks_first": button.foresight_for(row),
        }
        if request.method == "POST" and form.is_valid():
            try:
                return self._pressed(request, row, button, form)
            except Foreseen as foreseen:
                context["foreseen"] = foreseen
            except BillingError as error:
                form.add_error(form.field_of(error.param), error.message)
        elif request.method == "GET" and button.at_once and button.foresight_for(row):
            context |= self._looked_ahead(request, row, button, form)
        return TemplateResponse(request, "core/admin/confirm.html", context)

    def _looked_ahead(self, request: HttpRequest, row: Any, button: Button, form: Confirmation) -> dict[str, Any]:
        """What the button would do by the answers that its form has before anybody has touched it."""
        try:
            self._run(request, row, button, form, form.defaults())
        except Foreseen as foreseen:
            return {"foreseen": foreseen}
        except BillingError as error:
            return {"problem": error.message}
        raise AssertionError("what was never seen is not done")

    def _run(self, request: HttpRequest, row: Any, button: Button, form: Confirmation, answers: dict[str, Any]) -> Any:
        given = answers | {"pressed_by": request.user.get_username()}
        by = button.foresight_for(row)
        if by is None:
            return button.run(row, clock.now(), given)
        return carry_out(
            lambda at: button.run(row, at, given),
            by,
            row=row,
            choices=form.choices(answers),
            seen=request.POST.get(SEEN, ""),
            now=clock.now(),
        )

    def _pressed(self, request: HttpRequest, row: Any, button: Button, form: Confirmation) -> HttpResponse:
        with transaction.atomic():
            outcome = self._run(request, row, button, form, form.cleaned_data)
            if button.deletes:
                self.log_deletions(request, type(row)._default_manager.filter(pk=row.pk))
            else:
                self.log_change(request, row, f"{button.label}.")
        if button.answer:
            context = self._page(request, row, title=button.label) | dict(button.tell(outcome, request))
            return TemplateResponse(request, button.answer, context)
        messages.success(request, button.done)
        return HttpResponseRedirect(self._list() if button.deletes else self._page_of(row))

    def _button_links(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        if not self.may_press(request):
            return []
        return [
            {
                "title": button.label,
                "icon": button.icon,
                "variant": ActionVariant.DANGER if button.danger else ActionVariant.DEFAULT,
                "attrs": {},
                "path": self._url("press", row.pk, button.name),
            }
            for button in buttons_of(row)
        ]

    def _page(self, request: HttpRequest, row: Any, *, title: str) -> dict[str, Any]:
        """What a page about a row needs beside its own."""
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": str(row),
            "opts": self.opts,
            "original": row,
            "name": self.name_of(row),
            "row_url": self._page_of(row),
        }

    def _url(self, view: str, *args: str) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{view}"
        return reverse(name, args=[quote(arg) for arg in args])

    def _page_of(self, row: Any) -> str:
        return self._url("change", row.pk)

    def _list(self) -> str:
        return self._url("changelist")


class ReadOnlyAdmin(PageAdmin):
    """Pages of what has happened: to be looked at only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VerbAdmin(PageAdmin):
    """Pages whose saving is a verb: a subclass says which in `create` and `update`."""

    form = VerbForm
    # The form of an old row, where it is another than that of a new one.
    change_form: type[VerbForm] | None = None
    # Fields of a new row, where they are others than those of an old one.
    add_fieldsets: Sequence[Any] = ()
    # Inlines of a new row.
    add_inlines: Sequence[type[VerbInline]] = ()

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> Model:
        """Call the verb that makes a row of this kind."""
        raise NotImplementedError

    def update(self, row: Any, form: Any, *, at: datetime) -> Model:
        """Call the verb that changes `row`."""
        raise NotImplementedError

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return list(self.add_inlines) if obj is None else []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[VerbForm]:
        kwargs.setdefault("form", self._form_of(obj))
        made = super().get_form(request, obj, change=change, **kwargs)  # a class of this request alone
        for name in set(made.base_fields) - set(flatten_fieldsets(self.get_fieldsets(request, obj))):
            del made.base_fields[name]  # declared, but not on this page
        made.refusal = getattr(request, REFUSAL, None)
        made.rows_params = [inline.rows_param for inline in self.get_inlines(request, obj)]
        return made

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """What the form declares itself is not asked of the model where that calls it not editable."""
        fixed = {field.name for field in self.opts.get_fields() if not getattr(field, "editable", False)}
        return sorted(fixed & self._form_of(obj).declared_fields.keys())

    def _form_of(self, obj: Any) -> type[VerbForm]:
        return self.form if obj is None or self.change_form is None else self.change_form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show or save the form; where the verb refuses, roll back and show the form again with its reason."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except BillingError as error:
            if request.method != "POST" or hasattr(request, REFUSAL):
                raise
            setattr(request, REFUSAL, error)
            return super().changeform_view(request, *args, **kwargs)
        except Foreseen as foreseen:
            setattr(request, FORESEEN, foreseen)
            setattr(request, REFUSAL, BillingError("Nothing is written yet."))  # so that the form is shown again
            return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saved with its inlines, by `save_related`."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Sequence[Any], change: bool) -> None:
        if not change:
            row = self._create(request, form, formsets)
        elif form.has_changed():
            row = self.update(form.instance, form, at=clock.now())
        else:
            return
        # Django logs, and leads to, the form's own instance: let it be the row that the verb has written.
        form.instance.__dict__.update(row.__dict__)

    def _create(self, request: HttpRequest, form: Any, formsets: Sequence[Any]) -> Model:
        """Make the row; if its outcome was looked at, or is to be, then only if it is the one that was seen."""
        seen = request.POST.get(SEEN, "")
        by = foresight_of(self.model)
        if by is None or not (seen or LOOK in request.POST):
            return self.create(form, formsets, at=clock.now())
        made: Model = carry_out(
            lambda at: self.create(form, formsets, at=at),
            by,
            row=None,
            choices=_said(request),
            seen="" if LOOK in request.POST else seen,
            now=clock.now(),
        )
        return made

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        return super().construct_change_message(request, form, [], add)


def pairs_in_words(pairs: Mapping[str, Any] | None) -> str:
    """A small mapping as a page shows it: one name and value a line."""
    found = [(name, value) for name, value in (pairs or {}).items() if value not in (None, "", [], {})]
    return format_html_join("", "<div>{}: {}</div>", found)


def _said(request: HttpRequest) -> str:
    """What the fields of a form say, but for those of the page itself; an empty one says nothing."""
    given = {name: [value for value in request.POST.getlist(name) if value] for name in request.POST}
    own = {"csrfmiddlewaretoken", SEEN}
    return repr(sorted((name, said) for name, said in given.items() if said and name[0] != "_" and name not in own))
