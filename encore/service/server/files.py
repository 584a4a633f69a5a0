"""The settings of a server in a file, which holds no secret unless somebody writes one into it.

``encore serve --config`` reads it; `read_settings` says what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from encore.config.documents import Document, Place, read_document
from encore.config.variables import plain, substitute
from encore.service.durations import parse_duration
from encore.service.places import check_usecase, scopes_of
from encore.service.server.permissions import DELETE, READ, WRITE, Authority, Grant
from encore.service.server.settings import Limits, UsecaseRules

__all__ = ["Settings", "read_settings"]

_SECTIONS = {"limits", "tokens", "keys", "usecases", "only_named"}
_PERMISSIONS = {"read": READ, "write": WRITE, "delete": DELETE}
_TOKEN = {"name", "token", "usecase", "scopes", "permissions"}
_KEY = {"kid", "public_key", "public_key_file", "permissions"}
_USECASE = {"policies", "longest", "prefix"}


class Settings(NamedTuple):
    """What `create_app` takes beside the store."""

    authority: Authority | None = None
    limits: Limits | None = None
    usecases: Mapping[str, UsecaseRules] | None = None
    only_named: bool = False


def read_settings(path: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Read a file of settings, in YAML, TOML or JSON.

    ``limits`` has the parameters of `Limits`. ``tokens`` is a list of ``name``, ``token`` (better
    ``"${VARIABLE}"`` than the token itself), ``usecase``, ``scopes`` (a mapping; ``"*"`` for any)
    and ``permissions`` (of ``read``, ``write``, ``delete``). ``keys`` is a list of ``kid``,
    ``public_key`` or ``public_key_file``, and ``permissions``. ``usecases`` maps names to
    ``policies``, ``longest`` (``"30d"``) and ``prefix``; with ``only_named`` there are no others.

    Raises
    ------
    ConfigError
        It is not there, or something in it is not understood. The message shows no secret.
    """
    document = read_document(path)
    found = document.content
    _check_names(document, (), found, _SECTIONS)
    values = _Values(document, os.environ if environ is None else environ)
    verifiers: list[Any] = []
    tokens = [values.token(index, item) for index, item in values.items("tokens")]
    if tokens:
        from encore.service.server.tokens import StaticTokens

        verifiers.append(values.tried(("tokens",), StaticTokens, tokens))
    keys = dict(values.key(index, item) for index, item in values.items("keys"))
    if keys:
        from encore.service.server.signed import SignedTokens

        verifiers.append(values.tried(("keys",), SignedTokens, keys))
    limits = _mapping(document, ("limits",), found.get("limits", {}))
    usecases = _mapping(document, ("usecases",), found.get("usecases", {}))
    only_named = found.get("only_named", False)
    if not isinstance(only_named, bool):
        raise document.error(("only_named",), "it is true or false")
    return Settings(
        Authority(verifiers) if verifiers else None,
        values.tried(("limits",), lambda given: Limits(**given), limits),
        {name: values.usecase(name, rules) for name, rules in usecases.items()},
        only_named,
    )


class _Values:
    """The parts of a document, understood one by one."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ

    def items(self, section: str) -> list[tuple[int, dict[str, Any]]]:
        found = self._document.content.get(section, [])
        if not isinstance(found, list):
            raise self._document.error((section,), "it is a list")
        return [
            (index, _mapping(self._document, (section, index), item))
            for index, item in enumerate(found)
        ]

    def tried(self, place: Place, make: Any, given: Any) -> Any:
        """Make something; what is wrong with it is said with its place."""
        try:
            return make(given)
        except (TypeError, ValueError) as error:
            raise self._document.error(place, str(error)) from None

    def token(self, index: int, item: dict[str, Any]) -> tuple[str, Grant]:
        place: Place = ("tokens", index)
        _check_names(self._document, place, item, _TOKEN)
        for name in ("name", "token", "usecase"):
            if not isinstance(item.get(name), str):
                raise self._document.error(place, f"a token has a {name}, a text")
        usecase, scopes = item["usecase"], item.get("scopes", {})
        if usecase != "*":
            self.tried((*place, "usecase"), check_usecase, usecase)
        given = None if scopes == "*" else self._scopes((*place, "scopes"), scopes)
        text = plain(substitute(item["token"], self._document, (*place, "token"), self._environ))
        return text, Grant(item["name"], usecase, given, self._permissions(place, item))

    def key(self, index: int, item: dict[str, Any]) -> tuple[str, Any]:
        from encore.service.server.signed import PublicKey

        place: Place = ("keys", index)
        _check_names(self._document, place, item, _KEY)
        kid, pem, path = item.get("kid"), item.get("public_key"), item.get("public_key_file")
        if not isinstance(kid, str) or isinstance(pem, str) == isinstance(path, str):
            raise self._document.error(
                place, "a key has a kid, and either public_key or public_key_file"
            )
        if isinstance(path, str):
            full = os.path.join(self._document.folder or "", os.path.expanduser(path))
            try:
                with open(full, encoding="ascii") as file:
                    pem = file.read(65536)
            except (OSError, ValueError):
                raise self._document.error(place, f"{path!r} cannot be read") from None
        assert isinstance(pem, str)
        return kid, PublicKey((pem,), self._permissions(place, item))

    def usecase(self, name: str, rules: Any) -> UsecaseRules:
        place: Place = ("usecases", name)
        given = dict(_mapping(self._document, place, rules))
        _check_names(self._document, place, given, _USECASE)
        self.tried(place, check_usecase, name)
        if "longest" in given:
            longest = given.pop("longest")
            given["longest_seconds"] = self.tried((*place, "longest"), parse_duration, longest)
        if "policies" in given:
            given["policies"] = tuple(given["policies"])
        rules_of: UsecaseRules = self.tried(place, lambda all_of: UsecaseRules(**all_of), given)
        return rules_of

    def _scopes(self, place: Place, scopes: Any) -> tuple[tuple[str, str], ...]:
        given = _mapping(self._document, place, scopes)
        found: tuple[tuple[str, str], ...] = self.tried(place, scopes_of, given)
        return found

    def _permissions(self, place: Place, item: dict[str, Any]) -> frozenset[str]:
        names = item.get("permissions", [*_PERMISSIONS])
        if not isinstance(names, list) or not {*names} <= _PERMISSIONS.keys():
            raise self._document.error(place, f"permissions are {', '.join(_PERMISSIONS)}")
        return frozenset(_PERMISSIONS[name] for name in names)


def _mapping(document: Document, place: Place, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise document.error(place, "it is a mapping")
    return value


def _check_names(
    document: Document, place: Place, value: Mapping[str, Any], names: set[str]
) -> None:
    for name in value:
        if name not in names:
            raise document.error(
                (*place, name), f"this is not known here; there are {', '.join(sorted(names))}"
            )
