// <confusion-matrix>: rows are the truth, columns what was said; a cell is a button that opens what it counts.

import { button, element, rove } from "./dom.js";
import { count, percent, plural } from "./format.js";

const ROOMY = 12; // classes; more have smaller cells
const NUMBERED = 30; // more show colours alone
const MOST_PAIRS = 30; // where there are too many classes for a matrix

class ConfusionMatrix extends HTMLElement {
  /** Of /v1/evaluation: `confusion[truth][said]` counts pictures. Tells "cell" with { truth, said, number }. */
  show({ confusion, pairs, classes }) {
    this.replaceChildren(confusion ? this.#table(confusion, classes) : this.#pairs(pairs, classes));
  }

  #table(confusion, classes) {
    const head = classes.map((name) => element("th", { scope: "col" }, element("span", {}, name)));
    const corner = element("th", { class: "corner" }, element("span", {}, "truth ↓ said →"));
    const rows = confusion.map((row, truth) => {
      const cells = row.map((number, said) => element("td", {}, this.#cell(confusion, classes, { truth, said, number })));
      return element("tr", {}, element("th", { scope: "row", title: classes[truth] }, classes[truth]), cells);
    });
    const size = classes.length <= ROOMY ? "roomy" : classes.length <= NUMBERED ? "close" : "tiny";
    const upright = Math.max(...classes.map((name) => name.length)) > 4 ? "upright" : "";
    const table = element("table", { class: `${size} ${upright}` },
      element("caption", { class: "unseen" }, "Confusion matrix. Arrow keys move among the cells, Enter opens one."),
      element("thead", {}, element("tr", {}, corner, head)), element("tbody", {}, rows));
    rove(table, ".cell", { columns: () => classes.length });
    table.querySelector(".cell").tabIndex = 0;
    return element("div", { class: "scroll" }, table);
  }

  #cell(confusion, classes, { truth, said, number }) {
    const share = number / Math.max(1, confusion[truth].reduce((sum, one) => sum + one, 0));
    const words = cellWords(classes, truth, said);
    const kind = number ? (truth === said ? "right" : "wrong") : "none";
    const shown = classes.length > NUMBERED ? "" : number ? count(number) : "·";
    const cell = button(shown, () => this.#open(cell, { truth, said, number }), {
      class: `cell ${kind}`, tabindex: -1, "aria-label": `${words}: ${count(number)}`,
      "data-tip": `${words}: ${plural(number, "picture")} (${percent(share)})`,
    });
    // the root lets a few confusions among many pictures be seen
    cell.style.setProperty("--share", truth === said ? share : Math.sqrt(share));
    return cell;
  }

  #pairs(pairs, classes) {
    const worst = pairs.slice(0, MOST_PAIRS);
    return element("ol", { class: "pairs" }, worst.map(({ truth, predicted: said, count: number, of }) => {
      const words = `${cellWords(classes, truth, said)}: ${count(number)} of ${count(of)}`;
      const made = button(words, () => this.#open(made, { truth, said, number }));
      return element("li", {}, made);
    }));
  }

  #open(cell, detail) {
    for (const one of this.querySelectorAll("[aria-pressed]")) one.removeAttribute("aria-pressed");
    cell.setAttribute("aria-pressed", "true");
    this.dispatchEvent(new CustomEvent("cell", { detail }));
  }
}

/** "3, taken for 8", or "3, recognised". */
export function cellWords(classes, truth, said) {
  return truth === said ? `${classes[truth]}, recognised` : `${classes[truth]}, taken for ${classes[said]}`;
}

customElements.define("confusion-matrix", ConfusionMatrix);
