// <feature-map>: one channel's map, enlarged; a unit of it is chosen by pointer or arrow keys.

import { lay } from "./boxes.js";
import { element } from "./dom.js";
import { largestOf, significant } from "./numbers.js";
import { inTones, paint } from "./tones.js";

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class FeatureMap extends HTMLElement {
  #canvas = element("canvas", { "aria-hidden": "true" });
  #unit = element("div", { class: "unit" });
  #window = element("div", { class: "window", hidden: true });
  #frame = element("div", { class: "frame", tabindex: 0, role: "application" }, this.#canvas, this.#window, this.#unit);
  #said = element("figcaption", {});
  #map = null; // { values, height, width, name }
  #largest = 1;
  #count = null;
  #at = [0, 0];

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("figure", {}, this.#frame, this.#said));
    this.#frame.addEventListener("pointerdown", (event) => this.#point(event));
    this.#frame.addEventListener("pointermove", (event) => event.buttons & 1 && this.#point(event));
    this.#frame.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `values` are its numbers, row by row. Tells "choose-unit" with { row, column } where the user moves. */
  show({ values, height, width, name }, [row, column]) {
    this.#map = { values, height, width, name };
    this.style.setProperty("--ratio", width / height);
    this.#frame.style.aspectRatio = `${width} / ${height}`;
    this.#frame.setAttribute("aria-label", `${name}, ${height} × ${width} units; arrow keys move, Home goes to the strongest`);
    this.#largest = largestOf([...values]) || 1;
    this.#count = null;
    inTones(this.#canvas, () => this.#paint());
    this.place(row, column);
  }

  #paint() {
    const { values, height, width } = this.#map;
    const shares = values.map((value, place) => (this.#count === null || place < this.#count ? value / this.#largest : 0));
    paint(this.#canvas, shares, height, width);
  }

  place(row, column) {
    const { values, height, width } = this.#map;
    this.#at = [row, column];
    this.#put(this.#unit, row, column, 1, 1);
    this.#said.textContent = `row ${row}, column ${column}: ${significant(values[row * width + column])}`;
    this.#frame.setAttribute("aria-description", this.#said.textContent);
    this.classList.toggle("fine", Math.max(height, width) > 40);
  }

  /** Lights the window {top, bottom, left, right} of the map that another unit gathers from; null for none. */
  light(field) {
    this.#window.hidden = !field;
    if (field) this.#put(this.#window, field.top, field.left, field.bottom - field.top + 1, field.right - field.left + 1);
  }

  say(text) {
    this.#said.textContent = text;
  }

  /** Shows only the first numbers, as they are computed; null shows all. */
  reveal(count) {
    this.#count = count;
    this.#paint();
  }

  /** { values, height, width, name } of what is shown, null before anything is. */
  get map() {
    return this.closest("[hidden]") ? null : this.#map;
  }

  focusMap() {
    this.#frame.focus({ preventScroll: true });
  }

  strongest() {
    const { values, width } = this.#map;
    let best = 0;
    values.forEach((value, place) => (best = value > values[best] ? place : best));
    return [Math.floor(best / width), best % width];
  }

  #put(box, row, column, tall, wide) {
    const { height, width } = this.#map;
    lay(box, { top: row, left: column, tall, wide }, { height, width });
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const { height, width } = this.#map;
    const [down, right] = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    this.#choose(within(Math.floor(down * height), height), within(Math.floor(right * width), width));
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const pace = event.shiftKey ? 5 : 1;
    const move = STEPS[event.key];
    if (!move && event.key !== "Home") return;
    event.preventDefault();
    const { height, width } = this.#map;
    if (!move) this.#choose(...this.strongest());
    else this.#choose(within(this.#at[0] + pace * move[0], height), within(this.#at[1] + pace * move[1], width));
  }

  #choose(row, column) {
    if (row === this.#at[0] && column === this.#at[1]) return;
    this.place(row, column);
    this.dispatchEvent(new CustomEvent("choose-unit", { bubbles: true, detail: { row, column } }));
  }
}

const within = (at, count) => Math.min(count - 1, Math.max(0, at));

customElements.define("feature-map", FeatureMap);
