// The reliability diagram: how often the network is right when it says how sure it is.

import { drawn, element } from "./dom.js";
import { count, percent } from "./format.js";

const SIDE = 260;
const EDGE = { left: 40, top: 8, below: 60, right: 8 };
const TALLEST = 34; // px of the bar of the most pictures

/** `bins` are { low, high, confidence, accuracy, count }. */
export function reliability(bins) {
  const filled = bins.filter((bin) => bin.count);
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const x = (share) => EDGE.left + share * SIDE;
  const y = (share) => EDGE.top + (1 - share) * SIDE;
  const viewBox = `0 0 ${EDGE.left + SIDE + EDGE.right} ${EDGE.top + SIDE + EDGE.below}`;
  const picture = drawn("svg", { viewBox, role: "img", "aria-label": words(filled) });
  picture.append(...grid(x, y), ...filled.flatMap((bin) => bar(bin, x, y, most)),
    drawn("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  return element("figure", { class: "reliability" }, picture,
    element("figcaption", { class: "quiet" }, "Blue: how often it was right. Orange: what it said. Grey: how many."));
}

function grid(x, y) {
  return [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    drawn("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
    drawn("text", { x: x(0) - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0)),
    drawn("text", { x: x(share), y: y(0) + TALLEST + 22, "text-anchor": "middle" }, percent(share, 0))]);
}

function bar({ low, high, accuracy, confidence, count: number }, x, y, most) {
  const width = x(high) - x(low) - 2;
  const tall = Math.max(1, (TALLEST * number) / most);
  const said = `Said ${percent(confidence)}, right ${percent(accuracy)}, ${count(number)} pictures`;
  const height = Math.max(1, y(0) - y(accuracy));
  return [
    drawn("rect", { class: "right", x: x(low) + 1, width, y: y(accuracy), height, rx: 2, "data-tip": said }),
    drawn("line", { class: "gap", x1: x(low) + 1, x2: x(high) - 1, y1: y(confidence), y2: y(confidence) }),
    drawn("rect", { class: "many", x: x(low) + 1, width, y: y(0) + 5, height: tall, rx: 1, "data-tip": said })];
}

function words(bins) {
  const parts = bins.map(({ confidence, accuracy, count: number }) =>
    `said ${percent(confidence, 0)}, right ${percent(accuracy, 0)} of ${count(number)}`);
  return `Reliability diagram. ${parts.join("; ")}.`;
}
