"""Watch in a real browser: a training as it goes, stopped from the page and saved."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest

from convlens.storage import FolderLock
from tests.browser.lens_page import PHONE, WIDE, faint, overhang, show, until
from tests.browser.lens_server import begun, training
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser


def test_curves_throughput_and_filters_go_on_by_themselves_until_it_is_stopped(chromium, tmp_path):
    with (
        training(tmp_path / "run", epochs=2000) as (process, address),
        opened(chromium, address, viewport=WIDE) as page,
    ):
        page.locator("watch-view .headline").get_by_text("left").wait_for()
        assert page.url.endswith("#watch"), "there is nothing else to see yet"
        page.locator("line-chart .line.validation").nth(1).wait_for()
        step = page.locator(".tiles dd").first.inner_text()
        until(page, "before => document.querySelector('.tiles dd').innerText !== before", step)
        assert page.evaluate("document.querySelector('.filters img').naturalWidth") > 30
        page.screenshot(path=tmp_path / "watched.png", full_page=True)
        assert faint(page) == []
        page.get_by_role("button", name="Stop and save…").click()
        page.locator("dialog").wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
        assert process.poll() is None
        page.get_by_role("button", name="Stop and save…").click()
        page.locator("dialog").get_by_role("button", name="Stop and save").click()
        page.locator("watch-view .headline").get_by_text("top").wait_for()
        assert process.wait(60) == 130
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").is_file()


def test_before_the_end_other_views_say_so_and_then_show_the_run(chromium, tmp_path):
    with training(tmp_path / "run", epochs=20) as (_, address), opened(chromium, address, viewport=PHONE) as page:
        show_try = "location.hash = '#try'"
        page.evaluate(show_try)
        page.get_by_text("There is no run yet").or_(page.locator("try-view")).first.wait_for()
        page.evaluate("location.hash = '#watch'")
        page.get_by_text(re.compile("the run is saved", re.IGNORECASE)).wait_for(timeout=120_000)
        page.screenshot(path=tmp_path / "done.png", full_page=True)
        assert overhang(page) == 0
        page.evaluate(show_try)
        page.locator("try-view .sample, try-view digit-pad").first.wait_for()


def test_whoever_waits_elsewhere_sees_the_run_by_itself(chromium, tmp_path):
    with training(tmp_path / "run", epochs=6) as (_, address), opened(chromium, address, viewport=PHONE) as page:
        page.evaluate("location.hash = '#try'")
        page.locator("try-view .sample, try-view digit-pad").first.wait_for(timeout=60_000)


def test_after_a_stop_no_view_says_that_it_is_still_trained(chromium, tmp_path):
    with (
        training(tmp_path / "run", epochs=2000) as (process, address),
        opened(chromium, address, viewport=WIDE, forgiven="ERR_CONNECTION_REFUSED") as page,
    ):
        page.get_by_role("button", name="Stop and save…").click()
        page.locator("dialog").get_by_role("button", name="Stop and save").click()
        process.wait(60)
        page.locator("watch-view .headline").get_by_text("Stopped and saved at step").wait_for()
        assert page.locator(".notice").count() == 0
        page.evaluate("location.hash = '#try'")
        page.get_by_text("The server does not answer").wait_for()
        assert page.get_by_text("It is being trained").count() == 0


def test_a_training_that_was_interrupted_is_seen_to_go_on(chromium, tmp_path):
    with training(tmp_path / "run", epochs=2000) as (process, address):
        while not httpx.get(f"{address}v1/training").json()["step"]:
            time.sleep(0.1)
        httpx.post(f"{address}v1/training/stop")
        process.wait(60)
    with (
        begun("serve", str(tmp_path / "run"), "--port", "0") as (_, address),
        opened(chromium, f"{address}#watch", viewport=WIDE) as page,
    ):
        headline = page.locator("watch-view .headline")
        headline.get_by_text("interrupted").wait_for()
        with FolderLock(tmp_path / "run"):  # as whoever goes on with it holds
            headline.get_by_text("Training: ").wait_for()  # its path has the word too
        headline.get_by_text("Interrupted: ").wait_for()


def test_a_server_that_watches_nothing_says_how_to_begin(chromium, lens):
    with opened(chromium, lens, viewport=WIDE) as page:
        show(page, "watch")
        assert "convlens train DATA --serve" in page.locator("watch-view .state").inner_text()


def test_the_line_is_opened_again_after_it_broke(chromium, tmp_path) -> Any:
    with (
        training(tmp_path / "run", epochs=2000) as (_, address),
        opened(chromium, address, viewport=WIDE, forgiven="ERR_") as page,
    ):
        page.locator("watch-view .headline").get_by_text("left").wait_for()
        page.context.set_offline(True)
        page.evaluate("""async () => {
          const { desk } = await import("/page/desk.js");
          document.querySelector("watch-view").leave();
          document.querySelector("watch-view").enter().catch(() => {});
        }""")
        page.get_by_text("does not answer").wait_for()
        page.context.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        page.locator("watch-view .headline").get_by_text("left").wait_for()
