from api.urls import resource_routes, route
from subscriptions.discount_views import SubscriptionDiscountView
from subscriptions.item_views import SubscriptionItemView
from subscriptions.schedule_views import SubscriptionScheduleView
from subscriptions.usage_record_views import UsageRecordView
from subscriptions.views import SubscriptionView

urlpatterns = [
    *resource_routes(
        SubscriptionView,
        "subscriptions",
        actions={"migrate": "migrate", "pause": "pause", "resume": "resume"},
    ),
    route("v1/subscriptions/<str:id>/discount", SubscriptionDiscountView, delete="destroy"),
    *resource_routes(SubscriptionItemView, "subscription_items"),
    *resource_routes(
        SubscriptionScheduleView, "subscription_schedules", actions={"cancel": "cancel", "release": "release"}
    ),
    route("v1/subscription_items/<str:id>/usage_records", UsageRecordView, post="create"),
    route("v1/subscription_items/<str:id>/usage_record_summaries", UsageRecordView, get="list"),
]
