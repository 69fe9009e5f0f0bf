"""One event under /v2: JSON both ways, with codes of its own."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.idempotency import key_of
from api.parsers import MAX_JSON_BYTES, JSONObjectParser, MalformedJSON
from api.views import V2View
from core import clock
from meters.identifiers import identifier_of_key
from meters.ingest import Record, ingest
from meters.json_events import read_json
from meters.refusals import error_under_v2
from meters.v2_serializers import CreateV2MeterEvent, V2MeterEventObject


class ExactJSONParser(JSONObjectParser):
    """JSON whose numbers stay the texts that they were written as."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read(MAX_JSON_BYTES + 1)
        if len(raw) > MAX_JSON_BYTES:
            raise MalformedJSON(f"The request is too large: a body may take at most {MAX_JSON_BYTES} bytes.")
        tree = read_json(raw) if raw.strip() else {}
        if not isinstance(tree, dict):
            raise MalformedJSON("Invalid JSON: the request body must be an object.")
        return tree


class V2MeterEventView(V2View):
    params = {"create": CreateV2MeterEvent}
    shapes = {"create": V2MeterEventObject}
    parser_classes = [ExactJSONParser]

    def create(self, request: Request) -> Response:
        """Take one event; it is checked, and counts, when the answer comes."""
        record: Record = self.read()["record"]
        key = key_of(request._request)
        if record.identifier is None and key:
            record = record._replace(identifier=identifier_of_key(key))
        (result,) = ingest([record], at=clock.now())
        if result.error is not None:
            raise error_under_v2(result.error)
        return Response(V2MeterEventObject().to_representation(result.event))
