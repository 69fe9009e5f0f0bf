"""Two facts about the installation itself: what still beats, and what has been done once."""

from django.db import models


class Heartbeat(models.Model):
    """When a background process last showed that it works, one row each."""

    name = models.CharField(primary_key=True, max_length=64)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Milestone(models.Model):
    """Something that happens once in the life of a database, and has happened."""

    name = models.CharField(primary_key=True, max_length=64)
    reached_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
