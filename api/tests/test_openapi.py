import re
from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

pytestmark = pytest.mark.urls("api.tests.widgets")


@pytest.fixture
def document(client: Any) -> Any:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    return answer.json()


def test_it_is_valid_and_made_without_a_warning() -> None:
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator(urlconf="api.tests.widgets").get_schema(request=None, public=True)
    assert not GENERATOR_STATS
    validate_schema(schema)
    assert schema["openapi"] == "3.1.0"


def test_a_form_body(document: Any) -> None:
    operation = document["paths"]["/v1/widgets"]["post"]
    media = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert media["schema"]["required"] == ["name"]
    assert media["schema"]["additionalProperties"] is False
    assert set(media["schema"]["properties"]) == {"name", "items", "item", "owner", "metadata", "expand"}
    assert media["encoding"]["items"] == {"style": "deepObject", "explode": True}
    assert "name" not in media["encoding"]
    item = media["schema"]["properties"]["items"]["items"]
    assert item["properties"]["quantity"] == {"type": "integer", "minimum": 1}
    assert operation["operationId"] == "widgets_create"
    assert operation["description"] == "Make a widget."


def test_a_query_and_a_list(document: Any) -> None:
    operation = document["paths"]["/v1/widgets"]["get"]
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert parameters["created"]["style"] == "deepObject"
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["data"]["items"] == {"$ref": "#/components/schemas/widget"}
    assert operation["responses"]["default"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/error"
    }


def test_an_object(document: Any) -> None:
    widget = document["components"]["schemas"]["widget"]
    assert widget["properties"]["object"]["const"] == "widget"
    assert {"$ref": "#/components/schemas/widget"} in widget["properties"]["owner"]["anyOf"]
    assert widget["properties"]["parts"]["properties"]["data"]["items"] == {"$ref": "#/components/schemas/part"}
    assert "hint" in widget["properties"]
    assert "hint" not in widget["required"]


def test_v2_and_the_rest(document: Any) -> None:
    assert "application/json" in document["paths"]["/v2/widgets"]["post"]["requestBody"]["content"]
    assert document["paths"]["/v2/widgets"]["post"]["operationId"] == "v2_widgets_create"
    assert document["paths"]["/v1/widgets/{id}/refuse"]["post"]["operationId"] == "widgets_refuse"
    gone = document["paths"]["/v1/widgets/{id}"]["delete"]["responses"]["200"]["content"]["application/json"]
    assert gone["schema"] == {"$ref": "#/components/schemas/deleted"}
    assert document["components"]["securitySchemes"].keys() == {"bearer", "basic"}
    assert {"bearer": []} in document["paths"]["/v1/widgets"]["get"]["security"]


def test_the_page_loads_only_from_here(client: Any) -> None:
    page = client.get("/docs/")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert len(sources) == 5
    assert all(source.startswith("/") for source in sources)
    assert b"<script>" not in page.content
    script = client.get("/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert b"/openapi.json" in script.content
