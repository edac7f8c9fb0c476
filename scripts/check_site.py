"""Check the built site: what ``zensical build --strict`` does not look at.

Zensical's strict mode refuses links to pages and anchors that do not exist. This script adds
pictures, style sheets and scripts that are missing, pages that no menu leads to, and anything that
a page would fetch from the network. Run from the repository's root after a build:
``python scripts/check_site.py``.
"""

from __future__ import annotations

import argparse
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Links(HTMLParser):
    """Collects what a page points to and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of one element."""
        values = dict(attrs)
        if tag == "a" and (href := values.get("href")):
            self.targets.append(href)
        loaded = values.get("src")
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "modulepreload"):
            loaded = values.get("href")
        if loaded:
            self.loads.append(loaded)


def troubles(site: Path, docs: Path, nav: str) -> list[str]:
    """Return one line for each fault of the site.

    Args:
        site: the built site.
        docs: the folder of Markdown pages.
        nav: the text of the configuration, whose menu must name every page.
    """
    found = []
    for page in sorted(docs.rglob("*.md")):
        name = page.relative_to(docs).as_posix()
        if not re.search(rf": {re.escape(name)}$", nav, flags=re.MULTILINE):
            found.append(f"{name}: no entry of the menu in mkdocs.yml leads to this page")
        if not (site / name).with_suffix(".html").is_file():
            found.append(f"{name}: was not built")
    for page in sorted(site.rglob("*.html")):
        if page.name == "404.html":
            continue
        name = page.relative_to(site).as_posix()
        links = _Links()
        links.feed(page.read_text(encoding="utf-8"))
        for address in [*links.targets, *links.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in links.loads and parts.scheme != "data":
                    found.append(f"{name}: loads {address} from the network")
            elif parts.path and not _exists(page, parts.path):
                found.append(f"{name}: {address} does not exist")
    return found


def _exists(page: Path, path: str) -> bool:
    target = page.parent / unquote(path)
    return target.is_file() or (target / "index.html").is_file()


def main() -> int:
    """Print the faults, and return 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=Path("site"), help="the built site")
    site: Path = parser.parse_args().site
    found = troubles(site, Path("docs"), Path("mkdocs.yml").read_text(encoding="utf-8"))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
