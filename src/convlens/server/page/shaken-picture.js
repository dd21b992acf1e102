// <shaken-picture>: the current picture turned, moved, blurred and covered by sliders, the prediction following live.

import { ask, isAbort, read } from "./api.js";
import { desk, follow } from "./desk.js";
import { button, element } from "./dom.js";
import { brief, percent } from "./format.js";
import { isSmall } from "./heat-overlay.js";
import { Newest } from "./newest.js";
import { empty, tell } from "./notices.js";
import "./picture-source.js";
import "./probability-bars.js";
import { slider } from "./slider.js";

class ShakenPicture extends HTMLElement {
  #newest = new Newest();
  #changes = {};
  #sliders = [];
  #image = element("img", { class: "changed", alt: "The changed picture, as the network sees it", hidden: true });
  #nothing = empty("No picture yet", "Choose one, or click a sample.");
  #was = element("p", { class: "quiet was" });
  #bars = element("probability-bars");
  #place = element("div", { class: "sliders" });

  async connectedCallback() {
    if (this.firstChild) return void (await this.#ask()); // there may be another picture than when it was left
    const reset = button("Back to the picture as it is", () => this.#reset(), { symbol: "undo" });
    this.append(
      element("picture-source"),
      element("div", { class: "shaken" },
        element("div", { class: "frame" }, this.#image, this.#nothing), element("div", {}, this.#place, reset),
        element("div", {}, this.#was, this.#bars)));
    follow(this, { picture: () => this.#ask(), run: () => this.#ask() });
    await this.#list().catch(tell);
    this.#ask();
  }

  async #list() {
    const { changes } = await read("/v1/changes", { run: desk.run.name });
    this.#sliders = changes.map((one) => slider(one.title, {
      least: one.least, most: one.most, step: one.step, value: one.usual, tip: one.unit,
      said: (value) => `${brief(value)}${sign(one.unit)}`, act: (value) => this.#change(one, value),
    }));
    this.#sliders.forEach((made, place) => { made.usual = changes[place].usual; });
    this.#place.replaceChildren(...this.#sliders);
  }

  #change({ name, usual }, value) {
    if (value === usual) delete this.#changes[name];
    else this.#changes[name] = value;
    this.#ask();
  }

  #reset() {
    this.#changes = {};
    for (const one of this.#sliders) one.set(one.usual);
    this.#ask();
  }

  async #ask() {
    const { picture, run } = desk;
    this.#nothing.hidden = Boolean(picture);
    if (!picture) this.#show(null);
    if (!picture || !this.isConnected) return;
    const top = picture.prediction.top.length;
    const asked = { picture: { id: picture.id }, run: run.name, changes: { ...this.#changes }, top };
    try {
      const answer = await this.#newest.ask(() => ask("/v1/changed", asked));
      if (answer && picture === desk.picture && run === desk.run) this.#show(answer, picture, run);
    } catch (error) {
      if (isAbort(error)) return;
      if (picture === desk.picture && run === desk.run) this.#show(null);
      tell(error);
    }
  }

  /** Without an answer nothing stays of the one before. */
  #show(answer, picture, run) {
    this.#image.hidden = this.#was.hidden = this.#bars.hidden = !answer;
    if (!answer) return;
    const { seen, prediction } = answer;
    this.#image.src = seen;
    this.#image.classList.toggle("pixels", isSmall(run.input));
    const before = picture.prediction;
    const moved = before.label === prediction.label ? "still" : "no longer";
    this.#was.textContent = `As it is: ${before.label}, ${percent(before.probability)}; ${moved} so when changed.`;
    this.#bars.show(prediction, run.classes, { truth: picture.label });
  }
}

/** "% of the width" -> " %". */
const sign = (unit) => ({ "%": " %", degrees: "°", times: " ×" })[unit.split(/[ ,]/)[0]] ?? "";

customElements.define("shaken-picture", ShakenPicture);
