// A small drawing of an activation, and where this unit stands on it.

import { drawn } from "./dom.js";

const WIDTH = 132;
const HEIGHT = 84;
const EDGE = 8;

export function curve(activation, x, y) {
  const reach = Math.max(4, 1.25 * Math.abs(x));
  const xs = Array.from({ length: 81 }, (_, step) => -reach + (2 * reach * step) / 80);
  const ys = xs.map(activation);
  const [low, high] = [Math.min(...ys, y, 0), Math.max(...ys, y)];
  const across = (value) => EDGE + ((value + reach) / (2 * reach)) * (WIDTH - 2 * EDGE);
  const up = (value) => HEIGHT - EDGE - ((value - low) / (high - low || 1)) * (HEIGHT - 2 * EDGE);
  const path = xs.map((value, place) => `${place ? "L" : "M"}${across(value).toFixed(1)} ${up(ys[place]).toFixed(1)}`).join("");
  return drawn("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    drawn("path", { class: "axis", d: `M${EDGE} ${up(0)}H${WIDTH - EDGE}M${across(0)} ${EDGE}V${HEIGHT - EDGE}` }),
    drawn("path", { class: "line", d: path }),
    drawn("path", { class: "drop", d: `M${across(x)} ${up(0)}V${up(y)}` }),
    drawn("circle", { cx: across(x), cy: up(y), r: 4.5 }));
}
