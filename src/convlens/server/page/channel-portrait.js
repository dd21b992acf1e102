// <channel-portrait>: one channel by itself: its filter, the pictures that excite it most, a picture grown for it.

import { ask, read, showPicture } from "./api.js";
import { lay } from "./boxes.js";
import { button, element } from "./dom.js";
import { greyOf } from "./map-pictures.js";
import { isModule } from "./network-facts.js";
import { loading, problem } from "./notices.js";
import { significant } from "./numbers.js";
import { inTones, paint } from "./tones.js";

const MOST_PLANES = 24;

class ChannelPortrait extends HTMLElement {
  #desk = null;
  #layer = null;
  #channel = null;
  #convolution = null;
  #stop = new AbortController();
  #filter = element("div", { class: "portrait-part" });
  #pictures = element("div", { class: "portrait-part" });
  #grown = element("div", { class: "portrait-part" });
  #filters = new Map(); // layer -> what /v1/filters says
  #seen = new IntersectionObserver((all) => all.some((one) => one.isIntersecting) && this.#fill(), { rootMargin: "120px" });

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      column("Its filter", "What the weights look for: warm adds, cool takes away.", this.#filter),
      column("What excites it most", "Of the run's pictures; the frame is what the unit saw.", this.#pictures),
      column("A picture grown for it", "From noise, by following the gradient uphill.", this.#grown));
  }

  /** `convolution` is the layer whose filter made the channel, null for none. */
  show(desk, layer, channel, convolution) {
    if (this.#desk === desk && this.#layer === layer && this.#channel === channel) return;
    [this.#desk, this.#layer, this.#channel, this.#convolution] = [desk, layer, channel, convolution];
    this.#stop.abort();
    this.#stop = new AbortController();
    for (const part of [this.#filter, this.#pictures]) part.replaceChildren(loading("On its way"));
    this.#filter.parentElement.hidden = !convolution;
    this.#pictures.parentElement.hidden = !isModule(layer) || layer.shape.length !== 3 || !desk.run.has_pictures;
    this.#grown.parentElement.hidden = !isModule(layer);
    this.#grown.replaceChildren(button("Grow a picture", () => this.#grow(), { class: "first" }));
    this.#seen.disconnect();
    this.#seen.observe(this);
  }

  #fill() {
    this.#seen.disconnect();
    if (!this.#filter.parentElement.hidden) this.#put(this.#filter, (signal) => this.#filterOf(signal));
    if (!this.#pictures.parentElement.hidden) this.#put(this.#pictures, (signal) => this.#exciting(signal));
  }

  /** What `make` gives, or why not, stands in the part; whatever another channel overtakes is dropped. */
  async #put(part, make) {
    const { signal } = this.#stop;
    try {
      const made = await make(signal);
      if (!signal.aborted) part.replaceChildren(...[made].flat());
    } catch (error) {
      if (!signal.aborted) part.replaceChildren(problem(error, () => this.#put(part, make)));
    }
  }

  async #filterOf(signal) {
    const key = `${this.#desk.run.name} ${this.#convolution} ${this.#channel}`;
    const asked = { run: this.#desk.run.name, layer: this.#convolution, channel: this.#channel };
    if (!this.#filters.has(key)) this.#filters.set(key, await read("/v1/filters", asked, { signal }));
    return filterFigure(this.#filters.get(key), asked.channel);
  }

  async #exciting(signal) {
    const answer = await ask("/v1/exciting", { run: this.#desk.run.name, layer: this.#layer.path, channel: this.#channel }, { signal });
    if (!answer.pictures.length) return element("p", { class: "quiet" }, "The run keeps no pictures.");
    return element("div", { class: "exciting" }, answer.pictures.map((one) => excitingFigure(one)));
  }

  #grow() {
    this.#grown.replaceChildren(loading("Growing"));
    return this.#put(this.#grown, async (signal) => {
      const answer = await ask("/v1/maximise", { run: this.#desk.run.name, layer: this.#layer.path, channel: this.#channel }, { signal });
      return grownFigure(answer, `Channel ${this.#channel} of ${this.#layer.path}`);
    });
  }
}

function column(title, said, part) {
  return element("section", { class: "portrait-column" }, element("h3", {}, title), element("p", { class: "quiet" }, said), part);
}

/** The kernels, strongest first; of a layer that sees colours one in colour. Grey 128 is zero. */
async function filterFigure({ filters, sheet, columns, tile: [height, width], colour }, channel) {
  if (colour) return element("figure", {}, element("img", { class: "pixels", src: sheet, alt: `The filter of channel ${channel}, in colour` }));
  const grey = await greyOf(sheet);
  const shown = filters.slice(0, MOST_PLANES).map((plane, place) => {
    const [top, left] = [Math.floor(place / columns) * height, (place % columns) * width];
    const greyAt = (row, column) => grey.data[4 * ((top + row) * grey.width + left + column)];
    const shares = Float32Array.from({ length: height * width }, (_, at) => (greyAt(Math.floor(at / width), at % width) - 128) / 127);
    const canvas = element("canvas", { role: "img", "aria-label": `the kernel for channel ${plane.input}` });
    inTones(canvas, () => paint(canvas, shares, height, width));
    return element("figure", {}, canvas, element("figcaption", {}, plane.input));
  });
  const rest = filters.length - shown.length;
  const said = rest > 0 ? `under each the channel that it reads, and ${rest} weaker ones` : "under each the channel that it reads";
  return [element("div", { class: "kernels" }, shown), element("p", { class: "quiet" }, said)];
}

/** A thumbnail with the part of it that the unit saw: [top, left, height, width], shares of the thumbnail. */
function excitingFigure({ url, value, part, label }) {
  const image = element("img", { alt: label ? `A picture of the class ${label}` : "" });
  showPicture(image, url).catch(() => {});
  const frame = element("span", { class: "frame" }, image);
  if (part) {
    const [top, left, tall, wide] = part;
    const box = element("span", { class: "window" });
    lay(box, { top, left, tall, wide }, { height: 1, width: 1 });
    frame.append(box);
  }
  return element("figure", {}, frame, element("figcaption", { class: "number" }, significant(value, 3)));
}

function grownFigure(answer, said) {
  return element("figure", { class: "grown" },
    element("img", { src: answer.picture, alt: `${said}: what it answers to most` }),
    element("figcaption", { class: "quiet" }, `from ${significant(answer.before, 3)} to ${significant(answer.value, 3)} in ${answer.steps} steps`));
}

customElements.define("channel-portrait", ChannelPortrait);
