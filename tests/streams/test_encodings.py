"""Base64 and the encodings of text take what they would have written, and nothing else."""

from __future__ import annotations

import base64
import codecs
import encodings
import pkgutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore.errors import CorruptValueError
from encore.streams import Base64, Identity, TextEncoding
from encore.streams.codec import PIECE_BYTES

LETTERS = b"ABCDQRSTwxyz019+/=="


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# -- base64 ----------------------------------------------------------------------------------------


@given(st.binary(max_size=100))
def test_base64_is_that_of_everybody(plain: bytes) -> None:
    assert Base64().encode_bytes(plain) == base64.b64encode(plain)


@given(
    st.lists(st.sampled_from(LETTERS), max_size=12).map(bytes) | st.binary(max_size=12),
    st.integers(1, 12),
)
def test_base64_takes_exactly_what_it_writes(encoded: bytes, size: int) -> None:
    def decode() -> bytes:
        return b"".join(Base64().decode(cut(encoded, size)))

    is_ours = False
    try:
        plain = base64.b64decode(encoded, validate=True)
        is_ours = base64.b64encode(plain) == encoded
    except ValueError:
        pass
    if is_ours:
        assert decode() == plain
        assert Base64().plain_size(len(encoded), encoded[-2:]) == len(plain)
    else:
        with pytest.raises(CorruptValueError):
            decode()


@pytest.mark.parametrize(
    "encoded",
    [
        *[
            "Q",
            "QQ",
            "QQ=",
            "Q===",
            "====",
            "=",
            "QQ==QQ==",
            "QUI=QUI=",
            "QQ==\n",
            " QQ==",
            "QQ ==",
        ],
        *["QUJD\n", "QUJD\nQUJD", "QU-_", "QUJ\0", "QR==", "QUJ=", "Q=Q=", "QQ=Q", "\u00e9\u00e9"],
    ],
)
def test_what_is_no_base64_is_refused(encoded: str) -> None:
    data = encoded.encode()
    for size in (1, 3, 4, 100):
        with pytest.raises(CorruptValueError, match="not base64"):
            list(Base64().decode(cut(data, size)))


@pytest.mark.parametrize("end", [b"QQ==QUJD", b"QQ==", b"=QUJ", b"Q", b"?UJD"])
def test_damage_far_behind_the_beginning_is_noticed(end: bytes) -> None:
    encoded = Base64().encode_bytes(bytes(3 * 131072 - 3)) + end
    if end == b"QQ==":
        assert Base64().decode_bytes(encoded)[-1:] == b"A"
        encoded += b"QUJD"
    with pytest.raises(CorruptValueError):
        Base64().decode_bytes(encoded)


@given(st.binary(max_size=50))
def test_base64_tells_the_size_from_two_bytes(plain: bytes) -> None:
    encoded = Base64().encode_bytes(plain)
    assert Base64().plain_size(len(encoded), encoded[-2:]) == len(plain)
    assert Base64().plain_size(len(encoded), encoded) == len(plain)
    assert Base64().plain_size(len(encoded) + 1, encoded[-2:]) is None
    if plain:
        assert Base64().plain_size(len(encoded), b"") is None


# -- text ------------------------------------------------------------------------------------------


def text_encodings() -> list[str]:
    """Every encoding of text that this Python has and that is made for streams."""
    found = []
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name in ("idna", "punycode", "undefined"):
            continue
        try:
            "a".encode(module.name)
        except LookupError:
            continue
        found.append(module.name)
    return found


@pytest.mark.parametrize("encoding", text_encodings())
@settings(max_examples=settings().max_examples // 4)  # of each of a hundred encodings
@given(data=st.data())
def test_text_comes_back_the_same_or_is_refused(encoding: str, data: st.DataObject) -> None:
    # What a byte means there, and a little of everything else.
    letters = "".join(bytes([n]).decode(encoding, "ignore") for n in range(1, 256) if n != 0x5C)
    letters += "a\\~\xa5\u203e\u20ac\u3042\u4e00\x1b"
    text = data.draw(st.text(st.sampled_from(letters), max_size=30))
    codec = TextEncoding(encoding)
    plain = text.encode(errors="ignore")
    try:
        encoded = b"".join(codec.encode(cut(plain, data.draw(st.integers(1, 9)))))
    except CorruptValueError:
        raise AssertionError("what is stored is not to blame") from None
    except ValueError:
        # Then Python refuses it as well, or takes it for another text.
        try:
            back = plain.decode().encode(encoding).decode(encoding)
        except UnicodeError:
            return
        assert back != plain.decode()
    else:
        assert codec.encode_bytes(plain) == encoded
        assert encoded.decode(encoding) == plain.decode()
        assert b"".join(codec.decode(cut(encoded, data.draw(st.integers(1, 9))))) == plain


def test_what_is_written_is_what_python_writes() -> None:
    text = "na\xefve\n" * 100_000
    for encoding in ("latin-1", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252", "utf-8"):
        assert TextEncoding(encoding).encode_bytes(text.encode()) == text.encode(encoding)
        assert TextEncoding(encoding).decode_bytes(text.encode(encoding)) == text.encode()


@pytest.mark.parametrize(
    ("encoding", "text"), [("latin-1", "a\u20ac"), ("ascii", "\xe9"), ("shift_jis", "\xa5 100")]
)
def test_text_that_an_encoding_cannot_hold_is_refused(encoding: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"{encoding} cannot hold this text") as caught:
        TextEncoding(encoding).encode_bytes(text.encode())
    assert not isinstance(caught.value, CorruptValueError)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("plain", [b"\xff", b"ok \xc3", b"\xed\xa0\x80", b"\xc3" * 400_000])
def test_data_that_is_no_text_is_refused(encoding: str, plain: bytes) -> None:
    for size in (1, len(plain)):
        with pytest.raises(ValueError, match="no text in utf-8") as caught:
            list(TextEncoding(encoding).encode(cut(plain[-9:], size)))
        assert not isinstance(caught.value, CorruptValueError)
    with pytest.raises(ValueError, match="no text in utf-8"):
        TextEncoding(encoding).encode_bytes(plain)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("utf-8", b"\xff"),
        ("utf-8", b"cut \xe2\x82"),
        ("ascii", b"\x80"),
        ("utf-16", "odd".encode("utf-16") + b"x"),
        ("utf-16-le", b"\x00\xd8"),
        ("utf-32", "odd".encode("utf-32")[:-1]),
        ("utf-7", b"+2AA-"),
        ("cp1252", b"\x81"),
        ("shift_jis", b"\x81"),
    ],
)
def test_what_is_stored_and_no_text_is_damage(encoding: str, encoded: bytes) -> None:
    for size in (1, len(encoded)):
        with pytest.raises(CorruptValueError, match=f"no text in {encoding}") as caught:
            list(TextEncoding(encoding).decode(cut(encoded, size)))
        assert isinstance(caught.value.__cause__, UnicodeError)


@pytest.mark.parametrize(
    "encoding", ["no-such", "hex", "rot13", "idna", "punycode", "undefined", ""]
)
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="encoding"):
        TextEncoding(encoding)


def test_the_size_is_told_where_it_is_certain() -> None:
    for encoding in ("utf-8", "UTF8", "ascii", "us-ascii"):
        assert TextEncoding(encoding).plain_size(7, b"") == 7
    for encoding in ("latin-1", "utf-16", "utf-8-sig"):
        assert TextEncoding(encoding).plain_size(8, b"") is None
    assert Identity().plain_size(7, b"") == 7


@pytest.mark.parametrize("encoding", ["cp437", "utf-16-le", "gb18030"])
def test_text_that_grows_stays_in_pieces(encoding: str) -> None:
    encoded = ("\u2592" * 600_000).encode(encoding)
    pieces = list(TextEncoding(encoding).decode([encoded]))
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert b"".join(pieces).decode() == codecs.decode(encoded, encoding)
