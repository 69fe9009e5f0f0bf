from django.db import models


class Key(models.Model):
    digest = models.CharField(max_length=64, unique=True)


class Customer(models.Model):
    id = models.CharField(max_length=40, primary_key=True)


class Meter(models.Model):
    event_name = models.CharField(max_length=100, unique=True)


class Event(models.Model):
    identifier = models.CharField(max_length=100, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT)
    value = models.DecimalField(max_digits=38, decimal_places=12)
    timestamp = models.DateTimeField()
    payload = models.JSONField()

    class Meta:
        indexes = (models.Index(fields=["customer", "meter", "timestamp"]),)
