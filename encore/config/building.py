"""From definitions to stores: names are followed, and arguments fitted.

A name that is used twice is one store. A store is made after those that it is over, and opened by
nobody here. Every complaint has a place; what a store complained about passes only if it repeats no
secret and nothing that came from a variable. ``factory`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from encore.config.addressed import node_at
from encore.config.addresses import has_scheme
from encore.config.bases import Bases
from encore.config.definitions import Definition
from encore.config.documents import Document, Place
from encore.config.graphs import Node
from encore.config.kinds import UnknownKind, find_kind
from encore.config.parameters import Parameter, Signature, signature_of
from encore.config.schemes import guess, known_schemes
from encore.config.secrecy import quoted, repeats, secrets_in, shown
from encore.config.values import Unfit, fit
from encore.config.variables import Substituted, plain, substitute, written
from encore.storage.abstract_store import AbstractStore

__all__ = ["Builder"]

#: Limits of a graph: stores on top of each other, and ways through it.
MAX_STACKED = 100
MAX_PATHS = 1000


class Builder:
    """Builds the stores of one graph.

    Parameters
    ----------
    document : Document
    definitions : mapping of str to Definition
    environ : mapping of str to str
        The variables.
    readonly : bool
        Whether stores that can be opened for reading only are. A cache is not: reading fills it.

    Attributes
    ----------
    is_guarded : bool
        Whether every store that holds data was made for reading only.
    """

    def __init__(
        self,
        document: Document,
        definitions: Mapping[str, Definition],
        environ: Mapping[str, str],
        *,
        readonly: bool,
    ) -> None:
        self._document = document
        self._definitions = definitions
        self._environ = environ
        self._readonly = readonly
        self._nodes: dict[str, Node] = {}
        self._made: list[Node] = []
        self._trail: list[str] = []
        self._secrets: list[str] = []
        self.is_guarded = readonly

    def build(self, name: Any, place: Place) -> Node:
        """Return the store of a name, or at an address; nothing is left behind if that fails.

        Raises
        ------
        ConfigError
        """
        try:
            return self._follow(substitute(name, self._document, place, self._environ), place)
        except BaseException:
            for node in reversed(self._made):
                node.close()
            raise

    # -- names ------------------------------------------------------------------------------------

    def _follow(self, name: Any, place: Place) -> Node:
        text = plain(name)
        if text in self._nodes:
            return self._nodes[text]
        if text not in self._definitions:
            if not has_scheme(text):
                near = "" if isinstance(name, Substituted) else guess(text, self._definitions)
                known = ", ".join(self._definitions) or "none"
                raise self._error(
                    place, f"there is no store {quoted(name)}{near}; there are {known}"
                )
            return self._note(self._at(name, place), place)
        if text in self._trail:
            circle = " -> ".join([*self._trail[self._trail.index(text) :], text])
            raise self._error(place, f"a store would be over itself: {circle}")
        if len(self._trail) >= MAX_STACKED:
            raise self._error(place, f"more than {MAX_STACKED} stores stand on each other")
        self._trail.append(text)
        definition = self._definitions[text]
        if definition.address is None:
            node = self._of_kind(definition)
        else:
            address = self._substituted(definition.address, definition.place)
            node = replace(self._at(address, definition.place), name=text)
        self._trail.pop()
        self._nodes[text] = node
        return self._note(node, definition.place)

    def _note(self, node: Node, place: Place) -> Node:
        self._made.append(node)
        if node.paths > MAX_PATHS:
            raise self._error(place, f"the stores share others in more than {MAX_PATHS:,} ways")
        return node

    # -- addresses --------------------------------------------------------------------------------

    def _at(self, value: Any, place: Place) -> Node:
        self._secrets += secrets_in("address", value)
        if not has_scheme(plain(value)):
            raise self._error(
                place, "an address in a configuration begins with its scheme, such as sqlite:PATH"
            )
        try:
            node, is_readonly = node_at(value, self._document.folder, readonly=self._readonly)
        except Exception as error:
            failure = error
        else:
            self.is_guarded = self.is_guarded and is_readonly
            return node
        raise self._refused(place, "", failure)

    # -- kinds ------------------------------------------------------------------------------------

    def _of_kind(self, definition: Definition) -> Node:
        place = definition.place
        kind = self._substituted(definition.kind, (*place, "type"))
        try:
            maker = find_kind(plain(kind))
            signature = signature_of(maker)
        except UnknownKind as error:
            problem, cause = f"{quoted(kind)}: {error}", error.__cause__
        except (TypeError, ValueError) as error:
            problem, cause = f"{quoted(kind)} does not tell its parameters", error
        else:
            return self._made_by(maker, signature, definition)
        raise self._error((*place, "type"), problem) from cause

    def _made_by(
        self, maker: Callable[..., Any], signature: Signature, definition: Definition
    ) -> Node:
        place, kind = definition.place, str(written(definition.kind))
        spec = self._substituted(definition.base, (*place, "base"))
        bases = Bases(self._document, (*place, "base"), kind, signature, self._base)
        arguments = bases.read(spec)
        config = self._substituted(definition.config, (*place, "config"))
        for name, value in config.items():
            arguments[name] = self._argument(signature, kind, name, value, (*place, "config", name))
        options = signature.parameters
        if self._readonly and not bases.found:
            if "readonly" in options:
                arguments["readonly"] = True
            else:
                self.is_guarded = False
        self._check_complete(signature, kind, arguments, place)
        store = self._call(maker, signature, arguments, place, kind)
        paths = [
            arguments[name] for name, one in options.items() if one.is_path and name in arguments
        ]
        return Node(
            definition.name,
            kind,
            store,
            {name: shown(name, value) for name, value in config.items()},
            arguments,
            options,
            bases.found,
            _location(maker, paths),
        )

    def _base(self, name: Any, place: Place, parameter: Parameter) -> Node:
        before = self._readonly
        self._readonly = before and parameter.name != "cache_store"
        try:
            return self._follow(name, place)
        finally:
            self._readonly = before

    def _argument(
        self, signature: Signature, kind: str, name: str, value: Any, place: Place
    ) -> Any:
        self._secrets += secrets_in(name, value)
        parameter = signature.parameters.get(name)
        if parameter is None:
            if signature.takes_more:
                return plain(value)
            known = signature.options
            raise self._error(
                place,
                f"{kind} has no parameter {name!r}{guess(name, known)}; it has "
                f"{', '.join(known) or 'none'}",
            )
        if parameter.role:
            raise self._error(place, f"{name!r} is a store: it belongs under 'base', not 'config'")
        try:
            return fit(parameter, value, self._document.folder)
        except Exception as error:
            failure = error
        if isinstance(failure, Unfit):
            raise self._error(place, f"{name!r} of {kind} {failure}")
        raise self._refused(place, f"{name!r} of {kind} is not understood", failure)

    def _check_complete(
        self, signature: Signature, kind: str, arguments: dict[str, Any], place: Place
    ) -> None:
        missing = [
            one
            for name, one in signature.parameters.items()
            if one.is_required and name not in arguments
        ]
        stores = [one.name for one in missing if one.role]
        if stores:
            names = ", ".join(f"{name}: NAME" for name in signature.roles)
            form = f"{{{names}}}" if len(signature.roles) > 1 else "NAME"
            raise self._error(
                place,
                f"{kind} is a store over others, and {', '.join(stores)} is not given: write "
                f"'base: {form}' beside 'type'",
            )
        if missing:
            names = ", ".join(repr(one.name) for one in missing)
            raise self._error((*place, "config"), f"{kind} wants a value for {names}")

    def _call(
        self,
        maker: Callable[..., Any],
        signature: Signature,
        arguments: dict[str, Any],
        place: Place,
        kind: str,
    ) -> AbstractStore:
        try:
            store = signature.call(maker, arguments)
        except Exception as error:
            failure = error
        else:
            if isinstance(store, AbstractStore):
                return store
            raise self._error(place, f"{kind} made a {type(store).__name__}, which is no store")
        raise self._refused(place, f"{kind} cannot be made as asked", failure)

    # -- complaints -------------------------------------------------------------------------------

    def _substituted(self, value: Any, place: Place) -> Any:
        return substitute(value, self._document, place, self._environ)

    def _error(self, place: Place, problem: str) -> Exception:
        return self._document.error(place, problem)

    def _refused(self, place: Place, what: str, error: Exception) -> Exception:
        """What to raise for the exception of a store; without it, if it tells too much."""
        name = type(error).__name__
        if repeats(error, self._secrets):
            hidden = f"{name}, whose text is left out because it repeats a secret or a variable"
            return self._error(place, f"{what}: {hidden}" if what else hidden)
        text = str(error) or name
        found = self._error(place, f"{what}: {text}" if what else text)
        found.__cause__ = error
        return found


def _location(maker: Callable[..., Any], paths: list[Any]) -> tuple[str, str]:
    if len(paths) == 1 and isinstance(paths[0], str) and paths[0] != ":memory:":
        for scheme in known_schemes():
            if scheme.place and scheme.load() is maker:
                return scheme.place, paths[0]
    return "", ""
