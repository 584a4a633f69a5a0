"""What the page for people asks of the server: its files, places, folders, and storage use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from encore.service import (
    Authority,
    Client,
    Grant,
    StaticTokens,
    TimeToLive,
    UsecaseRules,
    create_app,
    served,
)
from encore.service.server.inventory import Inventory
from encore.service.server.permissions import READ, WRITE
from encore.storage.api import DictStore, SqliteStore

_SECONDS = 20
_TOKEN = "CANARY-a-token-for-{}"


def _get(url: str, token: str | None = None, **query: Any) -> requests.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return requests.get(url, params=query, headers=headers, timeout=_SECONDS)


def _places(url: str, token: str | None = None) -> list[str]:
    answer = _get(f"{url}/v1/places", token)
    assert answer.status_code == 200
    return [f"{place['usecase']}/{place['scopes']}" for place in answer.json()["places"]]


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")],
)
def test_the_files_of_the_page_forbid_what_they_do_not_need(
    plain_store: DictStore, path: str, kind: str
) -> None:
    with served(create_app(plain_store)) as url:
        answer = _get(url + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = dict(
            part.partition(" ")[::2]
            for part in answer.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in str(policy)
        assert "http:" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "https:" not in answer.text
        head = requests.head(url + path, timeout=_SECONDS)
        assert head.headers["content-length"] == str(len(answer.content))
        assert requests.post(url + path, timeout=_SECONDS).status_code == 405


def test_the_page_has_no_script_and_no_style_between_its_lines(plain_store: DictStore) -> None:
    with served(create_app(plain_store)) as url:
        text = _get(url).text
        script = _get(f"{url}/page.js").text
    assert text.count("<script") == 1
    assert '<script type="module" src="page.js"></script>' in text
    assert "style=" not in text
    assert "onclick" not in text
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in script


# -- places ---------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    kind: Callable[[], Any] = (
        DictStore if request.param == "memory" else lambda: SqliteStore(tmp_path / "s.db")
    )
    with kind() as found:
        yield found


def test_places_are_those_that_hold_objects(store: Any) -> None:
    keys = (
        "abc", "abc-d/_/k", "abc/_", "abc/_/k", "abc/_/l/m", "abc/_0", "abc/a=1/k", "abc/a=1;b=2/k",
        "abc/a=10/k", "abc/nothing/k", "abc0/_/k", "ab/_/k", ".uploads/x/y", "a b c/_/k", "z",
    )  # fmt: skip
    for key in keys:
        store.put(key, b"x")
    with served(create_app(store)) as url:
        assert _places(url) == [
            "abc-d/_", "abc/_", "abc/a=1", "abc/a=10", "abc/a=1;b=2", "abc0/_"
        ]  # fmt: skip
        assert requests.post(f"{url}/v1/places", timeout=_SECONDS).status_code == 404


def test_many_places_come_in_pages(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from encore.service.server import inventory

    monkeypatch.setattr(inventory, "_MOST_PLACES", 2)
    for number in range(5):
        store.put(f"usecase/n={number}/k", b"x")
    with served(create_app(store)) as url:
        found, after = [], {}
        while True:
            page = _get(f"{url}/v1/places", **after).json()
            found += [place["scopes"] for place in page["places"]]
            if not page["more"]:
                break
            after = {"start_after": page["start_after"]}
        assert found == [f"n={number}" for number in range(5)]


def test_usecases_with_a_prefix_are_places_and_what_is_not_served_is_none(store: Any) -> None:
    store.put("thumbnails/_/k", b"x")
    store.put("other/_/k", b"x")
    store.put("project/_/k", b"x")
    rules = {"thumbnails": UsecaseRules(), "project": UsecaseRules(prefix="")}
    with served(create_app(store, usecases=rules, only_named=True)) as url:
        assert _places(url) == ["project/_", "thumbnails/_"]


def _guarded(store: Any) -> Any:
    def one(who: str, *given: Any) -> tuple[str, Grant]:
        return _TOKEN.format(who), Grant(who, *given)

    tokens = StaticTokens(
        [
            one("everything", "*", None, frozenset((READ,))),
            one("usecase", "lab", None, frozenset((READ,))),
            one("one-place", "lab", (("org", "1"),), frozenset((READ,))),
            one("no-place", "lab", (("org", "7"),), frozenset((READ,))),
            one("a-kind", "lab", (("org", "*"),), frozenset((READ,))),
            one("writing", "lab", None, frozenset((WRITE,))),
        ]
    )
    return create_app(store, authority=Authority([tokens]))


def test_a_token_sees_the_places_that_it_may_read_and_no_others(plain_store: DictStore) -> None:
    for place in ("lab/_", "lab/org=1", "lab/org=1;project=2", "lab/org=2", "lab-2/_", "other/_"):
        plain_store.put(f"{place}/k", b"x")
    lab = {"lab/_", "lab/org=1", "lab/org=1;project=2", "lab/org=2"}
    seen = {
        "everything": {*lab, "lab-2/_", "other/_"},
        "usecase": lab,
        "one-place": {"lab/org=1"},
        "no-place": {"lab/org=7"},  # there is nothing yet, but that is where it leads
        "a-kind": {"lab/org=1", "lab/org=2"},
        "writing": set(),
    }  # fmt: skip
    with served(_guarded(plain_store)) as url:
        for who, places in seen.items():
            found = _places(url, _TOKEN.format(who))
            assert sorted(found) == sorted(places), who
        assert _get(f"{url}/v1/places").status_code == 401
        assert _get(f"{url}/v1/places", "CANARY-unknown-to-all").status_code == 401
        for path in ("/", "/page.css", "/page.js"):
            assert _get(url + path).status_code == 200


def test_storage_use_is_told_to_those_who_may_read(plain_store: DictStore) -> None:
    plain_store.put("lab/org=1/k", b"x")
    with served(_guarded(plain_store)) as url:
        at = f"{url}/v1/objects:usage/lab/org=1/"
        assert _get(at, _TOKEN.format("one-place")).json()["objects"] == 1
        assert _get(at, _TOKEN.format("no-place")).status_code == 403
        assert _get(at, _TOKEN.format("writing")).status_code == 403
        assert _get(at).status_code == 401


# -- folders --------------------------------------------------------------------------------------


def _walk(url: str, prefix: str = "", limit: int = 1000, **query: Any) -> list[str]:
    found: list[str] = []
    after: dict[str, Any] = {}
    while True:
        given = {"list": "", "folders": "", "prefix": prefix, "limit": limit, **query, **after}
        page = _get(f"{url}/v1/objects/usecase/_/", **given).json()
        found += [*page["folders"], *(one["key"] for one in page["objects"])]
        if not page["more"]:
            return sorted(found)
        after = {"start_after": page["start_after"]}


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_a_listing_by_folder_tells_each_folder_once(store: Any, limit: int) -> None:
    keys = (
        "a", "a/", "a/b", "a/b/c", "a/b/d", "a//x", "a0", "a-", "b/c", "/", "/x", "z/\U0010ffff/y",
        "z/\U0010ffff", "z0",
    )  # fmt: skip
    for key in keys:
        store.put(f"usecase/_/{key}", b"x")
    with served(create_app(store)) as url:
        assert _walk(url, "", limit) == ["/", "a", "a-", "a/", "a0", "b/", "z/", "z0"]
        assert _walk(url, "a/", limit) == ["a/", "a//", "a/b", "a/b/"]
        assert _walk(url, "a/b", limit) == ["a/b", "a/b/"]
        assert _walk(url, "a//", limit) == ["a//x"]
        assert _walk(url, "z/", limit) == ["z/\U0010ffff", "z/\U0010ffff/"]
        assert _walk(url, "none/", limit) == []


def test_large_folders_are_passed_over(store: Any) -> None:
    with store.transaction("Many"):
        for number in range(300):
            store.put(f"usecase/_/{number % 3}/{number}", b"x")
        store.put("usecase/_/1-", b"x")
        store.put("usecase/_/10", b"x")
    with served(create_app(store)) as url:
        assert _walk(url) == ["0/", "1-", "1/", "10", "2/"]


def test_a_folder_is_there_if_something_in_it_is(plain_store: DictStore) -> None:
    now = [1e9]
    app = create_app(plain_store, clock=lambda: now[0], sweep_seconds=None)
    with served(app) as url, Client(url) as client:
        session = client.session("usecase")
        session.put(b"x", "gone/a", expiration_policy=TimeToLive(60))
        session.put(b"x", "half/a", expiration_policy=TimeToLive(60))
        session.put(b"x", "half/b", metadata={"colour": "red"})
        session.put(b"x", "stays/a", metadata={"colour": "blue"})
        assert _walk(url) == ["gone/", "half/", "stays/"]
        now[0] += 3600
        assert _walk(url) == ["half/", "stays/"]
        assert _walk(url, where='{"colour":"blue"}') == ["stays/"]


def test_a_listing_without_folders_says_nothing_of_them(plain_store: DictStore) -> None:
    plain_store.put("usecase/_/a/b", b"x")
    with served(create_app(plain_store)) as url:
        page = _get(f"{url}/v1/objects/usecase/_/", list="").json()
        assert [one["key"] for one in page["objects"]] == ["a/b"]
        assert "folders" not in page


# -- storage use ----------------------------------------------------------------------------------


def test_storage_use_has_a_past(plain_store: DictStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from encore.service.server import inventory

    monkeypatch.setattr(inventory, "_LEAST_REST_SECONDS", 0.0)
    monkeypatch.setattr(inventory, "_REST", 0)
    now = [1000.0]
    app = create_app(plain_store, clock=lambda: now[0], sweep_seconds=None)
    with served(app) as url, Client(url) as client:
        session = client.session("usecase")
        at = f"{url}/v1/objects:usage/usecase/_/"
        assert _get(at).json() == {
            "objects": 0, "bytes": 0, "whole": True, "history": [[1000.0, 0, 0]]
        }  # fmt: skip
        for number in range(4):
            now[0] += 10
            session.put(bytes(100), f"k{number // 2}", compression="none")
            _get(at)
        session.put(b"x", "brief", expiration_policy=TimeToLive(60))
        client.session("usecase", other=1).put(b"x", "elsewhere")
        now[0] += 3600
        found = _get(at).json()
    assert (found["objects"], found["bytes"], found["whole"]) == (2, 200, True)
    # Where nothing changes, the first moment and the last one say it all.
    assert found["history"] == [
        [1000.0, 0, 0], [1010.0, 1, 100], [1020.0, 1, 100], [1030.0, 2, 200], [4640.0, 2, 200]
    ]  # fmt: skip


def test_a_count_ends_somewhere_and_its_past_stays_small(
    plain_store: DictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from encore.service.server import inventory

    monkeypatch.setattr(inventory, "_LEAST_REST_SECONDS", 0.0)
    monkeypatch.setattr(inventory, "_REST", 0)
    monkeypatch.setattr(inventory, "_MOST_COUNTED", 20)
    monkeypatch.setattr(inventory, "_MOST_SAMPLES", 8)
    monkeypatch.setattr(inventory, "_MOST_KNOWN", 2)
    service = create_app(plain_store).state.service
    at = service.locate("usecase", "_", "")
    for number in range(30):
        plain_store.put(f"usecase/_/{number}", b"x")
        samples = service.inventory.samples(service, at)
        assert len(samples) <= 8
    assert samples[0].objects == 1
    assert (samples[-1].objects, samples[-1].is_whole) == (20, False)
    for number in range(5):
        service.inventory.samples(service, service.locate(f"usecase-{number}", "_", ""))
    assert len(service.inventory._known) == 2
    service.close()


def test_a_count_is_not_made_again_at_once(plain_store: DictStore) -> None:
    service = create_app(plain_store).state.service
    at = service.locate("usecase", "_", "")
    inventory = Inventory()
    began = time.monotonic()
    first = inventory.samples(service, at)
    plain_store.put("usecase/_/k", b"x")
    again = inventory.samples(service, at)
    assert again == first or time.monotonic() - began > 0.5
    service.close()
