// One tooltip for the whole page: what carries data-tip shows it at the pointer or at keyboard focus; Escape hides it.

import { element } from "./dom.js";

const tip = element("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(tip);

/** Shows `text` beside the rectangle, inside the window. */
export function showTip(text, { left, right, top, bottom }) {
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const middle = (left + right - width) / 2;
  tip.style.left = `${Math.max(8, Math.min(middle, innerWidth - width - 8))}px`;
  tip.style.top = `${top - height - 8 > 0 ? top - height - 8 : bottom + 8}px`;
}

export const hideTip = () => { tip.hidden = true; };

function follow(event) {
  if (event.pointerType === "touch") return;
  const bearer = event.target.closest?.("[data-tip]");
  if (bearer?.dataset.tip) showTip(bearer.dataset.tip, bearer.getBoundingClientRect());
  else hideTip();
}

document.addEventListener("pointerover", follow);
document.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && follow(event));
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", hideTip, { passive: true, capture: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
