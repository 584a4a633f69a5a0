"""What an address can begin with, and which store it then means: the registry of schemes.

A scheme is a name, a sentence, and how to get at the store's class. The class is loaded when the
first store of its kind is made, so that knowing of a store costs nothing. The rest of ``config``
imports this module; others use the face of the room.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from encore.errors import ConfigError, EncoreError

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore

__all__ = ["Scheme", "find_scheme", "guess", "known_schemes", "register_scheme"]

_PLACES = ("", "file", "directory")


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of store, as an address names it.

    Parameters
    ----------
    name : str
        What stands before the colon, in lower case; two characters at least, because one is a
        drive.
    form : str
        What an address looks like: ``"sqlite:PATH"``.
    description : str
        What one gets, in a few words.
    load : callable
        ``load()`` returns what makes the store: called with what stands behind the colon, if
        anything may stand there, and with options by keyword.
    place : str, optional
        What stands behind the colon: the path of a ``"file"`` or of a ``"directory"`` on this
        machine, or ``""``, anything else.
    find : callable, optional
        ``find(path)`` returns the place and the path of what holds the store in the end, where what
        stands behind the colon only leads to it.
    whole : bool, optional
        Whether the address is a URL, or has one, and the store gets all of it.
    """

    name: str
    form: str
    description: str
    load: Callable[[], Callable[..., AbstractStore]]
    place: str = ""
    find: Callable[[str], tuple[str, str]] | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        if len(self.name) < 2 or not self.name.isascii() or self.name != self.name.lower():
            raise ValueError(
                f"a scheme is two or more ASCII characters in lower case, not {self.name!r}"
            )
        if self.place not in _PLACES:
            raise ValueError(f"the place of a scheme is one of {_PLACES}, not {self.place!r}")

    @property
    def takes_path(self) -> bool:
        """Whether something stands behind the colon."""
        return self.form != f"{self.name}:"

    def locate(self, path: str) -> tuple[str, str]:
        """What holds the store on this machine, as in ``place``, and its path."""
        return (self.place, path) if self.find is None else self.find(path)

    def options(self) -> tuple[str, ...]:
        """The options that this kind of store takes, in the order it names them."""
        parameters = [*inspect.signature(self.load()).parameters.values()]
        by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(
            parameter.name
            for parameter in parameters[self.takes_path :]
            if parameter.kind in by_name
        )

    def make(self, path: str, options: dict[str, Any]) -> AbstractStore:
        """Make the store; it is opened on first use.

        Raises
        ------
        ConfigError
            An option is unknown, or has a value that the store does not take.
        """
        known = self.options()
        for name in options:
            if name not in known:
                raise ConfigError(
                    f"{self.form} has no option {name!r}{guess(name, known)}; "
                    f"its options are {', '.join(known)}"
                )
        try:
            place = f"{self.name}:{path}" if self.whole else path
            return self.load()(*([place] if self.takes_path else []), **options)
        except EncoreError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.form} cannot be made as asked: {error}") from error


_schemes: dict[str, Scheme] = {}


def register_scheme(scheme: Scheme) -> None:
    """Make a kind of store known to `open_store` and to the ``encore`` command.

    Raises
    ------
    ValueError
        There is another scheme of that name.
    """
    if _schemes.setdefault(scheme.name, scheme) is not scheme:
        raise ValueError(f"there is a scheme {scheme.name!r} already: {_schemes[scheme.name].form}")


def known_schemes() -> tuple[Scheme, ...]:
    """Every kind of store that an address can name, by name."""
    return tuple(_schemes[name] for name in sorted(_schemes))


def find_scheme(name: str) -> Scheme | None:
    """Return the scheme of that name, in capitals or not; None if there is none."""
    return _schemes.get(name.lower())


def guess(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean ...?)"`` for a near miss, and nothing for a wide one."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _in_storage(name: str) -> Callable[[], Callable[..., AbstractStore]]:
    def load() -> Callable[..., AbstractStore]:
        store: Callable[..., AbstractStore] = getattr(import_module("encore.storage.api"), name)
        return store

    return load


def _in_bucket(name: str) -> Callable[[], Callable[..., AbstractStore]]:
    def load() -> Callable[..., AbstractStore]:
        module = import_module("encore.storage.backends.bucket.addresses")
        return getattr(module, name)  # type: ignore[no-any-return]

    return load


def _in_service() -> Callable[..., AbstractStore]:
    # A floor above: known by its name, and loaded when somebody asks for it.
    module = import_module("encore.service.addresses")
    return module.open_service  # type: ignore[no-any-return]


def _in_config(name: str) -> Callable[..., Any]:
    """A function of `factory`, which builds on this module."""
    return getattr(import_module("encore.config.factory"), name)  # type: ignore[no-any-return]


for _scheme in (
    Scheme(
        "config",
        "config:FILE",
        "the main store of a YAML, TOML or JSON configuration; config:FILE#NAME another one",
        lambda: _in_config("open_configured"),
        find=lambda path: _in_config("locate_configured")(path),
    ),
    Scheme(
        "sqlite",
        "sqlite:PATH",
        "one SQLite file; sqlite::memory: is gone when it is closed",
        _in_storage("SqliteStore"),
        "file",
    ),
    Scheme(
        "dir",
        "dir:PATH",
        "a directory: each key is a file in it",
        _in_storage("FilesystemStore"),
        "directory",
    ),
    Scheme(
        "zip",
        "zip:PATH",
        "one zip archive, which other programs can read, too",
        _in_storage("ZipStore"),
        "file",
    ),
    Scheme(
        "hashdir",
        "hashdir:PATH",
        "a directory of hashed directories, for large data or millions of keys",
        _in_storage("HashdirStore"),
        "directory",
    ),
    Scheme("s3", "s3://BUCKET/PREFIX", "a bucket of S3 or the like", _in_bucket("open_s3")),
    Scheme("gs", "gs://BUCKET/PREFIX", "Google Cloud Storage", _in_bucket("open_gs")),
    Scheme("az", "az://CONTAINER/PREFIX", "Azure Blob Storage", _in_bucket("open_az")),
    Scheme(
        "service",
        "service:http://HOST:PORT/USECASE/SCOPES",
        "what 'encore serve' publishes; SCOPES is name=value;name=value, or _ for none; a token "
        "comes from ENCORE_SERVICE_TOKEN",
        _in_service,
        whole=True,
    ),
    Scheme("memory", "memory:", "this program's memory", _in_storage("DictStore")),
    *(
        Scheme(name, f"{name}://HOST/PATH", description, _in_storage("HttpStore"), whole=True)
        for name, description in (
            ("http", "what a web server offers, for reading and without listings"),
            ("https", "the same over an encrypted connection"),
        )
    ),
):
    register_scheme(_scheme)
