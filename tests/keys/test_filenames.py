"""The map between keys and paths: reversible, strict, contained."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from key_strategies import KEYS, NASTY

from encore.keys import check_key
from encore.keys.filenames import (
    clash_name,
    decode_path,
    encode_key,
    is_marked,
    marked_name,
)

WINDOWS = st.booleans()


def forms_of(key: str, windows: bool, clashing: int, marked: bool) -> str:
    """Return one form of a key's path; bit n of `clashing`: component n is in clash form."""
    names = encode_key(key, windows=windows).split("/")
    for index, name in enumerate(names):
        if clashing >> index & 1:
            names[index] = clash_name(name, windows=windows)
    # A clash form may have become two names: the last of them is the file.
    *parents, last = "/".join(names).split("/")
    return "/".join([*parents, marked_name(last, windows=windows) if marked else last])


def merged(name: str) -> str:
    """Return what a file system makes of a name that folds case and composes accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


# --- ordinary names ---------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    "key",
    [
        "plates/a01.tif",
        "my%20file.txt",
        "100%.txt",
        "a=b",
        "a%b=c",
        ".gitignore",
        "a/.hidden",
        "été/ß.txt",
        "e\u0301",
        "Makefile",
        "a b",
        "a~1.txt",
        "x" * 255,
        "é" * 127,
        ".encore.bak",
        "a/.encore",
        "console.log",
        "a/CONTROL",
        "com10",
        "x" * 200 + "/" + "y" * 200,
        "..a",
        "~",
    ],
)
def test_an_ordinary_name_stays_as_it_is(key: str, windows: bool) -> None:
    assert encode_key(key, windows=windows) == key
    assert decode_path(key, windows=windows) == key


@pytest.mark.parametrize(
    "key", ["a:b", "a\n", "CON", "aux.txt", "a.", "a ", "a\\b", "*", "...", "en~1"]
)
def test_what_only_windows_forbids_stays_as_it_is_elsewhere(key: str) -> None:
    assert encode_key(key, windows=False) == key
    assert decode_path(key, windows=False) == key
    assert encode_key(key, windows=True) != key
    assert decode_path(key, windows=True) is None


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("%=", "%=25="),
        ("a%%=b", "a%%=25=b"),
        (".", "%=2E"),
        ("a/..", "a/.%=2E"),
        ("/a", "%=/a"),
        ("a/", "a/%="),
        ("a//b", "a/%=/b"),
        ("/", "%=/%="),
        (".encore", "%=2Eencore"),
        (".Encore/x", "%=2EEncore/x"),
        (".enc\u200core", "%=2Eenc\u200core"),
        ("\ufeff.encore", "\ufeff%=2Eencore"),
        ("x" * 256, "x" * 234 + "%=+/" + "x" * 22),
        ("é" * 200, "é" * 117 + "%=+/" + "é" * 83),
    ],
)
def test_what_cannot_be_a_name_is_escaped(key: str, path: str) -> None:
    assert encode_key(key, windows=False) == path
    assert decode_path(path, windows=False) == key


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a:b", "a%=3Ab"),
        ('<>:"\\|?*', "%=3C%=3E%=3A%=22%=5C%=7C%=3F%=2A"),
        ("a\n", "a%=0A"),
        ("a.", "a%=2E"),
        ("a..", "a.%=2E"),
        ("a /b", "a%=20/b"),
        ("..", ".%=2E"),
        ("CON", "CO%=4E"),
        ("x/nul.tar.gz", "x/nu%=6C.tar.gz"),
        ("AUX .txt", "AU%=58 .txt"),
        ("CON.", "CO%=4E%=2E"),
        ("COM\u00b9", "COM%=C2%=B9"),
        ("conin$", "conin%=24"),
        ("ENCORE~1/x", "ENCORE%=7E1/x"),
        ("en12ab~1", "en12ab%=7E1"),
        (".encore.", ".encore%=2E"),
    ],
)
def test_what_windows_cannot_name_is_escaped_there(key: str, path: str) -> None:
    assert encode_key(key, windows=True) == path
    assert decode_path(path, windows=True) == key


# --- the laws ---------------------------------------------------------------------------------


@given(KEYS, WINDOWS)
@settings(max_examples=500)
def test_every_key_comes_back(key: str, windows: bool) -> None:
    check_key(key)
    assert decode_path(encode_key(key, windows=windows), windows=windows) == key


@given(KEYS, WINDOWS, st.integers(0, 255), st.booleans())
@example("x" * 242, False, 1, True)
@example("\U0001f600" * 64, False, 0, False)
@example("\u200c" * 75 + ".encore" + "\U0001f600" * 20, False, 1, False)
@example("%" * 245, False, 1, False)
@example("\u200c" * 79 + ".encore", False, 1, False)
@example("\u200c" * 81 + ".encore", False, 0, True)
@example("x" * 250, False, 1, False)
@example("x" * 254, False, 0, True)
@example("?" * 300, True, 3, True)
@settings(max_examples=1000)
def test_every_key_comes_back_from_each_of_its_forms(
    key: str, windows: bool, clashing: int, marked: bool
) -> None:
    path = forms_of(key, windows, clashing, marked)
    assert decode_path(path, windows=windows) == key
    assert is_marked(path) == marked


@given(KEYS, WINDOWS, st.integers(0, 255), st.booleans())
@example("\u200c" * 79 + ".encore" + "x" * 20, True, 1, True)
@example("\U0001f600" * 64, False, 0, False)
@example("CON" + "." * 300, True, 1, True)
@settings(max_examples=1000)
def test_a_path_stays_below_its_root_and_out_of_the_own_folder(
    key: str, windows: bool, clashing: int, marked: bool
) -> None:
    path = forms_of(key, windows, clashing, marked)
    names = path.split("/")
    assert not {"", ".", ".."} & set(names)
    assert max(len(name.encode()) for name in names) <= 255
    assert "\0" not in path
    assert names[0].casefold().replace("\u200c", "").replace("\ufeff", "") != ".encore"
    if windows:
        assert not set(path) & set('<>:"\\|?*\n\t\r\x01')
        assert not any(name.endswith((".", " ")) for name in names)
        stems = {name.split(".")[0].rstrip(" ").upper() for name in names}
        assert not stems & {"CON", "PRN", "AUX", "NUL", "COM1", "COM\u00b9", "LPT9", "CONIN$"}


@given(
    KEYS | st.sampled_from(NASTY).filter(bool), KEYS, WINDOWS, st.integers(0, 255), st.booleans()
)
def test_no_two_keys_share_a_path(
    one: str, other: str, windows: bool, clashing: int, marked: bool
) -> None:
    assume(one != other)
    assert encode_key(one, windows=windows) != encode_key(other, windows=windows)
    assert forms_of(one, windows, clashing, marked) != forms_of(other, windows, clashing, marked)


_NAME = st.lists(
    st.sampled_from([*NASTY, "%=20", "%=41", "%=C3", "%=A9", "%=00", "%=3a", "%=3A", "\udcff"]),
    min_size=1,
    max_size=4,
).map("".join)
PATHS = st.lists(_NAME, min_size=1, max_size=3).map("/".join)


@given(PATHS, WINDOWS)
@settings(max_examples=2000)
@example("x" * 240 + "%=+/" + "x" * 10, False)
@example("a%=+/b", False)
@example("x" * 234 + "%=+/" + "x" * 20, False)
@example("x" * 234 + "%=+/" + "x" * 20 + "%=@", False)
@example("x" * 234 + "%=+/" + "x" * 18 + "%=@", False)
def test_a_path_that_has_a_key_is_among_the_forms_of_that_key(path: str, windows: bool) -> None:
    key = decode_path(path, windows=windows)
    if key is None:
        return
    check_key(key)
    # With no clash forms (their digits are not found by chance) there are only two.
    plain = encode_key(key, windows=windows)
    *parents, last = plain.split("/")
    assert path in (plain, "/".join([*parents, marked_name(last, windows=windows)]))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "a/../b",
        "./a",
        "..",
        ".",
        "a\0",
        "x" * 256,
        "a\udcff",
        "\udcff/a",
        ".encore",
        ".encore/x",
        ".ENCORE/x",
        ".encore%=@",
        "\u200c.encore/x",
        ".encore%=+/x",
        "%=2eencore",
        "%=41",
        "a%=2E",
        "%=C3",
        "%=25",
        "a%=",
        "%=x",
        "%=@",
        "%=+/a",
        "%=~01234567",
        "a%=@/b",
        "a%=+",
        "a%=+/b",
        "a%=~01234567",
        "a%=~ca978112x",
        "a%=~CA978112",
        "a%=@%=@",
        "x" * 234 + "%=+/x",
        "x" * 234 + "%=+/" + "x" * 21,
        "x" * 233 + "%=+/" + "x" * 23,
        "x" * 234 + "%=+/%=",
        "x" * 234 + "%=+/" + "x" * 22 + "%=+/x",
        "/".join(["x" * 250] * 5),
    ],
)
def test_a_path_that_is_never_written_has_no_key(path: str) -> None:
    assert decode_path(path, windows=False) is None


# --- the other forms --------------------------------------------------------------------------


def test_the_forms_of_a_name_read_as_documented() -> None:
    assert marked_name("a") == "a%=@"
    assert clash_name("a") == "a%=~ca978112"
    assert marked_name(clash_name("a")) == clash_name(marked_name("a")) == "a%=~ca978112%=@"
    assert decode_path("a%=~ca978112/b%=@") == "a/b"
    assert clash_name("x" * 234 + "%=+").endswith("%=+")
    assert marked_name("%=") == "%=%=@"
    assert decode_path("a/%=%=@") == "a/"


def test_a_form_is_made_once() -> None:
    for name in ("a", "%=", "%=2Eencore", "x" * 240, "é"):
        assert marked_name(marked_name(name)) == marked_name(name)
        assert clash_name(clash_name(name)) == clash_name(name)


def test_a_name_too_long_for_a_form_becomes_a_chain() -> None:
    name = "x" * 250
    assert marked_name(name) == name + "%=@"
    head, tail = clash_name(name).split("/")
    assert head.startswith("x" * 234 + "%=~")
    assert head.endswith("%=+")
    assert tail == "x" * 16
    assert decode_path(f"{head}/{tail}") == name


@pytest.mark.parametrize("name", ["x%=+", "%=FF"])
def test_what_is_not_the_name_of_a_file_cannot_be_marked(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        marked_name(name)


@given(st.sampled_from(NASTY), st.sampled_from(NASTY), WINDOWS)
@example("a", "A", False)
@example("\u00e9", "e\u0301", False)
@example("\u00e9", "E\u0301", False)
@example("x" * 250, "X" * 250, False)
def test_clash_forms_stay_apart_where_names_are_merged(one: str, other: str, windows: bool) -> None:
    one, other = "z" + one, "z" + other
    assume(one != other)
    first, second = (encode_key(key, windows=windows) for key in (one, other))
    names = {merged(first), merged(clash_name(first)), merged(second), merged(clash_name(second))}
    assert len(names) >= 3
    assert merged(clash_name(second)) != merged(first)
    assert merged(clash_name(second)) != merged(clash_name(first))


@given(KEYS, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["NFC", "NFD"]))
def test_a_clash_form_survives_a_file_system_that_normalises(
    key: str, ours: str, theirs: str
) -> None:
    segment = unicodedata.normalize(ours, key.replace("/", ""))[:50]  # type: ignore[arg-type]
    assume(segment and "%" not in segment)
    assume(unicodedata.is_normalized(ours, segment))  # type: ignore[arg-type]
    assume(unicodedata.normalize(ours, unicodedata.normalize(theirs, segment)) == segment)  # type: ignore[arg-type]
    path = clash_name(encode_key(segment, windows=False))
    assume(path.isascii() or len(path.encode()) < 80)
    listed = unicodedata.normalize(theirs, path)  # type: ignore[arg-type]
    assert decode_path(listed, windows=False) == segment


def test_a_normalised_name_in_clash_form_gives_the_key_that_was_written() -> None:
    for key in ("\u00e9", "e\u0301"):
        for form in ("NFC", "NFD"):
            listed = unicodedata.normalize(form, clash_name(key))  # type: ignore[arg-type]
            assert decode_path(listed) == key
