"""How a delivery is signed, so that receivers made for Stripe, and for Standard Webhooks, know that it is ours.

Both schemes share a secret: Stripe's keys its HMAC with the text of it, the other with the bytes that it spells.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(body: bytes, *, event_id: str, unix: int, keys: Sequence[str]) -> dict[str, str]:
    """The headers that sign `body` at `unix` with each of the secrets `keys`."""
    stripe = [hmac.digest(key.encode(), b"%d.%s" % (unix, body), "sha256").hex() for key in keys]
    told = b"%s.%d.%s" % (event_id.encode(), unix, body)
    standard = [base64.b64encode(hmac.digest(_bytes(key), told, "sha256")).decode() for key in keys]
    return {
        "Stripe-Signature": ",".join([f"t={unix}", *(f"v1={one}" for one in stripe)]),
        "webhook-id": event_id,
        "webhook-timestamp": str(unix),
        "webhook-signature": " ".join(f"v1,{one}" for one in standard),
    }


def _bytes(key: str) -> bytes:
    return base64.b64decode(key.removeprefix(PREFIX))
