"""An endpoint that does nothing: what the server itself, and who asks, can do at most."""

from typing import Any

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})
