from api.urls import resource_routes
from subscriptions.views import SubscriptionItemView, SubscriptionView

urlpatterns = [
    *resource_routes(SubscriptionView, "subscriptions"),
    *resource_routes(SubscriptionItemView, "subscription_items"),
]
