// <receptive-field>: the picture as the network sees it, what of it one unit sees, lit, and the same enlarged.

import { picturePath, showPicture } from "./api.js";
import { lay } from "./boxes.js";
import { element } from "./dom.js";

const SMALL = 97; // pixels: smaller pictures show their pixels as squares

class ReceptiveField extends HTMLElement {
  #image = element("img", { alt: "The picture as the network sees it", draggable: "false" });
  #window = element("div", { class: "window", hidden: true });
  #frame = element("div", { class: "frame" }, this.#image, this.#window);
  #said = element("figcaption", {});
  #near = element("img", { alt: "", draggable: "false" });
  #enlarged = element("figure", { class: "enlarged", hidden: true },
    element("div", { class: "frame" }, this.#near), element("figcaption", {}, "enlarged"));
  #size = { height: 1, width: 1 };

  connectedCallback() {
    if (!this.firstChild) this.append(element("figure", {}, this.#frame, this.#said), this.#enlarged);
  }

  async picture(picture, run) {
    this.#size = run.input;
    this.#frame.style.aspectRatio = `${run.input.width} / ${run.input.height}`;
    this.classList.toggle("pixels", Math.max(run.input.width, run.input.height) < SMALL);
    const path = picturePath(picture.id, "seen", run.name);
    await Promise.all([showPicture(this.#image, path), showPicture(this.#near, path)]);
  }

  /** A window {top, bottom, left, right} in pixels, the last ones included, or null for the whole picture. */
  light(field) {
    this.#window.hidden = !field;
    this.#said.textContent = field ? caption(field, this.#size) : "sees the whole picture";
    if (!field) return void (this.#enlarged.hidden = true);
    this.#enlarge(field);
    const { height, width } = this.#size;
    const [top, left] = [Math.max(0, field.top), Math.max(0, field.left)];
    const [bottom, right] = [Math.min(height - 1, field.bottom), Math.min(width - 1, field.right)];
    lay(this.#window, { top, left, tall: Math.max(0, bottom - top + 1), wide: Math.max(0, right - left + 1) }, { height, width });
  }

  /** Where the unit sees a small part: that part, as large as the picture, padding left blank. */
  #enlarge({ top, left, bottom, right }) {
    const { height, width } = this.#size;
    const [tall, wide] = [bottom - top + 1, right - left + 1];
    this.#enlarged.hidden = Math.max(tall / height, wide / width) > 0.5;
    lay(this.#near, { top: -top, left: -left, tall: height, wide: width }, { height: tall, width: wide });
  }
}

function caption(field, { height, width }) {
  const [tall, wide] = [field.bottom - field.top + 1, field.right - field.left + 1];
  const whole = field.top <= 0 && field.left <= 0 && field.bottom >= height - 1 && field.right >= width - 1;
  if (whole) return `sees the whole picture, ${height} × ${width} pixels`;
  const beyond = field.top < 0 || field.left < 0 || field.bottom >= height || field.right >= width ? ", padding beyond the edge" : "";
  const most = field.exact === false ? "at most " : "";
  if (tall === 1 && wide === 1) return `one pixel: row ${field.top}, column ${field.left}`;
  const where = `rows ${field.top} to ${field.bottom}, columns ${field.left} to ${field.right}`.replaceAll("-", "−");
  return `sees ${most}${tall} × ${wide} pixels: ${where}${beyond}`;
}

customElements.define("receptive-field", ReceptiveField);
