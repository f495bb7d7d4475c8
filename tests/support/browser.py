"""A real browser for tests: Debian's Chromium, headless, driven by Playwright. Without one tests skip; in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def launched() -> Iterator[Any]:
    """Give a running browser (playwright.sync_api.Browser); skip without one, or fail where CI is set."""
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing}, and CI must run this test")
    if missing:
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _missing() -> str:
    if not CHROMIUM.exists():
        return f"there is no {CHROMIUM}"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return ""


@contextmanager
def page_of(browser: Any, width: int = 1280, height: int = 900, **context: Any) -> Iterator[Any]:
    """Give a page (playwright.sync_api.Page) in a context of its own; `context` as for `Browser.new_context`."""
    made = browser.new_context(viewport={"width": width, "height": height}, **context)
    try:
        yield made.new_page()
    finally:
        made.close()
