// <digit-pad>: draw with pointer or keys. Tells "drawn" as often as it changes, at most once a frame.

import { button, element } from "./dom.js";
import { made, trace } from "./ink.js";

const STEP = 0.03; // of the pad, for an arrow key
const KEYS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const HELP = "Drawing pad. Draw with the pointer, or move the pen with the arrow keys and press Space to set it down "
  + "or lift it. Backspace takes the last stroke back, Delete clears.";
const SIDE = 560;
const PEN = 0.075; // of the pad; in the picture the pen is as wide as the run's own

class DigitPad extends HTMLElement {
  #ink = null;
  #strokes = [];
  #at = [0.5, 0.3]; // the pen of the keys
  #down = false;
  #soon = 0;
  #canvas = element("canvas", { width: SIDE, height: SIDE, tabindex: 0, role: "img", "aria-label": HELP });
  #said = element("p", { class: "unseen", role: "status" });
  #hint = element("p", { class: "hint" }, "Draw here");

  connectedCallback() {
    if (this.firstChild) return;
    const tools = element("div", { class: "tools" },
      button("Undo", () => this.undo(), { symbol: "undo" }), button("Clear", () => this.clear(), { symbol: "clear" }));
    this.append(element("div", { class: "frame" }, this.#canvas, this.#hint), tools, this.#said);
    this.#listen();
  }

  /** How the run's pictures are drawn, as ink.js measures it. */
  set ink(ink) {
    this.#ink = ink;
    this.classList.toggle("light-ink", ink.light);
    this.#paint();
  }

  get empty() {
    return !this.#strokes.length;
  }

  undo() {
    this.#strokes.pop();
    this.#down = false;
    this.#changed();
  }

  clear() {
    this.#strokes = [];
    this.#down = false;
    this.#changed();
  }

  /** The drawing as a picture of the run's own kind: a PNG. */
  async picture() {
    return made(this.#strokes, this.#ink).convertToBlob({ type: "image/png" });
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      this.#strokes.push([this.#point(event)]);
      this.#changed();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const all = event.getCoalescedEvents?.() ?? [];
      this.#strokes.at(-1)?.push(...(all.length ? all : [event]).map((one) => this.#point(one)));
      this.#changed();
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.#paint());
  }

  #point(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  #key(event) {
    if (KEYS[event.key]) this.#move(...KEYS[event.key]);
    else if (event.key === " " || event.key === "Enter") this.#toggle();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  #move(x, y) {
    this.#at = [this.#at[0] + x * STEP, this.#at[1] + y * STEP].map((one) => Math.min(0.97, Math.max(0.03, one)));
    if (this.#down) this.#strokes.at(-1).push(this.#at);
    if (this.#down) this.#changed();
    else this.#paint();
  }

  #toggle() {
    this.#down = !this.#down;
    this.#said.textContent = this.#down ? "Pen down" : "Pen up";
    if (this.#down) this.#strokes.push([this.#at]);
    this.#changed();
  }

  #changed() {
    cancelAnimationFrame(this.#soon);
    this.#soon = requestAnimationFrame(() => {
      this.#paint();
      this.dispatchEvent(new Event("drawn"));
    });
  }

  #paint() {
    const context = this.#canvas.getContext("2d");
    const { color } = getComputedStyle(this.#canvas);
    context.clearRect(0, 0, SIDE, SIDE);
    context.save();
    context.scale(SIDE, SIDE);
    context.strokeStyle = color;
    trace(context, this.#strokes, PEN);
    if (this.#canvas.matches(":focus-visible")) this.#paintPen(context);
    context.restore();
    this.#hint.hidden = !this.empty;
  }

  #paintPen(context) {
    context.beginPath();
    context.arc(...this.#at, 0.03, 0, 2 * Math.PI);
    context.lineWidth = 0.008;
    context.strokeStyle = this.#down ? "#f0733c" : "#7aa7ff";
    context.stroke();
  }
}

customElements.define("digit-pad", DigitPad);
