import hashlib
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import CreateAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.serializers import ModelSerializer, SlugRelatedField

from bench.naive.models import Event, Key, Meter


class Bearer(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, Key]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        key = Key._default_manager.filter(digest=hashlib.sha256(token.encode()).hexdigest()).first()
        if key is None:
            raise AuthenticationFailed
        return AnonymousUser(), key


class HasKey(BasePermission):
    def has_permission(self, request: Request, view: object) -> bool:
        return request.auth is not None


class EventSerializer(ModelSerializer):  # type: ignore[type-arg]
    event_name = SlugRelatedField("event_name", source="meter", queryset=Meter._default_manager.all())

    class Meta:
        model = Event
        fields = ("identifier", "event_name", "customer", "value", "timestamp", "payload")


class CreateEvent(CreateAPIView):  # type: ignore[type-arg]
    authentication_classes = (Bearer,)
    permission_classes = (HasKey,)
    serializer_class = EventSerializer
    queryset = Event._default_manager.all()
