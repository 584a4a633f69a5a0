"""Which handler a path and a method mean, and which errors become which statuses.

The path is taken as it came over the wire: ``/v1/RESOURCE/USECASE/SCOPES/KEY``, where the key is
all that follows the third slash, double slashes, dots and all. ``/v1/places`` is no place, and has
none of that; ``/`` and what belongs to it is the page for people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from encore.errors import (
    AuthorizationError,
    ConflictError,
    EncoreError,
    InvalidKeyError,
    KeyNotFoundError,
    LockTimeoutError,
    ReadOnlyError,
    StoreFullError,
    UnsupportedError,
)
from encore.service.server.exchange import Refused, Reply, Request, json_reply
from encore.service.server.front import page_reply
from encore.service.server.permissions import DELETE, READ, WRITE
from encore.service.server.service import Located, Service

__all__ = ["answer", "reply_to"]

_log = logging.getLogger("encore.service")

Handler = Callable[[Service, Request, Located], Reply]


class _Route(NamedTuple):
    handler: str  # module.function
    permission: str
    has_key: bool = True


# What a query makes of objects.
_VIEWS = {"objects:list", "objects:record", "objects:data"}

# By resource, method and whether there is a key.
_ROUTES = {
    ("objects", "POST", False): _Route("objects.post_object", WRITE),
    ("objects", "PUT", True): _Route("objects.put_object", WRITE),
    ("objects", "GET", True): _Route("objects.get_object", READ),
    ("objects", "HEAD", True): _Route("objects.head_object", READ),
    ("objects", "DELETE", True): _Route("objects.delete_object", DELETE),
    ("objects", "PATCH", True): _Route("objects.patch_object", WRITE),
    ("objects:list", "GET", False): _Route("listing.list_objects", READ),
    ("objects:record", "GET", True): _Route("listing.get_record", READ),
    ("objects:data", "GET", True): _Route("listing.get_data", READ),
    ("objects:transaction", "POST", False): _Route("batches.transact", WRITE),
    ("objects:events", "GET", False): _Route("feed.follow", READ),
    ("objects:usage", "GET", False): _Route("inventory.count_objects", READ),
    ("objects:multipart", "POST", False): _Route("multipart.initiate", WRITE),
    ("objects:multipart", "PUT", True): _Route("multipart.initiate", WRITE),
    ("objects:multipart", "DELETE", True): _Route("multipart.abort", WRITE),
    ("objects:multipart:parts", "PUT", True): _Route("multipart.put_part", WRITE),
    ("objects:multipart:parts", "GET", True): _Route("multipart.list_parts", WRITE),
    ("objects:multipart:complete", "POST", True): _Route("multipart.complete", WRITE),
}
_RESOURCES = {resource for resource, _, _ in _ROUTES} - _VIEWS
_HANDLERS: dict[str, Handler] = {}

_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (KeyNotFoundError, 404, "there is no such object"),
    (InvalidKeyError, 400, "that is no key"),
    (ReadOnlyError, 403, "the store cannot be written"),
    (AuthorizationError, 403, "the store does not allow it"),
    (UnsupportedError, 501, "the store does not offer this"),
    (StoreFullError, 507, "there is no room left"),
    (LockTimeoutError, 503, "somebody else is writing; try again"),
    (ConflictError, 409, "what is there has changed meanwhile"),
)


def reply_to(service: Service, request: Request) -> Reply:
    """Answer a request; nothing is raised but what ends the program."""
    try:
        return answer(service, request)
    except Refused as refused:
        return _refusal(refused)
    except ValueError as error:
        # What metadata may not name, and the like: the store's words for the caller.
        if isinstance(error, EncoreError):
            return _refusal(_translated(error))
        _log.info("%s was refused", request.method, exc_info=True)
        return _refusal(Refused(400, str(error)))
    except Exception as error:
        return _refusal(_translated(error))


def answer(service: Service, request: Request) -> Reply:
    """Find the handler and have it answer; raises what it raises."""
    page = page_reply(request)
    if page is not None:
        return page
    if request.path == "/v1/places" and request.method == "GET":
        return _places(service, request)
    root, version, *rest = [*request.path.split("/", 5), "", ""]
    if root or version != "v1":
        raise Refused(404, "there is nothing here")
    resource, usecase, scopes, key = [*rest, "", ""][:4]
    if resource not in _RESOURCES or not usecase or not scopes:
        raise Refused(404, "there is nothing here")
    route = _route(resource, request, key)
    if route is None:
        raise Refused(405, "this cannot be done here")
    at = service.locate(usecase, scopes, key)
    service.allow(request, at, route.permission)
    service.written_by(request.header("x-encore-client"))
    return _handler(route.handler)(service, request, at)


def _places(service: Service, request: Request) -> Reply:
    """Answer what is asked of no place; which places are named depends on the token."""
    from encore.service.server.inventory import list_places

    return list_places(service, request)


def _route(resource: str, request: Request, key: str) -> _Route | None:
    if resource == "objects" and ("upload_type=" in request.query or "session=" in request.query):
        _refuse_resumable(request)
    if resource == "objects" and request.method == "GET":
        if not key and "list" in request.parameters:
            resource = "objects:list"
        elif key and "record" in request.parameters:
            resource = "objects:record"
        elif key and "data" in request.parameters:
            resource = "objects:data"
    return _ROUTES.get((resource, request.method, bool(key)))


def _refuse_resumable(request: Request) -> None:
    """Refuse uploads over several connections; clients then upload in one."""
    if request.parameters.get("upload_type", "resumable") != "resumable":
        raise Refused(400, "the upload_type is not known")
    raise Refused(501, "resumable uploads are not offered; put the object, or use multipart")


def _handler(name: str) -> Handler:
    found = _HANDLERS.get(name)
    if found is None:
        module, _, function = name.partition(".")
        found = getattr(import_module(f"encore.service.server.{module}"), function)
        _HANDLERS[name] = found
    return found


def _translated(error: Exception) -> Refused:
    for kind, status, detail in _STATUSES:
        if isinstance(error, kind):
            headers = [("retry-after", "1")] if status == 503 else []
            return Refused(status, detail, headers=headers)
    _log.error("a request failed", exc_info=error)
    # What exactly went wrong is for the log: it may name files of the server.
    return Refused(500, "the server has a problem", (type(error).__name__,))


def _refusal(refused: Refused) -> Reply:
    if not refused.detail:
        return Reply(refused.status, refused.headers)
    document: dict[str, object] = {"detail": refused.detail}
    if refused.causes:
        document["causes"] = [*refused.causes]
    return json_reply(refused.status, document, refused.headers)
