"""Laws of web addresses as addresses of stores."""

from __future__ import annotations

import pytest
from faulty_server import FaultyServer, Page

import encore
from encore.cli.main import main
from encore.config import parse_address
from encore.errors import ConfigError
from encore.storage.backends.http import HttpStore


@pytest.mark.parametrize("address", ["https://example.org/data", "HTTP://example.org/data/"])
def test_a_web_address_is_passed_whole(address: str) -> None:
    store = encore.open_store(address, retries=0)
    assert isinstance(store, HttpStore)
    scheme = address.partition(":")[0].lower()
    assert store.info()["url"] == f"{scheme}://example.org/data/"
    assert parse_address(address).local_path is None
    assert parse_address(address).exists()


@pytest.mark.parametrize("address", ["http:", "http:data", "https:///data", "http://h/?sig=c4n4ry"])
def test_what_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        encore.open_store(address)
    assert "c4n4ry" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown() -> None:
    found = parse_address("https://me:c4n4ry@example.org/data?x=c4n4ry")
    assert "c4n4ry" not in f"{found} {found!r} {found.open.__self__}"


def test_values_of_a_web_server_can_be_had_on_the_command_line(
    server: FaultyServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.pages["/data/a b"] = server.pages["/data/a%20b"] = Page(b"from the web")
    assert main(["get", f"{server.url}/data", "a b"]) == 0
    assert capfdbinary.readouterr().out == b"from the web"
    assert main(["ls", f"{server.url}/data"]) != 0
    assert b"cannot list" in capfdbinary.readouterr().err
