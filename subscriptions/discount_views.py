"""DELETE /v1/subscriptions/{id}/discount."""

from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.views import ResourceView
from core import clock
from pricing.resources import DISCOUNT
from subscriptions.terms import remove_discounts


class SubscriptionDiscountView(ResourceView):
    resource = DISCOUNT
    family = "subscriptions"
    deleting_actions = frozenset()

    def destroy(self, request: Request, id: str) -> Response:
        """Take the subscription's discounts away; what was billed with them stays."""
        removed = remove_discounts(id, at=clock.now())
        return self.answer_object(resources.render(DISCOUNT, [removed])[0] | {"deleted": True})
