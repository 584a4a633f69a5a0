"""Where a path lies: on a disk of this machine, or on somebody else's.

Locks and shared memory are only to be trusted on the former.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NETWORK = frozenset(
    (
        "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "davfs", "fuse.sshfs", "fuse.rclone",
        "fuse.glusterfs", "fuse.s3fs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
        "smb3", "smbfs", "webdav",
    )
)  # fmt: skip


def file_system_of(path: str | os.PathLike[str], table: str | None = None) -> str | None:
    """Return the type of the file system a path is on, as the kernel names it; None if unknown.

    Parameters
    ----------
    path : path-like
        Need not exist; then its nearest existing parent counts.
    table : str, optional
        The mount table, in the form of ``/proc/self/mounts``; default: that.
    """
    if table is None:
        if not sys.platform.startswith("linux"):
            return None
        try:
            table = Path("/proc/self/mounts").read_text(errors="surrogateescape")
        except OSError:
            return None
    place = os.path.realpath(path)
    best, kind = "", None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = fields[1].encode().decode("unicode_escape")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):  # a later mount hides an earlier one
            best, kind = mount, fields[2]
    return kind


def is_on_network(path: str | os.PathLike[str]) -> bool:
    """Whether a path is known to be on a network file system."""
    if os.name == "nt":
        return os.path.realpath(path).startswith("\\\\")
    return file_system_of(path) in _NETWORK
