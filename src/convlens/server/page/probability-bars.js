// <probability-bars>: a bar for each class that moves as its probability does; said aloud once it rests.

import { element } from "./dom.js";
import { percent } from "./format.js";
import { still } from "./newest.js";

export const IN_ORDER = 12; // so many classes keep their places
export const MOST_SHOWN = 8; // of more, the most probable, which change places
const ROW = 34; // px, as in components.css

/** The room that bars for so many classes take, before there are any. */
export const barsHeight = (classes) => `${ROW * (classes <= IN_ORDER ? classes : MOST_SHOWN)}px`;

class ProbabilityBars extends HTMLElement {
  #rows = new Map(); // class index -> its row
  #list = element("ol", { class: "bars" });
  #told = element("p", { class: "unseen", role: "status" });
  #say = still((words) => { this.#told.textContent = words; }, 700);

  connectedCallback() {
    if (!this.firstChild) this.append(this.#list, this.#told);
  }

  /** `prediction` of /v1/predict; `classes` of the run; `truth` is the true class where it is known. */
  show(prediction, classes, { truth = null } = {}) {
    const inOrder = classes.length <= IN_ORDER;
    const entries = inOrder ? [...prediction.top].sort((a, b) => a.index - b.index) : prediction.top;
    this.#dropOthers(entries);
    entries.forEach((entry, place) => {
      this.#place(entry, place, { best: entry.label === prediction.label, right: entry.label === truth });
    });
    this.#list.style.height = `${entries.length * ROW}px`;
    const longest = Math.max(3, ...entries.map(({ label }) => label.length));
    this.#list.style.setProperty("--names", `min(40%, ${longest + 1}ch)`);
    this.#say(`${prediction.label}, ${percent(prediction.probability)}`);
  }

  #dropOthers(entries) {
    const kept = new Set(entries.map((entry) => `${entry.index} ${entry.label}`));
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
  }

  #place({ index, label, probability }, place, { best, right }) {
    const key = `${index} ${label}`;
    if (!this.#rows.has(key)) this.#rows.set(key, this.#made(label));
    const row = this.#rows.get(key);
    row.style.transform = `translateY(${place * ROW}px)`;
    row.classList.toggle("best", best);
    row.classList.toggle("right", right);
    row.querySelector(".fill").style.transform = `scaleX(${probability})`;
    row.querySelector(".number").textContent = percent(probability);
  }

  #made(label) {
    const track = element("span", { class: "track", "aria-hidden": "true" }, element("span", { class: "fill" }));
    const name = element("span", { class: "name", title: label }, label);
    const row = element("li", {}, name, track, element("span", { class: "number" }));
    this.#list.append(row);
    return row;
  }
}

customElements.define("probability-bars", ProbabilityBars);
