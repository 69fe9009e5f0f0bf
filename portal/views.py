"""Portal sessions over HTTP. The pages of the portal are in `pages.py`."""

from rest_framework.request import Request
from rest_framework.response import Response

from api.views import ResourceView
from core import clock
from portal.resources import SESSION
from portal.serializers import CreateSession
from portal.sessions import create_session


class SessionView(ResourceView):
    """Sessions are made and not read again: only the caller who made one gets its link."""

    resource = SESSION
    family = "portal_sessions"
    params = {"create": CreateSession}

    def create(self, request: Request) -> Response:
        given = self.read()
        session = create_session(
            given["customer"],
            at=clock.now(),
            return_url=given.get("return_url") or "",
            locale=given.get("locale") or "",
        )
        session.link = session.url(request._request)
        return self.answer(session)
