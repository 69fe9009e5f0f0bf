"""One event under /v2: JSON both ways, with codes of its own."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.request import Request
from rest_framework.response import Response

from api import idempotency
from api.parsers import JSONObjectParser, MalformedJSON
from api.views import V2View
from core import clock
from meters.ingest import Outcome, Record, ingest
from meters.json_events import no_hash, read_json
from meters.refusals import error_under_v2
from meters.v2_serializers import CreateV2MeterEvent, V2MeterEventObject


class ExactJSONParser(JSONObjectParser):
    """JSON whose numbers stay the texts that they were written as."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read()
        tree = read_json(raw) if raw.strip() else {}
        if type(tree) is not dict:
            raise MalformedJSON(f"Invalid JSON: the request body {no_hash(tree)}.")
        return tree


class V2MeterEventView(V2View):
    """An event is safe to repeat by its identifier, or by the Idempotency-Key in place of one (see MeterEventView)."""

    family = "meter_events"
    idempotent = False
    params = {"create": CreateV2MeterEvent}
    shapes = {"create": V2MeterEventObject}
    parser_classes = [ExactJSONParser]

    def create(self, request: Request) -> Response:
        """Take one event; it is checked, and counts, when the answer comes."""
        record: Record = self.read()["record"]
        (result,) = ingest([record._replace(key=idempotency.key_of(request._request))], at=clock.now())
        if result.error is not None:
            raise error_under_v2(result.error)
        headers = {idempotency.REPLAYED: "true"} if result.outcome is Outcome.REPLAYED else {}
        return Response(V2MeterEventObject().to_representation(result.event), headers=headers)
