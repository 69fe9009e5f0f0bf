"""Forms as a browser sends them: what stands in the fields of a page, and what a person changes there."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client


class FormReader(HTMLParser):
    """The fields of the forms with method post, by name, with the values they show."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        self._boxes: set[str] = set()  # names of checked boxes: each may have several
        self._in_form = False
        self._select: str | None = None
        self._textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name")
        if tag == "form":
            self._in_form = given.get("method") == "post"
        elif not self._in_form:
            return
        elif tag == "input" and name:
            self._input(name, given)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.fields):
            self.fields[self._select] = given.get("value") or ""
        elif tag == "textarea" and name:
            self._textarea = name
            self.fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.fields[self._textarea] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        kind = given.get("type")
        if kind == "checkbox":
            if "checked" in given:
                value = given.get("value") or "on"
                self.fields[name] = [*self.fields[name], value] if name in self._boxes else [value]
                self._boxes.add(name)
        elif kind != "submit":
            self.fields[name] = given.get("value") or ""


def fields_of(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    reader = FormReader()
    reader.feed(answer.content.decode())
    return reader.fields


def submit(client: Client, path: str, **values: Any) -> Any:
    """Open a page, change the given fields (None: leave the checkbox off), and send its form."""
    fields = {name: value for name, value in fields_of(client, path).items() if "__prefix__" not in name}
    fields |= values
    return client.post(path, {name: value for name, value in fields.items() if value is not None})


def again(client: Client, path: str, answer: Any, **values: Any) -> Any:
    """Send the form of a page that was shown again, with the given fields changed."""
    reader = FormReader()
    reader.feed(answer.content.decode())
    fields = {name: value for name, value in reader.fields.items() if "__prefix__" not in name} | values
    return client.post(path, {name: value for name, value in fields.items() if value is not None})


def confirm(client: Client, path: str, **values: Any) -> Any:
    """Fill in a page that shows what would be done, look at it, and send it again as it is."""
    answer = submit(client, path, **values)
    return again(client, path, answer) if answer.status_code == 200 and answer.context.get("foreseen") else answer


def errors_of(answer: Any) -> dict[str, list[str]]:
    """The errors on the form of a page that was shown again."""
    assert answer.status_code == 200, answer.status_code
    return {name: list(found) for name, found in answer.context["adminform"].form.errors.items()}
