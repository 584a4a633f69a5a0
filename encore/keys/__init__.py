"""Strings to strings: what a key is, how keys are made, and how they become file names.

=============  ========================================================
`rules`        what is a legal key, what is a prefix
`builder`      `KeyBuilder`: keys from parts
`globs`        globs over keys
`validators`   further rules for one store
`escapes`      what has to be escaped in a file name
`names`        one piece of a key <-> one file name
`filenames`    a key <-> a relative path
`ordering`     a tree of files, read in the order of its keys
`probe`        does a file system merge names? (the one place with I/O)
=============  ========================================================

This room knows no store and imports nothing of encore but its errors.
"""

from __future__ import annotations

from encore.keys.builder import KeyBuilder
from encore.keys.rules import MAX_KEY_BYTES, check_key, check_prefix, prefix_end

__all__ = ["MAX_KEY_BYTES", "KeyBuilder", "check_key", "check_prefix", "prefix_end"]
