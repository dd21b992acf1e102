// Where two runs differ on a picture: the classes they disagree about most, and the places they look at.

import { element } from "./dom.js";
import { percent } from "./format.js";
import { drawDifference } from "./map-difference.js";

const LEAST = 0.001; // of probability: what is shown as a difference
const MOST = 6; // classes
const SAME = 0.03; // of the picture's side: what rounding to whole pixels leaves

/** The classes about which they disagree most, in points of probability. */
export function classesApart(first, second, a, b) {
  const other = new Map(second.prediction.top.map((entry) => [entry.label, entry.probability]));
  const rows = first.prediction.top.filter(({ label }) => other.has(label))
    .map(({ label, probability }) => ({ label, by: other.get(label) - probability }))
    .sort((one, two) => Math.abs(two.by) - Math.abs(one.by));
  const far = rows.filter(({ by }) => Math.abs(by) >= LEAST).slice(0, MOST);
  const none = rows.length ? "They agree on every class." : "They have no class in common.";
  if (!far.length) return element("p", { class: "quiet" }, none);
  return element("div", {}, element("h3", {}, "Probability, apart"),
    sides(`← more in ${a}`, `more in ${b} →`),
    element("ol", { class: "apart" }, far.map(row)));
}

function row({ label, by }) {
  const fill = element("span", { class: by < 0 ? "fill less" : "fill more" });
  fill.style.width = `${50 * Math.abs(by)}%`;
  const said = `${by < 0 ? "−" : "+"}${percent(Math.abs(by))}`;
  const middle = element("span", { class: "middle", "aria-hidden": "true" }, fill);
  return element("li", {}, element("span", { class: "name" }, label), middle, element("span", { class: "number" }, said));
}

/** Where one map is stronger than the other; nothing where one is missing or lies over another part of the picture. */
export function mapsApart({ map: first, run, prediction: picture }, { map: second, run: other }, a, b) {
  if (!first?.values || !second?.values) return "";
  const [one, two] = [frameOf(run.input, picture), frameOf(other.input, picture)];
  if (one.some((share, axis) => Math.abs(share - two[axis]) > SAME)) {
    const why = `${a} and ${b} see different parts of this picture: their maps cannot be laid over each other.`;
    return element("div", {}, element("h3", {}, "Attention, apart"), element("p", { class: "quiet" }, why));
  }
  const said = `Where ${a} looks and ${b} does not, and the other way round`;
  const canvas = element("canvas", { role: "img", "aria-label": said });
  drawDifference(canvas, first.values, second.values);
  const heading = element("h3", {}, "Attention, apart");
  return element("div", { class: "maps-apart" }, heading, sides(`■ more ${a}`, `■ more ${b}`), canvas);
}

/** How much of the picture, down and across, the input of a run spans about its centre; above 1 with the ground beside it. */
function frameOf({ fit, height, width, crop_ratio: ratio }, picture) {
  if (fit === "resize") return [1, 1];
  const scales = [height / picture.height, width / picture.width];
  const scale = fit === "crop" ? Math.max(...scales) / ratio : Math.min(...scales);
  return scales.map((one) => one / scale);
}

function sides(first, second) {
  return element("p", { class: "quiet sides" }, element("span", {}, first), element("span", {}, second));
}
