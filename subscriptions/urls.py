from api.urls import resource_routes, route
from subscriptions.item_views import SubscriptionItemView
from subscriptions.usage_record_views import UsageRecordView
from subscriptions.views import SubscriptionView

urlpatterns = [
    *resource_routes(
        SubscriptionView,
        "subscriptions",
        actions={"migrate": "migrate", "pause": "pause", "resume": "resume"},
    ),
    *resource_routes(SubscriptionItemView, "subscription_items"),
    route("v1/subscription_items/<str:id>/usage_records", UsageRecordView, post="create"),
    route("v1/subscription_items/<str:id>/usage_record_summaries", UsageRecordView, get="list"),
]
