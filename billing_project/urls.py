from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from api.urls import catch_all_urls, documentation_urls
from core.views import healthz, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/", admin.site.urls),
    *(
        path("", include(f"{app}.urls"))
        for app in (
            "webhooks",
            "customers",
            "meters",
            "usage_imports",
            "pricing",
            "subscriptions",
            "credits",
            "invoices",
            "alerts",
            "portal",
        )
    ),
    *documentation_urls,
    *catch_all_urls,
]
