from django.urls import path

from bench.naive.views import CreateEvent

urlpatterns = [path("events", CreateEvent.as_view())]
