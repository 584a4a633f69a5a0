"""Stores that ask who is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from encore.errors import (
    AuthorizationError,
    ConflictError,
    KeyNotFoundError,
    StoreError,
    TransactionError,
)
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import StoreModificationEvent
from encore.storage.template import Store
from encore.storage.wrappers.authorizing import SimpleAuthStore, hash_password
from encore.storage.wrappers.keymaps import PrefixStore
from encore.storage.wrappers.passwords import PasswordHash
from encore.testing import verbs
from encore.testing.laws import heard, seen, told
from encore.testing.sources import Trickle, pattern

SECRETS = {"ann": "ann's secret", "bob": "bob's secret", "eve": "eve's secret"}
HASHES = {name: hash_password(secret, ln=1, r=1, p=1) for name, secret in SECRETS.items()}
USERS: dict[str, Any] = {**HASHES, "bob": {"password": HASHES["bob"], "tags": ["staff", "lab"]}}


@pytest.fixture(params=["dict", "sqlite"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    manager = EventManager()
    store: Store = (
        DictStore(event_manager=manager)
        if request.param == "dict"
        else SqliteStore(tmp_path / "store.db", event_manager=manager)
    )
    with store:
        yield store


Session = Callable[..., SimpleAuthStore]


@pytest.fixture
def session(base: Store) -> Session:
    """``session(name)`` is the store as a user sees it."""

    def connect(name: str, **options: Any) -> SimpleAuthStore:
        store = SimpleAuthStore(base, USERS, **options)
        store.connect({"username": name, "password": SECRETS[name]})
        return store

    return connect


# -- coming in ------------------------------------------------------------------------------------

_ON_KEYS = (
    verbs.READING
    | verbs.TO_FILE
    | verbs.ASKING
    | verbs.REMOVING
    | {f"write: {name}": verb for name, verb in verbs.WRITING.items()}
)
_EVERYTHING: dict[str, Callable[[Any], object]] = {
    **{name: lambda s, verb=verb: verb(s, "a") for name, verb in _ON_KEYS.items()},
    **verbs.LISTING,
    "clear": lambda s: s.clear(),
    "transaction": lambda s: s.transaction(),
    "connect": lambda s: s.connect(),
    "with": lambda s: s.__enter__(),
    "user_tag": lambda s: s.user_tag(),
    "get_permissions": lambda s: s.get_permissions("a"),
    "set_permissions": lambda s: s.set_permissions("a", {"owned": {"x"}}),
    "update_permissions": lambda s: s.update_permissions("a", {}),
}


@pytest.mark.parametrize("act", _EVERYTHING.values(), ids=_EVERYTHING)
def test_before_somebody_has_connected_everything_is_refused(
    base: Store, act: Callable[[Any], object]
) -> None:
    base.put("a", b"1")
    before = seen(base)
    store = SimpleAuthStore(base, USERS, permissions={"owned": {"user:ann"}})
    assert not store.is_connected()
    with pytest.raises(AuthorizationError, match="connect"):
        act(store)
    assert seen(base) == before


@pytest.mark.parametrize("form", [dict, tuple, list])
def test_a_user_comes_in_with_the_password(base: Store, form: Any) -> None:
    store = SimpleAuthStore(base, USERS)
    credentials = {"username": "ann", "password": SECRETS["ann"]}
    store.connect(credentials if form is dict else form(credentials.values()))
    assert store.is_connected()
    assert store.user_tag() == "user:ann"
    assert store.info()["authorizing"] is True
    store.put("a", b"1")
    store.connect()  # may be asked again without credentials
    with store:
        assert store.read("a") == b"1"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", SECRETS["bob"]),
        ("ann", ""),
        ("ann", SECRETS["ann"] + "\0"),
        pytest.param("ann", HASHES["ann"], id="ann-her hash"),
        ("nobody", SECRETS["ann"]),
        ("", ""),
        ("Ann", SECRETS["ann"]),
        ("ann", "\ud800"),
    ],
)
def test_a_wrong_name_or_password_is_refused_alike(base: Store, name: str, password: str) -> None:
    store = SimpleAuthStore(base, USERS)
    with pytest.raises(AuthorizationError) as caught:
        store.connect((name, password))
    assert "this user by this password" in str(caught.value)
    assert not store.is_connected()
    with pytest.raises(AuthorizationError):
        store.keys()


@pytest.mark.parametrize(
    "credentials", ["ann", b"x", {}, {"username": "ann"}, ("ann",), ("ann", b"secret"), 1]
)
def test_what_are_no_credentials_is_a_type_error(base: Store, credentials: Any) -> None:
    with pytest.raises(TypeError, match="credentials are"):
        SimpleAuthStore(base, USERS).connect(credentials)


def test_a_failed_attempt_leaves_whoever_is_connected(session: Session) -> None:
    store = session("ann")
    with pytest.raises(AuthorizationError):
        store.connect(("bob", "wrong"))
    assert store.user_tag() == "user:ann"


def test_a_session_can_change_hands_but_not_in_a_transaction(session: Session) -> None:
    store = session("ann")
    store.put("a", b"1")
    with store.transaction():
        with pytest.raises(TransactionError):
            store.connect(("bob", SECRETS["bob"]))
        store.connect(("ann", SECRETS["ann"]))
        assert store.read("a") == b"1"
    store.connect(("bob", SECRETS["bob"]))
    assert [*store] == []


def test_closing_ends_the_session(session: Session) -> None:
    store = session("ann")
    store.put("a", b"1")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read("a")
    with pytest.raises(AuthorizationError):
        store.connect()
    with pytest.raises(AuthorizationError):
        store.user_tag()
    store.connect(("ann", SECRETS["ann"]))
    assert store.read("a") == b"1"


def test_the_base_is_opened_for_users_only(tmp_path: Path) -> None:
    base = SqliteStore(tmp_path / "store.db")
    store = SimpleAuthStore(base, USERS)
    with pytest.raises(AuthorizationError):
        store.connect(("ann", "wrong"))
    assert not base.is_connected()
    store.connect(("ann", SECRETS["ann"]))
    assert base.is_connected()
    store.close()
    assert not base.is_connected(), "who opened it closes it"


# -- passwords ------------------------------------------------------------------------------------


def test_a_hash_describes_itself_and_is_another_one_each_time() -> None:
    one, other = hash_password("secret", ln=2, r=3, p=4), hash_password("secret", ln=2, r=3, p=4)
    assert one.startswith("$scrypt$ln=2,r=3,p=4$")
    assert one != other
    assert "secret" not in one
    for text in (one, other):
        assert PasswordHash.parse(text).fits("secret")
        assert not PasswordHash.parse(text).fits("Secret")


def test_a_hash_that_another_program_made_is_understood() -> None:
    # The last test vector of RFC 7914, section 12, that needs little memory: cut to 32 bytes.
    text = "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7oT44+bSbVQ9lVDafo"
    digest = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    parsed = PasswordHash.parse(text)
    assert parsed.salt == b"SodiumChloride"
    known = PasswordHash(parsed.ln, parsed.r, parsed.p, parsed.salt, digest)
    assert known.fits("pleaseletmein")
    assert not known.fits("pleaseletmeout")


@pytest.mark.parametrize(
    "given",
    ["ann's secret", "", None, 1, b"x", "$scrypt$ln=14$x$y", HASHES["ann"] + "\n", {}],
    ids=lambda given: (
        type(given).__name__
    ),  # a hash differs from run to run, a test's name must not
)
def test_what_is_no_hash_is_refused_and_not_shown(base: Store, given: Any) -> None:
    with pytest.raises(ValueError, match="user 'ann'") as caught:
        SimpleAuthStore(base, {"ann": given})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_cannot_be_a_password_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        hash_password(b"secret")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL") as caught:
        hash_password("secret\0")
    assert "secret" not in str(caught.value)


def test_what_is_confidential_appears_nowhere(
    base: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    store = SimpleAuthStore(base, USERS)
    shown = [repr(store), str(vars(store)), repr(store.info())]
    for credentials in (("ann", SECRETS["ann"]), ("ann", "wrong secret"), ("ann", ["a secret"])):
        with suppress(AuthorizationError, TypeError):
            store.connect(credentials)
        try:
            store.connect(("eve", "another secret"))
        except AuthorizationError as error:
            shown += [str(error), repr(error), repr(vars(error))]
    store.put("a", b"")
    shown += [repr(store), str(vars(store)), caplog.text, repr(base.get_metadata("a"))]
    for text in shown:
        assert "secret" not in text
        assert "$scrypt" not in text
        for kept in HASHES.values():
            assert kept.rpartition("$")[2] not in text


def test_an_unknown_user_takes_as_long_as_a_known_one(base: Store) -> None:
    costly = hash_password("x", ln=12, r=8, p=1)
    store = SimpleAuthStore(base, {**USERS, "ann": costly})

    def seconds(name: str) -> float:
        best = 1e9
        for _ in range(3):
            begun = time.perf_counter()
            with pytest.raises(AuthorizationError):
                store.connect((name, "wrong"))
            best = min(best, time.perf_counter() - begun)
        return best

    # Another clock would not do: it is the time that would tell. Cheap hashes take a hundredth.
    assert seconds("nobody") > seconds("ann") / 4


# -- who may do what ------------------------------------------------------------------------------


def test_a_new_key_is_its_makers_alone(session: Session) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("a", b"1", {"x": 1})
    assert ann.get_permissions("a") == {"owned": {"user:ann"}, "read": set(), "write": set()}
    assert seen(ann) == {"a": (b"1", {"x": 1})}
    assert seen(eve) == {}


_SEEING = verbs.READING | {name: verb for name, verb in verbs.REMOVING.items() if "to" not in name}


@pytest.mark.parametrize("verb", _SEEING.values(), ids=_SEEING)
def test_what_one_may_not_read_is_missing(session: Session, verb: verbs.Verb) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("a", b"1", {"kind": "x"})
    errors = []
    for key in ("a", "n"):
        with pytest.raises(KeyNotFoundError) as caught:
            verb(eve, key)
        assert caught.value.store is eve
        errors.append(str(caught.value).replace(f"'{key}'", "KEY"))
    assert errors[0] == errors[1], "there or not makes no difference"
    assert ann.read("a") == b"1"


@pytest.mark.parametrize("listing", verbs.LISTING.values(), ids=verbs.LISTING)
def test_what_one_may_not_read_is_in_no_listing(
    session: Session, listing: Callable[[Any], object]
) -> None:
    ann, eve = session("ann"), session("eve")
    nothing = listing(eve)
    ann.multiset({"a": (b"1", {"kind": "x"}), "b": pattern(70000)})
    assert listing(eve) == nothing
    assert not any(verb(eve, "a") for verb in verbs.ASKING.values())
    eve.delete("a", missing_ok=True)
    eve.clear()
    assert [*ann] == ["a", "b"]


_WRITES = {name: verb for name, verb in verbs.WRITING.items() if name != "put if_absent"}
_CHANGES: dict[str, verbs.Verb] = {
    **_WRITES,
    "put a stream": lambda s, k: s.put(k, Trickle(pattern(3 << 20))),
    "copy onto": lambda s, k: s.copy("mine", k),
    "move onto": lambda s, k: s.move("mine", k),
}


@pytest.mark.parametrize("is_visible", [True, False], ids=["visible", "invisible"])
@pytest.mark.parametrize("write", _CHANGES.values(), ids=_CHANGES)
def test_what_one_may_not_write_stays_as_it_is(
    session: Session, write: verbs.Verb, is_visible: bool
) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("a", b"1", {"x": 1})
    if is_visible:
        ann.update_permissions("a", {"read": {"user:eve"}})
    eve.put("mine", b"eve's")
    with pytest.raises(AuthorizationError) as caught:
        write(eve, "a")
    assert caught.value.key == "a"
    assert seen(ann) == {"a": (b"1", {"x": 1})}
    assert eve.read("mine") == b"eve's"


@pytest.mark.parametrize(
    "remove",
    [lambda s: s.delete("a"), lambda s: s.move("a", "n"), lambda s: s.clear()],
    ids=["delete", "move", "clear"],
)
def test_what_one_may_only_read_cannot_be_removed(
    session: Session, remove: Callable[[Store], object]
) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("a", b"1")
    ann.update_permissions("a", {"read": {"user:eve"}})
    eve.put("0", b"eve's")
    with pytest.raises(AuthorizationError):
        remove(eve)
    assert ann.read("a") == b"1"
    assert [*eve] == ["0", "a"], "nor is anything else"


def test_readers_read_and_writers_write(session: Session) -> None:
    ann, bob, eve = session("ann"), session("bob"), session("eve")
    ann.put("a", b"1", {"x": 1})
    ann.set_permissions(
        "a", {"owned": ["user:ann"], "read": ["staff", "user:eve"], "write": ["lab"]}
    )
    assert bob.read("a") == eve.read("a") == b"1"
    assert [*eve.query(x=1)] == [("a", {"x": 1})]
    bob.set_data("a", b"2")
    bob.update_metadata("a", {"y": 2})
    assert ann.get("a").metadata == {"x": 1, "y": 2}
    bob.put("a", b"3")
    assert ann.get_permissions("a")["owned"] == {"user:ann"}, "writing keeps the permissions"
    bob.delete("a")
    assert "a" not in ann


def test_who_may_only_write_puts_things_in_unseen(session: Session) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("box", b"")
    ann.update_permissions("box", {"write": {"user:eve"}})
    eve.put("box", b"for ann")
    assert "box" not in eve
    with pytest.raises(KeyNotFoundError):
        eve.copy("box", "mine")
    with pytest.raises(KeyNotFoundError):
        eve.move("box", "mine")
    with pytest.raises(ConflictError):
        eve.put("box", b"", if_absent=True)
    assert ann.read("box") == b"for ann"
    eve.delete("box")
    assert "box" not in ann


def test_only_owners_see_and_change_permissions(session: Session) -> None:
    ann, bob, eve = session("ann"), session("bob"), session("eve")
    ann.put("a", b"1", {"x": 1})
    ann.update_permissions("a", {"read": {"staff"}, "write": {"staff"}})
    for store, error in ((bob, AuthorizationError), (eve, KeyNotFoundError)):
        for act in (
            lambda s: s.get_permissions("a"),
            lambda s: s.set_permissions("a", {"owned": {s.user_tag()}}),
            lambda s: s.update_permissions("a", {"owned": {s.user_tag()}}),
        ):
            with pytest.raises(error):
                act(store)
    ann.update_permissions("a", {"owned": {"user:bob"}})
    assert bob.get_permissions("a") == {
        "owned": {"user:ann", "user:bob"}, "read": {"staff"}, "write": {"staff"},
    }  # fmt: skip
    bob.set_permissions("a", {"owned": {"user:bob"}})
    assert "a" not in ann
    assert seen(bob) == {"a": (b"1", {"x": 1})}


def test_permissions_that_are_given_out_are_a_copy(session: Session) -> None:
    ann = session("ann")
    ann.put("a", b"")
    ann.get_permissions("a")["owned"].clear()
    assert ann.get_permissions("a")["owned"] == {"user:ann"}


@pytest.mark.parametrize(
    ("permissions", "error"),
    [
        ({}, ValueError),
        ({"owned": []}, ValueError),
        ({"read": {"x"}}, ValueError),
        ({"owned": {"x"}, "fly": {"x"}}, ValueError),
        ({"owned": "user:ann"}, TypeError),
        ({"owned": [1]}, TypeError),
    ],
)
def test_permissions_that_make_no_sense_are_refused(
    session: Session, permissions: Any, error: type[Exception]
) -> None:
    ann = session("ann")
    ann.put("a", b"")
    with pytest.raises(error):
        ann.set_permissions("a", permissions)
    assert ann.get_permissions("a")["owned"] == {"user:ann"}


def test_a_copy_is_its_makers_and_a_moved_key_stays_its_owners(session: Session) -> None:
    ann, bob = session("ann"), session("bob")
    ann.put("a", pattern(70000), {"x": 1})
    ann.update_permissions("a", {"read": {"staff"}, "write": {"staff"}})
    bob.copy("a", "copy")
    assert bob.get_permissions("copy") == {"owned": {"user:bob"}, "read": set(), "write": set()}
    assert bob.get("copy").metadata == {"x": 1}
    assert "copy" not in ann

    bob.move("a", "moved")
    assert ann.get_permissions("moved")["owned"] == {"user:ann"}
    with pytest.raises(AuthorizationError):
        bob.get_permissions("moved")

    bob.move("moved", "copy")
    assert bob.get_permissions("copy")["owned"] == {"user:bob"}, "as of any value that is replaced"
    assert seen(bob) == {"copy": (pattern(70000), {"x": 1})}
    assert seen(ann) == {}


def test_default_permissions_hold_for_new_keys_and_for_those_that_have_none(
    base: Store, session: Session
) -> None:
    base.put("old", b"1")
    assert "old" not in session("ann"), "without a default nobody may do anything with it"
    default = {"owned": {"lab"}, "read": {"user:eve"}}
    ann, bob, eve = (session(name, permissions=default) for name in ("ann", "bob", "eve"))
    assert "old" not in ann
    assert eve.read("old") == b"1"
    with pytest.raises(AuthorizationError):
        eve.put("old", b"")
    bob.put("old", b"2")
    ann.put("new", b"3")
    assert ann.get_permissions("new") == {
        "owned": {"user:ann", "lab"}, "read": {"user:eve"}, "write": set(),
    }  # fmt: skip
    assert bob.get_permissions("old") == {
        "owned": {"lab"}, "read": {"user:eve"}, "write": set(),
    }  # fmt: skip


def test_permissions_that_somebody_else_garbled_let_nobody_in(
    base: Store, session: Session
) -> None:
    for number, field in enumerate([1, "user:ann", {"owned": "user:ann"}, {"all": ["user:ann"]}]):
        base.put(str(number), b"", {"encore.permissions": field})
    assert [*session("ann", permissions={"owned": {"user:ann"}})] == []


def test_a_group_cannot_pass_for_a_user(base: Store) -> None:
    with pytest.raises(ValueError, match="'user:'"):
        SimpleAuthStore(base, {"bob": {"password": HASHES["bob"], "tags": ["user:ann"]}})
    store = SimpleAuthStore(base, {"bob": {"password": HASHES["bob"], "tags": ["ann"]}})
    store.connect(("bob", SECRETS["bob"]))
    assert store.user_tag() == "user:bob"


def test_users_are_found_by_json_too(base: Store) -> None:
    store = SimpleAuthStore(base, json.loads(json.dumps(USERS)))
    store.connect(json.loads(json.dumps({"username": "bob", "password": SECRETS["bob"]})))
    assert store.user_tag() == "user:bob"


# -- together with everything else ----------------------------------------------------------------


def test_each_hears_of_what_they_may_read(session: Session) -> None:
    ann, bob, eve = session("ann"), session("bob"), session("eve")
    with (
        heard(ann, StoreModificationEvent) as to_ann,
        heard(bob, StoreModificationEvent) as to_bob,
        heard(eve, StoreModificationEvent) as to_eve,
    ):
        ann.put("a", b"1", {"x": 1})
        ann.update_permissions("a", {"read": {"staff"}})
        ann.put("a", b"2")
        ann.set_permissions("a", {"owned": {"user:ann"}})
        ann.delete("a")
    assert told(to_ann) == [(act, "a") for act in ("set", "update", "update", "update", "delete")]
    assert told(to_bob) == [("set", "a"), ("update", "a"), ("delete", "a")]
    assert to_bob[0].metadata == {"x": 1}
    assert to_eve == []


def test_nobody_connected_hears_nothing(base: Store, session: Session) -> None:
    idle = SimpleAuthStore(base, USERS, permissions={"read": {"user:ann"}})
    with heard(idle) as events:
        session("ann").put("a", b"")
        base.put("b", b"")
    assert events == []


def test_permissions_and_values_are_one_transaction(session: Session) -> None:
    ann, bob = session("ann"), session("bob")
    with suppress(RuntimeError), ann.transaction():
        ann.put("a", b"1")
        ann.update_permissions("a", {"read": {"staff"}})
        raise RuntimeError
    assert "a" not in ann
    with ann.transaction():
        ann.put("a", b"1")
        ann.update_permissions("a", {"read": {"staff"}})
    assert bob.read("a") == b"1"
    with pytest.raises(AuthorizationError):
        bob.multiset({"b": b"", "a": b""})
    assert "b" not in bob, "what is refused undoes the rest"


def test_a_wrapper_over_it_is_bound_by_it(session: Session) -> None:
    ann, eve = PrefixStore(session("ann"), "p/"), PrefixStore(session("eve"), "p/")
    ann.put("a", b"1")
    assert [*eve] == []
    with pytest.raises(AuthorizationError):
        eve.put("a", Trickle(pattern(3 << 20)))
    with pytest.raises(KeyNotFoundError):
        eve.delete("a")
    assert ann.read("a") == b"1"


def test_the_reserved_name_cannot_be_written(session: Session) -> None:
    ann, eve = session("ann"), session("eve")
    ann.put("a", b"1")
    ann.update_permissions("a", {"read": {"user:eve"}, "write": {"user:eve"}})
    forged = {"encore.permissions": {"owned": ["user:eve"]}}
    for act in (
        lambda: eve.put("a", b"", forged),
        lambda: eve.set_metadata("a", forged),
        lambda: eve.update_metadata("a", forged),
    ):
        with pytest.raises(ValueError):
            act()
    assert ann.get_permissions("a")["owned"] == {"user:ann"}


def test_permissions_outlive_the_session(tmp_path: Path) -> None:
    for name, expected in (("ann", []), ("eve", []), ("ann", ["ann"])):
        with SqliteStore(tmp_path / "store.db") as base:
            store = SimpleAuthStore(base, USERS)
            store.connect((name, SECRETS[name]))
            assert [*store] == expected
            store.put(name, b"")
            store.close()
