"""What is said of the time before a change."""

import pytest

from webhooks.previous import previous_attributes


@pytest.mark.parametrize(
    ("before", "after", "former"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2}),
        ({"a": None}, {"a": 1}, {"a": None}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        # of a hash only the keys that differ
        ({"h": {"x": 1, "y": 2}}, {"h": {"x": 1, "y": 3}}, {"h": {"y": 2}}),
        ({"h": {"x": {"y": 1, "z": 2}}}, {"h": {"x": {"y": 9, "z": 2}}}, {"h": {"x": {"y": 1}}}),
        # a key that is new, or gone
        ({"metadata": {}}, {"metadata": {"k": "v"}}, {"metadata": {"k": None}}),
        ({"metadata": {"k": "v"}}, {"metadata": {}}, {"metadata": {"k": "v"}}),
        ({}, {"a": 1}, {"a": None}),
        # a hash that comes or goes is whole
        ({"h": {"x": 1, "y": 2}}, {"h": None}, {"h": {"x": 1, "y": 2}}),
        ({"h": None}, {"h": {"x": 1}}, {"h": None}),
        # a list is whole, and so are the objects in it
        ({"l": [1, 2, 3]}, {"l": [1, 2]}, {"l": [1, 2, 3]}),
        ({"l": [{"x": 1, "y": 2}]}, {"l": [{"x": 1, "y": 3}]}, {"l": [{"x": 1, "y": 2}]}),
        (
            {"items": {"object": "list", "data": [{"id": "si_1", "quantity": 1}], "has_more": False}},
            {"items": {"object": "list", "data": [{"id": "si_1", "quantity": 2}], "has_more": False}},
            {"items": {"data": [{"id": "si_1", "quantity": 1}]}},
        ),
    ],
)
def test_what_differs(before, after, former):
    assert previous_attributes(before, after) == former
