"""The page for people, in a real browser that talks to a real server.

Needs Chromium and its driver (Debian: ``chromium chromium-driver``), and the extra ``browser``.
Where either is missing these tests are skipped; what the page asks of the server is tested by
``test_service_inventory`` all the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from encore.service import Authority, Client, Grant, StaticTokens, create_app, served
from encore.service.server.permissions import DELETE, READ, WRITE
from encore.storage.api import DictStore

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium: the extra 'browser'")

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
_DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    _CHROMIUM is None or _DRIVER is None,
    reason="no browser: apt-get install chromium chromium-driver",
)

_SECONDS = 30
_LOOK_SECONDS = 0.05
_TOKEN = "CANARY-a-token-for-the-page"
_SIZE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}


class Page:
    """The page as a person has it: what is to be read, and keys to be pressed."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, where: str = "") -> None:
        self.driver.get(f"{self.url}/{where}")

    def texts(self, css: str) -> list[str]:
        """What stands in the elements that a selector finds."""
        found: list[str] = self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", css
        )
        return found

    def text(self, css: str) -> str:
        return "\n".join(self.texts(css))

    @property
    def names(self) -> list[str]:
        return self.texts("#list a")

    @property
    def focus(self) -> str:
        """What has the focus: its id, or its text if it has none."""
        found: str = self.driver.execute_script(
            "return document.activeElement.id || document.activeElement.textContent"
        )
        return found

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until something holds, as a person would."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, _SECONDS, _LOOK_SECONDS).until(lambda _: condition())

    def wait_for(self, *names: str) -> None:
        """Wait until the list shows these names and no others."""
        try:
            self.wait(lambda: self.names == [*names])
        except Exception:
            assert self.names == [*names]

    def wait_until_live(self) -> None:
        self.wait(lambda: self.text("#live") == "live")

    def click(self, css: str, text: str = "") -> None:
        """Click the element that a selector finds, and that has this text."""
        found = self.driver.find_elements("css selector", css)
        next(one for one in found if not text or one.text == text).click()

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def complaints(self) -> list[str]:
        """What the browser has said on its console since it was asked before."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, for as long as these tests."""
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--lang=en-US")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(_DRIVER))
    yield found
    found.quit()


@pytest.fixture
def new_page(driver: Any) -> Iterator[Callable[[str], Page]]:
    """A new tab, which nothing is stored for yet."""
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _SIZE)
    yield lambda url: Page(driver, url)
    driver.close()
    driver.switch_to.window(first)
    driver.get_log("browser")


@pytest.fixture
def url(plain_store: DictStore) -> Iterator[str]:
    with served(create_app(plain_store)) as found:
        yield found


@pytest.fixture
def page(url: str, new_page: Callable[[str], Page]) -> Iterator[Page]:
    """The page of a server without tokens; the browser must have nothing to complain of."""
    found = new_page(url)
    yield found
    assert found.complaints() == []


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as found:
        yield found


@pytest.fixture
def session(client: Client) -> Any:
    return client.session("thumbnails", lab=7, project="crystals")


# -- looking --------------------------------------------------------------------------------------


def test_the_page_shows_usecases_and_names_folder_by_folder(
    page: Page, session: Any, client: Client
) -> None:
    for key in ("plates/1", "plates/2", "plates/old/0", "notes.txt"):
        session.put(b"x", key)
    client.session("backups").put(b"x", "everything")
    page.open()
    page.wait_for("everything")  # the first place
    assert page.texts("#places h3") == ["backups", "thumbnails"]
    assert page.texts("#places a") == ["no scopes", "lab=7; project=crystals"]
    page.click("#places a", "lab=7; project=crystals")
    page.wait_for("notes.txt", "plates/")
    page.click("#list a", "plates/")
    page.wait_for("..", "1", "2", "old/")
    page.click("#list a", "old/")
    page.wait_for("..", "0")
    assert page.text("#crumbs") == "thumbnails / plates / old / "
    page.click("#crumbs a", "plates")
    page.wait_for("..", "1", "2", "old/")
    page.driver.back()
    page.wait_for("..", "0")


def test_the_filter_asks_for_what_names_begin_with(page: Page, session: Any) -> None:
    for key in ("plates/10", "plates/11", "plates/2", "plates/1/x", "10"):
        session.put(b"x", key)
    page.open()
    page.wait_for("10", "plates/")
    page.click("#list a", "plates/")
    page.wait_for("..", "1/", "10", "11", "2")
    page.click("#filter")
    page.press("1")
    page.wait_for("..", "1/", "10", "11")
    page.press("1")
    page.wait_for("..", "11")
    assert "begin with “11”" in page.text("#count")


def test_long_lists_come_in_pieces(page: Page, plain_store: DictStore) -> None:
    with plain_store.transaction("Many"):
        for number in range(650):
            plain_store.put(f"usecase/_/{number:04}", b"x")
    page.open()
    page.wait(lambda: len(page.names) == 300)
    page.click("#list button")
    page.wait(lambda: len(page.names) == 600)
    page.click("#list button")
    page.wait(lambda: page.names == [f"{number:04}" for number in range(650)])
    assert page.texts("#list button") == []


def test_an_object_shows_what_is_known_of_it(page: Page, session: Any) -> None:
    session.put(
        b"x" * 1234, "plate.json", content_type="application/json", metadata={"operator": "Ada"},
        compression="none",
    )  # fmt: skip
    page.open()
    page.wait_for("plate.json")
    page.click("#list a", "plate.json")
    page.wait(lambda: page.text("#key") == "plate.json" and page.texts("#facts dd"))
    facts = dict(zip(page.texts("#facts dt"), page.texts("#facts dd"), strict=True))
    assert facts["Size"] == "1.2 kB (1,234 bytes)"
    assert facts["Type"] == "application/json"
    assert facts["Created"] == facts["Modified"] != ""
    assert len(facts["SHA-256"]) == 64
    assert (page.texts("#metadata dt"), page.texts("#metadata dd")) == (["operator"], ["Ada"])


def _downloaded(page: Page, downloads: Path, name: str) -> bytes:
    path = downloads / name
    page.wait(lambda: path.exists() and path.stat().st_size)
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_download_is_the_data(
    page: Page, session: Any, downloads: Path, compression: str
) -> None:
    data = bytes(range(256)) * 5000
    session.put(data, f"folder/{compression}.bin", compression=compression)
    page.open()
    page.wait_for("folder/")
    page.click("#list a", "folder/")
    page.wait_for("..", f"{compression}.bin")
    page.click("#list a", f"{compression}.bin")
    page.wait(lambda: page.texts("#facts dd"))
    page.click("#download")
    assert _downloaded(page, downloads, f"{compression}.bin") == data


def test_the_use_of_storage_is_drawn(page: Page, session: Any) -> None:
    session.put(bytes(4000), "k", compression="none")
    page.open()
    page.wait(lambda: page.text("#total") == "4.0 kB in 1 object")
    page.wait_until_live()
    session.put(bytes(4000), "l", compression="none")
    page.wait(lambda: page.text("#total") == "8.0 kB in 2 objects")
    (curve,) = page.driver.find_elements("css selector", "#chart .curve")
    assert curve.get_attribute("d").count("V") >= 2
    assert page.texts("#chart text")[:2] == ["8.0 kB", "0"]


# -- as it happens --------------------------------------------------------------------------------


def test_what_others_change_is_seen_as_it_happens(page: Page, session: Any) -> None:
    session.put(b"1", "a", metadata={"version": "one"}, compression="none")
    page.open()
    page.wait_for("a")
    page.click("#list a", "a")
    page.wait(lambda: page.texts("#metadata dd") == ["one"])
    page.wait_until_live()
    page.driver.execute_script("window.isTheSame = true")
    session.put(b"2", "b/c")
    page.wait_for("a", "b/")
    assert page.texts("#changes li a") == ["b/c"]
    session.put(b"333", "a", metadata={"version": "two"}, compression="none")
    page.wait(lambda: page.texts("#metadata dd") == ["two"])
    assert page.texts("#facts dd")[0] == "3 B"
    session.delete("a")
    page.wait_for("b/")
    page.wait(lambda: page.text("#hint") == "It is not there any more.")
    assert page.texts("#changes b") == ["deleted", "changed", "put"]
    assert page.driver.execute_script("return window.isTheSame")


def test_the_first_object_of_all_appears(page: Page, session: Any) -> None:
    page.open()
    page.wait(lambda: page.driver.find_element("id", "no-places").is_displayed())
    session.put(b"x", "k")
    page.wait_for("k")


def test_a_page_whose_server_went_away_goes_on_when_it_is_back(
    plain_store: DictStore, new_page: Callable[[str], Page]
) -> None:
    plain_store.put("usecase/_/a", b"x")
    with served(create_app(plain_store)) as url:
        page = new_page(url)
        page.open()
        page.wait_for("a")
        page.wait_until_live()
    page.wait(lambda: page.text("#live") == "not connected")
    plain_store.put("usecase/_/b", b"x")
    with served(create_app(plain_store), port=int(url.rpartition(":")[2])):
        page.wait_until_live()
        page.wait_for("a", "b")
        plain_store.put("usecase/_/c", b"x")
        page.wait_for("a", "b", "c")


# -- the keyboard ---------------------------------------------------------------------------------


def test_everything_can_be_reached_with_the_keyboard(
    page: Page, session: Any, client: Client, downloads: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    for key in ("a", "b", "plates/1", "plates/2", "z"):
        session.put(key.encode(), key, compression="none")
    client.session("zoo").put(b"x", "k")
    page.open()
    page.wait_for("a", "b", "plates/", "z")
    page.press("p")
    assert page.focus == "lab=7; project=crystals"
    page.press(Keys.ARROW_DOWN)
    assert page.focus == "no scopes"
    page.press(Keys.ENTER)
    page.wait_for("k")
    page.press(Keys.ARROW_UP, Keys.ENTER)
    page.wait_for("a", "b", "plates/", "z")
    page.press("/")
    assert page.focus == "filter"
    page.press("/p")  # in a field these are letters
    page.wait_for()
    page.press(Keys.ESCAPE)
    page.wait_for("a", "b", "plates/", "z")
    page.press("/", "pl")
    page.wait_for("plates/")
    page.press(Keys.ENTER)
    assert page.focus == "plates/"
    page.press(Keys.ENTER)
    page.wait_for("..", "1", "2")
    page.press(Keys.END, Keys.ENTER)
    page.wait(lambda: page.text("#key") == "plates/2" and page.texts("#facts dd"))
    assert page.focus == "2"
    page.press("d")
    assert _downloaded(page, downloads, "2") == b"plates/2"
    page.press(Keys.BACKSPACE)
    page.wait_for("a", "b", "plates/", "z")
    page.wait(lambda: page.focus == "plates/")
    page.press(Keys.HOME)
    assert page.focus == "a"
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.focus == "z"
    page.press(Keys.ENTER)
    page.wait(lambda: page.text("#key") == "z" and page.texts("#facts dd"))
    page.press(Keys.TAB)
    assert page.focus == "download"
    page.press(Keys.ESCAPE)
    assert page.focus == "z"


def test_the_focus_is_seen_and_stays_while_the_list_changes(page: Page, session: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    for key in ("b", "d"):
        session.put(b"x", key)
    page.open()
    page.wait_for("b", "d")
    page.wait_until_live()
    page.press(Keys.ESCAPE, Keys.ARROW_DOWN)
    assert page.focus == "d"
    style = page.driver.execute_script("return getComputedStyle(document.activeElement).outline")
    assert "solid 2px" in style
    session.put(b"x", "c")
    page.wait_for("b", "c", "d")
    assert page.focus == "d"
    session.delete("d")
    page.wait_for("b", "c")
    assert page.focus == "c"


# -- hostile text ---------------------------------------------------------------------------------

_HOSTILE = (
    '<img src=x onerror="window.isBroken=1">',
    "<script>window.isBroken=1</script>",
    '"><svg onload=window.isBroken=1>',
    "javascript:window.isBroken=1",
    "'-alert(1)-'",
    "{{7*7}}${7*7}",
    "\u202egpj.exe\u202c \x01\x7f\n",
)


@pytest.mark.parametrize("text", _HOSTILE)
def test_markup_in_keys_and_metadata_is_text(page: Page, plain_store: DictStore, text: str) -> None:
    metadata = {text: text, "more": {text: [text]}}
    metadata["encore.object"] = {"content_type": text, "filename": text, "content_encoding": text}
    key = f"{text}/{text}"
    plain_store.put(f"usecase/_/{key}", b"x", metadata)
    page.open()
    page.wait_for(key[: key.index("/") + 1])
    folder = key[: key.rindex("/") + 1]
    page.open(f"#u=usecase&s=_&p={quote(folder, safe='')}&k={quote(key, safe='')}")
    page.wait_for("..", key[len(folder) :])
    page.wait(lambda: page.texts("#metadata dd"))
    assert page.text("#key") == key
    assert page.text("#crumbs") == f"usecase / {folder.replace('/', ' / ')}"
    assert page.texts("#metadata dt")[0] == text
    assert page.texts("#metadata dd")[0] == text
    page.wait_until_live()
    plain_store.put(f"usecase/_/{key}", b"y", metadata)
    page.wait(lambda: page.texts("#changes a") == [key])
    page.click("#filter")
    page.press(text.strip("\x01\x7f\n"))
    assert page.texts("main img, main script, main iframe, #list svg, aside svg svg") == []
    assert page.driver.execute_script("return window.isBroken") is None


def test_the_browser_makes_no_markup_of_text_and_runs_no_other_script(
    page: Page, session: Any
) -> None:
    from selenium.common.exceptions import JavascriptException

    session.put(b"window.isBroken=1", "k", content_type="text/javascript", compression="none")
    page.open()
    page.wait_for("k")
    assert page.complaints() == []
    with pytest.raises(JavascriptException, match="TrustedHTML"):
        page.driver.execute_script("document.body.innerHTML = '<b>bold</b>'")
    page.driver.execute_script(
        "const found = document.createElement('a');"
        "found.setAttribute('style', 'color: red'); document.body.append(found)"
    )
    assert any("style-src" in text for text in page.complaints())
    assert page.driver.execute_script("return window.isBroken") is None


@pytest.mark.parametrize("key", ["100%/ü ?#&+=;x", "a//b", "/", "..", "%2e%2e/x", "🙂" * 200])
def test_odd_names_are_opened_as_they_are(page: Page, plain_store: DictStore, key: str) -> None:
    plain_store.put(f"usecase/_/{key}", b"x", {"found": "it"})
    folder = key[: key.rfind("/", 0, -1) + 1]
    page.open(f"#u=usecase&s=_&p={quote(folder, safe='')}&k={quote(key, safe='')}")
    if key == "..":
        page.wait(lambda: "cannot" in page.text("#hint"))
        return
    page.wait(lambda: page.texts("#metadata dd") == ["it"])
    assert page.text("#key") == key


# -- tokens ---------------------------------------------------------------------------------------


@pytest.fixture
def guarded_page(plain_store: DictStore, new_page: Callable[[str], Page]) -> Iterator[Page]:
    """The page of a server that asks for tokens."""
    grant = Grant("lab", "lab", (("org", "1"),), frozenset((READ, WRITE, DELETE)))
    app = create_app(plain_store, authority=Authority([StaticTokens([(_TOKEN, grant)])]))
    plain_store.put("lab/org=1/k", b"the data")
    plain_store.put("lab/org=2/other", b"x")
    with served(app) as url:
        yield new_page(url)


def test_a_token_opens_what_it_is_for(guarded_page: Page, downloads: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page = guarded_page
    page.open()
    page.wait(lambda: "asks for a token" in page.text("#message"))
    assert page.focus == "token"
    page.press("CANARY-this-is-not-a-token", Keys.ENTER)
    page.wait(lambda: "not known" in page.text("#message"))
    page.press(_TOKEN, Keys.ENTER)
    page.wait_for("k")
    assert page.texts("#places a") == ["org=1"]
    assert page.text("#message") == ""
    page.wait_until_live()
    with Client(page.url, token=_TOKEN) as client:
        client.session("lab", org=1).put(b"the data", "l")
    page.wait_for("k", "l")
    page.click("#list a", "l")
    page.wait(lambda: page.texts("#facts dd"))
    page.click("#download")
    assert _downloaded(page, downloads, "l") == b"the data"
    page.driver.refresh()  # it lives as long as the tab
    page.wait_for("k", "l")
    seen = page.driver.execute_script(
        "return [location.href, document.documentElement.outerHTML, document.cookie,"
        " JSON.stringify(localStorage)]"
    )
    assert not [text for text in seen if _TOKEN in text]
    page.click("#forget")
    page.wait(lambda: "asks for a token" in page.text("#message"))
    assert page.names == []
    assert page.driver.execute_script("return sessionStorage.length") == 0
    # The browser notes what was refused, and nothing else.
    assert [text for text in page.complaints() if "401" not in text] == []
