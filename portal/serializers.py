"""Portal sessions on the wire."""

from api import objects, params
from api.params import Params

# What Stripe's portal speaks; the pages here are in English, and the value is kept and given back.
# fmt: off
LOCALES = (
    "auto", "bg", "cs", "da", "de", "el", "en", "en-AU", "en-CA", "en-GB", "en-IE", "en-IN", "en-NZ", "en-SG", "es",
    "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb",
    "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
)
# fmt: on


class CreateSession(Params):
    later = ("after_expiration", "configuration", "customer_account", "flow_data", "on_behalf_of")

    customer = params.String(required=True)
    locale = params.Choice(LOCALES, unset=True)
    return_url = params.String(unset=True)


class SessionObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing_portal.session")
    after_expiration = objects.Const(None)
    configuration = objects.Text()
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    flow = objects.Const(None)
    livemode = objects.Livemode()
    locale = objects.Text()
    on_behalf_of = objects.Const(None)
    return_url = objects.Text()
    url = objects.Text(source="link")
