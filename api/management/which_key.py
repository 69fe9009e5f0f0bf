"""How a command is told which key it is about."""

from django.core.management.base import CommandError, CommandParser

from api.models import ApiKey
from core import clock


def add_key_argument(parser: CommandParser) -> None:
    parser.add_argument("key", help="id or name of the key")


def key_of(words: str) -> ApiKey:
    """The one key of that id, or the one usable key of that name.

    Raises: CommandError.
    """
    usable = ApiKey.objects.usable(clock.now())
    found = list(ApiKey.objects.filter(pk=words)) or list(usable.filter(name=words))
    if len(found) == 1:
        return found[0]
    if found:
        ids = "".join(f"\n  {row.pk}  {row}" for row in found)
        raise CommandError(f"{len(found)} keys have that name; say which by its id:{ids}")
    known = "".join(f"\n  {row.pk}  {row}" for row in usable)
    raise CommandError(f"There is no usable key of that id or name.{' Usable keys:' + known if known else ''}")
