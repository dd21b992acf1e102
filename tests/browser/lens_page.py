"""What the tests of the page look for on any view: faint text, things that stick out, and where the keyboard leads."""

from __future__ import annotations

import time
from typing import Any

VIEWS = ("try", "inside", "judge", "watch", "compare")
WIDE, TABLET, PHONE = ({"width": w, "height": h} for w, h in ((1440, 900), (800, 900), (360, 780)))
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3

FAINT = """(least) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parsed = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((one, at) => one * a + below[at] * (1 - a));
  const ground = (element) => {
    if (!element) return parsed(getComputedStyle(document.body).backgroundColor).slice(0, 3);
    const own = parsed(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const light = (colour) => colour.map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && element.getBoundingClientRect().width > 1 && !element.closest(".unseen, [disabled], [aria-disabled=true]");
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(element) || element.closest("option, noscript, .cell.none")) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const front = over(parsed(element.closest("svg") ? style.fill : style.color), behind);
    const [high, low] = [light(front), light(behind)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < least) found.push(`${contrast.toFixed(2)} ${element.className} "${walker.currentNode.data.trim()}"`);
  }
  return found;
}"""

REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter(
  (one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true })).length"""

FOCUSED = """() => {
  const one = document.activeElement;
  window.numbered ??= new Map();
  if (!window.numbered.has(one)) window.numbered.set(one, window.numbered.size);
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(one);
  const drawn = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 && outlineColor !== "rgba(0, 0, 0, 0)";
  return [window.numbered.get(one), one.tagName, drawn || one.matches("body, input[type=range]")];
}"""


def show(page: Any, view: str) -> None:
    """As a click on its link does, until the view is there."""
    page.evaluate(f"location.hash = '#{view}'")
    page.locator(f"[data-view='{view}']").wait_for()


def use_sample(page: Any, number: int = 0) -> None:
    """Click one of the samples, and wait for the picture to be the current one."""
    sample = page.locator(".sample:visible").nth(number)
    name = sample.get_attribute("data-name")
    sample.click()
    page.locator(f".sample[data-name='{name}'][aria-pressed='true']:visible").wait_for()


def until(page: Any, expression: str, value: Any = None, *, seconds: float = 20) -> None:
    """Asks again and again; Playwright's own waiting needs `eval`, which the page forbids."""
    ends = time.monotonic() + seconds
    while not page.evaluate(expression, value):
        assert time.monotonic() < ends, f"it never came to {expression}"
        page.wait_for_timeout(50)


def still(page: Any) -> None:
    """Nothing moves and nothing is asked any more."""
    page.wait_for_load_state("networkidle")
    page.evaluate("Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations < 99)"
                  ".map(a => a.finished.catch(() => null)))")  # fmt: skip


def faint(page: Any) -> list[str]:
    """The texts that stand out too little from what is behind them, with their contrast."""
    found: list[str] = page.evaluate(FAINT, LEAST_CONTRAST)
    return found


def overhang(page: Any) -> int:
    """How many pixels the page is wider than the window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return max(0, width)


def walked(page: Any) -> tuple[int, int, list[str]]:
    """-> how many things Tab reaches, how many there are, and those at which nothing shows where the focus is."""
    wanted: int = page.evaluate(REACHABLE)
    page.evaluate("document.activeElement.blur(); window.numbered = new Map()")
    reached, unseen = set(), []
    for _ in range(wanted + 3):
        page.keyboard.press("Tab")
        number, tag, drawn = page.evaluate(FOCUSED)
        if tag != "BODY":
            reached.add(number)
        if not drawn:
            unseen.append(tag)
    return len(reached), wanted, unseen
