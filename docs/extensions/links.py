"""Every link of the built site leads somewhere, and nothing in it is fetched from elsewhere.

Each that does not is a warning, so that ``sphinx -W`` fails.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

FETCHED = {"script": "src", "img": "src", "source": "src", "iframe": "src"}
LOADED = {"stylesheet", "icon", "preload", "modulepreload"}
"""What a ``<link>`` must be for a browser to fetch it."""


class Page(HTMLParser):
    """The places on a page that can be linked to, and where it leads itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        if tag == "link" and LOADED & set(given.get("rel", "").split()):
            self.fetched.append(given.get("href", ""))

    def has(self, place: str) -> bool:
        return place in self.places or place in ("", "top")


def faults(site: Path) -> list[str]:
    """What is wrong with the links of a site: one line each."""
    pages = {path: Page(path) for path in sorted(site.resolve().rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for link in [*page.links, *page.fetched]:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                if link in page.fetched and url.scheme != "data":
                    found.append(f"{name}: {link} is fetched from elsewhere")
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file():
                found.append(f"{name}: {link} leads to no file")
            elif target in pages and not pages[target].has(unquote(url.fragment)):
                found.append(f"{name}: {link} leads to no place on that page")
    return found


def look(app: Any, exception: Exception | None) -> None:
    from sphinx.util import logging

    if exception is None and app.builder.format == "html":
        for fault in faults(Path(app.outdir)):
            logging.getLogger(__name__).warning(fault)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", look)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
