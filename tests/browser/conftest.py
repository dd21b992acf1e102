"""A real browser, headless, and a run with all that a report can show. `make browser` installs what they need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import convlens
from tests.browser.lens_server import serving

PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera that sees a test picture


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, or Chrome, driven by Playwright; `make browser` installs what is missing."""
    from playwright.sync_api import sync_playwright

    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    assert program is not None, f"none of {', '.join(PROGRAMS)} is there: make browser"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training that makes mistakes: scored with robustness beside another run, and explained."""
    folder = tmp_path_factory.mktemp("report")
    options: dict[str, Any] = {"model": "lenet5", "precision": "fp32", "threads": 1}
    run = convlens.train("digits", epochs=3, out=folder / "run", **options).run
    plain = convlens.train("digits", epochs=2, augment=False, out=folder / "plain", **options).run
    convlens.evaluate(run, part="val")
    convlens.evaluate(run, robustness=True, beside=plain)
    convlens.explain(run, sorted((run / "thumbnails").iterdir())[:3])
    return run / "report.html"


@pytest.fixture(scope="session")
def lens(report: Path) -> Iterator[str]:
    """The address of a server of that run, and of the one beside it."""
    with serving(report.parent, report.parent.parent / "plain") as address:
        yield address
