"""The document of the whole product: valid, complete, made without a warning."""

from collections import Counter

from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from api.views import ApiView


def test_the_whole_document() -> None:
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)
    assert not GENERATOR_STATS
    validate_schema(schema)
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert max(Counter(operation["operationId"] for operation in operations).values()) == 1
    assert all("default" in operation["responses"] for operation in operations)


def test_every_action_that_is_served_is_described() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    served = {
        (method, "/" + str(entry.pattern).replace("<str:", "{").replace(">", "}"))
        for entry in patterns(get_resolver().url_patterns)
        if issubclass(getattr(entry.callback, "cls", type(None)), ApiView)
        for method in entry.callback.actions
        if method != "head"
    }
    assert len(served) > 30
    assert served == {(method, path) for path, methods in schema["paths"].items() for method in methods}


def patterns(entries: list) -> list:
    return [leaf for one in entries for leaf in (patterns(one.url_patterns) if hasattr(one, "url_patterns") else [one])]
