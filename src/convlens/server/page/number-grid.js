// Numbers in coloured cells: a patch, a kernel, or any small table of them.

import { element, rove } from "./dom.js";
import { fixed } from "./numbers.js";
import { tint } from "./tones.js";

/**
 * A grid of numbers [[…] …] with so many decimals, coloured by their share of `largest`.
 *
 * `step(row, column)` makes the cells buttons that lead to what they come from. `padded[row][column]` marks cells
 * outside the map, which count as zero, or for nothing where they are `ignored`, and lead nowhere; `chosen` is the
 * place [row, column] that a pooling took; `said(row, column)` names a cell's place for those who listen.
 */
export function numberGrid(numbers, { decimals, largest, label, step, padded, ignored = false, chosen, said = counted }) {
  const columns = numbers[0].length;
  const holder = element("div", { class: "number-grid", role: "group", "aria-label": label });
  holder.style.setProperty("--columns", columns);
  numbers.forEach((line, row) =>
    line.forEach((value, column) => {
      const lead = step && (() => step(row, column));
      const cell = padded?.[row]?.[column] ? outside(said(row, column), ignored) : inside(value, said(row, column), { decimals, largest, step: lead });
      if (chosen?.[0] === row && chosen[1] === column) mark(cell);
      cell.dataset.place = `${row},${column}`;
      holder.append(cell);
    }),
  );
  const first = holder.querySelector("button");
  if (first) {
    first.tabIndex = 0;
    rove(holder, "button", { columns: () => columns });
  }
  return holder;
}

const counted = (row, column) => `row ${row + 1}, column ${column + 1}`;

function inside(value, said, { decimals, largest, step }) {
  const text = value === 0 ? "0" : fixed(value, decimals);
  const label = `${said}: ${text}`;
  const cell = step
    ? element("button", { type: "button", class: "cell", tabindex: -1, "aria-label": label, "data-tip": `${said}: step in`, onclick: step }, text)
    : element("span", { class: "cell", role: "img", "aria-label": label }, text);
  tint(cell, value / (largest || 1));
  return cell;
}

function outside(said, ignored) {
  const words = `${said}: padding, ${ignored ? "which takes no part" : "counts as 0"}`;
  return element("span", { class: "cell padded", role: "img", "aria-label": words, "data-tip": words }, ignored ? "·" : "0");
}

function mark(cell) {
  cell.classList.add("chosen");
  cell.setAttribute("aria-label", `${cell.getAttribute("aria-label")}, the one that was taken`);
}

/**
 * Pointing at a cell of one grid lights the cell of the same place in the other: they are multiplied. Tab reaches the
 * cell whose `products` is largest.
 */
export function paired(patch, kernel, products) {
  const cells = [...patch.children];
  const size = (at) => (cells[at]?.matches("button") ? Math.abs(products[at]) : -1);
  const strongest = cells.reduce((best, _, at) => (size(at) > size(best) ? at : best), -1);
  cells.forEach((cell, at) => cell.matches("button") && (cell.tabIndex = at === strongest ? 0 : -1));
  const light = (event) => {
    const place = event.type === "pointerover" || event.type === "focusin" ? event.target.dataset?.place : undefined;
    for (const cell of [...patch.children, ...kernel.children]) cell.classList.toggle("lit", cell.dataset.place === place);
  };
  for (const grid of [patch, kernel]) for (const what of ["pointerover", "pointerleave", "focusin", "focusout"]) grid.addEventListener(what, light);
}
