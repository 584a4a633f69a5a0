"""Stores from addresses, and the kinds of store that an address can name.

Built on ``storage``; the ``encore`` command and applications import it.
"""

from __future__ import annotations

from encore.config.addresses import Address, describe_addresses, open_store, parse_address
from encore.config.schemes import Scheme, known_schemes, register_scheme

__all__ = [
    "Address",
    "Scheme",
    "describe_addresses",
    "known_schemes",
    "open_store",
    "parse_address",
    "register_scheme",
]
