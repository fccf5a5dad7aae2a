"""The page in a real browser: for eyes, keyboards and small screens; it asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import numpy as np
import pytest
from models import Holder, Mlp
from test_page import made, record
from test_result import NASTY

pytest.importorskip("selenium")
if browser.found() is None:
    pytest.skip("neither Chromium nor its driver is installed", allow_module_level=True)

# the driver talks to the browser through sockets that it leaves to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small page, and a large one."""
    where = tmp_path_factory.mktemp("pages")
    records = [
        record(Mlp(W1=-1.0), "a.py::test_sign"),
        record(Mlp(b1=2.0), "a.py::test_twice"),
        record(Holder({NASTY: np.ones(3)}, factor=1.5), "b.py::test_nasty"),
        record(Mlp(b1=1 + 1e-5), "a.py::test_suspect"),
        record(Mlp(), "b.py::test_right"),
        record(Holder(np.ones(6_000)), "b.py::test_" + 12 * "long_name_"),
    ]
    (where / "small.html").write_text(made(*records), encoding="utf-8")
    many = [{**records[i % 6], "test": f"c.py::test[{i}]"} for i in range(120)]
    (where / "large.html").write_text(made(*many), encoding="utf-8")
    return where


@pytest.fixture(params=["small", "large"])
def page(request: pytest.FixtureRequest, driver: Any, folder: Path) -> Any:
    browser.resized(driver, 1280)
    browser.show(driver, folder / f"{request.param}.html")
    return driver


@pytest.fixture
def small(driver: Any, folder: Path) -> Any:
    browser.resized(driver, 1280)
    browser.show(driver, folder / "small.html")
    return driver


def all_of(driver: Any, selector: str) -> list[Any]:
    found: list[Any] = driver.find_elements("css selector", selector)
    return found


def one(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def names_shown(driver: Any) -> list[str]:
    rows = "[...document.querySelectorAll('#overview tbody tr:not([hidden]) .test')]"
    found: list[str] = driver.execute_script(f"return {rows}.map(e => e.textContent)")
    return found


def test_loads_without_errors_and_asks_for_nothing_else(driver: Any, folder: Path) -> None:
    for name in ("small", "large"):
        driver.get_log("browser"), browser.requests(driver)
        browser.show(driver, folder / f"{name}.html")
        one(driver, "#all").click()
        assert driver.get_log("browser") == []
        asked = browser.requests(driver)
        assert {url for url in asked if url != "about:blank"} == {
            (folder / f"{name}.html").as_uri()
        }


def test_what_users_write_does_not_run(page: Any) -> None:
    one(page, "#all").click()
    assert page.execute_script("return document.scripts.length") == 1
    assert '<script>alert("1")</script>' in one(page, "body").text


def test_a_link_opens_its_check(page: Any) -> None:
    row = all_of(page, "#overview tbody tr")[5]
    check = page.find_element("id", row.get_attribute("data-for"))
    page.execute_script("arguments[0].open = false", check)
    row.find_element("css selector", "a").click()
    assert check.get_attribute("open")
    assert check.find_element("css selector", ".picture.study").is_displayed()
    assert page.switch_to.active_element.tag_name == "summary"


def test_columns_sort(small: Any) -> None:
    made_order = names_shown(small)
    heads = {head.text: head for head in all_of(small, "#overview thead button")}
    heads["Check"].click()
    titles = [cell.text for cell in all_of(small, "#overview tbody .title")]
    assert titles == sorted(titles)
    assert one(small, "#overview th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    heads["Parameters"].click()
    assert "long_name" in names_shown(small)[0]
    assert "long_name" in all_of(small, "details .test")[0].text
    heads["Parameters"].click()
    assert "nasty" in names_shown(small)[0]
    heads["Parameters"].click()
    assert names_shown(small) == made_order
    heads["Relative error"].click()
    values = [
        float(cell.get_attribute("data-v")) for cell in all_of(small, "#overview td:nth-child(4)")
    ]
    assert values == sorted(values, reverse=True)


def test_filters_by_status(small: Any) -> None:
    fails, warns, _ = all_of(small, ".filter")
    fails.click()
    assert len(names_shown(small)) == 3
    assert one(small, "#shown").text == "3 of 6 shown"
    warns.click()
    assert {name[:4] for name in names_shown(small)} == {"b.py"}
    assert sum(check.is_displayed() for check in all_of(small, "details")) == 2
    fails.click()
    assert fails.get_attribute("aria-pressed") == "true"
    assert len(names_shown(small)) == 5


def test_filters_by_words(small: Any) -> None:
    search = one(small, "#search")
    search.send_keys("a.py SIGN")
    assert names_shown(small) == ["a.py::test_sign"]
    search.clear()
    search.send_keys("factor")
    assert names_shown(small)[0] in ("a.py::test_twice", "b.py::test_nasty")


def test_works_by_keyboard_alone(small: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(14):
        small.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(small.switch_to.active_element)
    names = [element.text or element.get_attribute("id") for element in reached]
    assert [name.split("\n")[0] for name in names[:2]] == ["Skip to the checks", "Theme: auto"]
    assert {"✕ 3 fail", "search", "Status", "Seconds"} <= set(names)
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert small.execute_script(outline) == "solid"
    status = next(element for element in reached if element.text == "Status")
    status.send_keys(Keys.ENTER)
    assert one(small, "#overview th").get_attribute("aria-sort") == "ascending"


def test_dark_and_light(small: Any) -> None:
    def background() -> int:
        color = small.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in color.strip("rgba()").split(",")[:3])

    browser.preferring(small, "dark")
    assert background() < 150
    browser.preferring(small, "light")
    assert background() > 700
    theme = one(small, "#theme")
    theme.click()
    assert (theme.text, background() > 700) == ("Theme: light", True)
    theme.click()
    assert (theme.text, background() < 150) == ("Theme: dark", True)
    small.refresh()
    assert one(small, "#theme").text == "Theme: dark"
    one(small, "#theme").click()
    assert background() > 700


CONTRAST = """
const luminance = (color) => {
  const parts = color.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (!color.endsWith(", 0)") && color !== "transparent") return color;
  }
};
const low = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility() || e.closest("svg, script")) continue;
  const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) low.push(e.outerHTML.slice(0, 120));
}
return low;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(small: Any, scheme: str) -> None:
    browser.preferring(small, scheme)
    one(small, "#all").click()
    assert small.execute_script(CONTRAST) == []
    browser.preferring(small, "light")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_fits_any_screen(page: Any, width: int) -> None:
    browser.resized(page, width)
    one(page, "#all").click()
    seen = page.execute_script("return document.documentElement.scrollWidth")
    assert seen <= width
    assert one(page, "#overview tbody .error").is_displayed()


def test_is_made_of_what_screen_readers_know(small: Any) -> None:
    one(small, "#all").click()
    for table in all_of(small, "table"):
        assert table.find_elements("css selector", "caption")
        assert all(th.get_attribute("scope") for th in table.find_elements("css selector", "th"))
    for picture in all_of(small, "img"):
        assert picture.get_attribute("alt")
        assert picture.get_attribute("width")
    for svg in all_of(small, "svg"):
        title = small.find_element("id", svg.get_attribute("aria-labelledby"))
        assert title.get_attribute("textContent")
    identities = small.execute_script(
        "return [...document.querySelectorAll('[id]')].map(e => e.id)"
    )
    assert len(set(identities)) == len(identities)
    assert one(small, "html").get_attribute("lang") == "en"


def test_without_scripts_it_can_still_be_read(driver: Any, folder: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.show(driver, folder / "small.html")
        check = all_of(driver, "details")[0]
        assert check.get_attribute("open")
        assert check.find_element("css selector", ".picture.study").is_displayed()
        assert not any(button.is_displayed() for button in all_of(driver, ".scripted"))
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
