"""What the web server runs: the event routes past Django, everything else through it."""

import gc
import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from billing_project.embedded.processes import die_with_supervised_parent
from billing_project.wsgi_threads import Receive, Scope, Send, WsgiInThreads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")
os.environ["COUNTINGHOUSE_PROCESS"] = "web"

die_with_supervised_parent()  # the web server loads this in each of its processes
_django = WsgiInThreads(get_wsgi_application(), threads=settings.WEB_THREADS)

from meters.hot_path.app import HotPath  # noqa: E402 - models can be imported only now

# A page that is being computed lets go of the interpreter this soon when an event waits for it.
SWITCH_SECONDS = 0.0005
# A batch of a thousand events is ten thousand objects, all of which go by themselves.
COLLECT_AFTER = (50_000, 10, 10)
hot_path = HotPath(_django, most_waiting=settings.EVENTS_WAITING)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await (hot_path if scope["path"] in hot_path.doors else _django)(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _live(receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """From the start of the server to its end; by then every request has been answered."""
    assert (await receive())["type"] == "lifespan.startup"
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded now stays: looking at it again and again would hold up everybody
    gc.set_threshold(*COLLECT_AFTER)
    hot_path.start()
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await hot_path.stop()
    await send({"type": "lifespan.shutdown.complete"})
