"""Directories for sockets: reachable by one user only, also where they have to lie below `/tmp`."""

import os
import stat
from pathlib import Path

from billing_project.embedded.processes import StartError


def private_dir(path: Path, *, owner: int, group: int = -1) -> None:
    """Make `path` a 0700 directory of user `owner`; it may be one already."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    # /tmp is everybody's: never use a directory or link that somebody else has put there.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {owner, os.geteuid()}:
        raise StartError(f"{path} belongs to another user; remove it.")
    if status.st_uid != owner:
        os.chown(path, owner, group, follow_symlinks=False)
    path.chmod(0o700)
