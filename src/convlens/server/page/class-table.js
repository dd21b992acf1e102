// The scores of each class, in a table that its headings sort.

import { button, element } from "./dom.js";
import { count, percent } from "./format.js";

const COLUMNS = [
  ["name", "Class", String], ["precision", "Precision", percent], ["recall", "Recall", percent], ["f1", "F1", percent],
  ["support", "Pictures", count],
];

/** `rows` are { name, precision, recall, f1, support }. */
export function classTable(rows) {
  const body = element("tbody");
  const head = element("tr");
  const sort = (by, down) => {
    const order = rows.map((row, place) => ({ row, place }));
    order.sort((a, b) => (down ? -1 : 1) * compare(a.row[by], b.row[by]) || a.place - b.place);
    body.replaceChildren(...order.map(({ row }) => line(row)));
    for (const cell of head.children) cell.removeAttribute("aria-sort");
    head.querySelector(`[data-by="${by}"]`).setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  head.append(...COLUMNS.map(([by, words]) => heading(by, words, sort)));
  body.append(...rows.map(line));
  return element("div", { class: "scroll" }, element("table", { class: "classes" }, element("thead", {}, head), body));
}

function heading(by, words, sort) {
  const cell = element("th", { scope: "col", "data-by": by, class: by === "name" ? "" : "number" });
  const turn = () => sort(by, by === "name" ? cell.ariaSort === "ascending" : cell.ariaSort !== "descending");
  cell.append(button(words, turn, { class: "bare" }));
  return cell;
}

function line(row) {
  const numbers = COLUMNS.slice(1).map(([by, , said]) =>
    element("td", { class: "number" }, said(row[by]), by === "f1" && bar(row[by])));
  return element("tr", {}, element("th", { scope: "row" }, row.name), numbers);
}

function bar(share) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return element("span", { class: "small-bar", "aria-hidden": "true" }, fill);
}

const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
