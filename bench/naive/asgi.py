"""The naive view behind the product's own server, in as many threads."""

from django.core.wsgi import get_wsgi_application

from billing_project.wsgi_threads import WsgiInThreads

application = WsgiInThreads(get_wsgi_application(), threads=4)
