"""Who is watched, and what was missed of them."""

from django.db import models

WATCHED_CUSTOMER = "customers.Customer"


class Watch(models.Model):
    """That somebody evaluates this customer's usage as it comes. The row is what evaluations of a customer take turns
    by; `customers/watch.py` makes and removes it."""

    customer_ref = models.BigIntegerField(primary_key=True)
    customer = models.OneToOneField(WATCHED_CUSTOMER, on_delete=models.PROTECT, related_name="watch")

    class Meta:
        verbose_name_plural = "watches"

    def __str__(self) -> str:
        return self.customer_id


class WatchMark(models.Model):
    """That a watched customer has to be evaluated again: something other than usage has changed, or (`of_usage`) its
    usage has and could not be evaluated at once. Only ever inserted and removed: who marks waits for nobody."""

    customer_ref = models.BigIntegerField()
    of_usage = models.BooleanField(default=False)
    marked_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.customer_ref)
