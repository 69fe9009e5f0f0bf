from api.urls import resource_routes, route
from subscriptions.usage_record_views import UsageRecordView
from subscriptions.views import SubscriptionItemView, SubscriptionView

urlpatterns = [
    *resource_routes(SubscriptionView, "subscriptions", actions={"pause": "pause", "resume": "resume"}),
    *resource_routes(SubscriptionItemView, "subscription_items"),
    route("v1/subscription_items/<str:id>/usage_records", UsageRecordView, post="create"),
    route("v1/subscription_items/<str:id>/usage_record_summaries", UsageRecordView, get="list"),
]
