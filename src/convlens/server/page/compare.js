// The view Compare: two served runs on the same picture. What each says, where each looks, and where they differ.

import { ask, isAbort, read, send } from "./api.js";
import { desk, follow } from "./desk.js";
import { element } from "./dom.js";
import { percent, short } from "./format.js";
import "./heat-overlay.js";
import { fillMethods } from "./methods.js";
import { Newest } from "./newest.js";
import { empty, tell, withCode } from "./notices.js";
import "./picture-source.js";
import { IN_ORDER, MOST_SHOWN, barsHeight } from "./probability-bars.js";
import { runChoice } from "./run-bar.js";
import { classesApart, mapsApart } from "./runs-apart.js";
import { slider } from "./slider.js";


class CompareView extends HTMLElement {
  #newest = new Newest();
  #sides = [];
  #shown = null; // what the columns are about: picture and runs
  #body = element("div", { class: "compared" });
  #method = element("select", { "aria-label": "Method", onchange: () => this.#ask() });
  #difference = element("section", { class: "card difference" });

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("header", {}, element("h1", {}, "Two networks, one picture")), this.#body);
    follow(this, { picture: () => this.#ask() });
  }

  async enter() {
    const { runs } = desk.run;
    if (runs.length < 2) return this.#body.replaceChildren(alone());
    if (!this.#sides.length) await this.#build(runs).catch(tell);
    this.#ask();
  }

  async #build(runs) {
    const others = runs.filter((name) => name !== desk.run.name);
    this.#sides = [await side(desk.run.name), await side(others[0])];
    const cover = (share) => { for (const { overlay } of this.#sides) overlay.opacity = share; };
    const opacity = slider("Opacity", { value: 0.5, said: (share) => percent(share, 0), act: cover });
    await fillMethods(this.#method, desk.run.name);
    this.#body.replaceChildren(
      element("section", { class: "card tools" }, element("picture-source"), this.#method, opacity),
      ...this.#sides.map((one, number) => this.#column(one, number)), this.#difference);
    cover(0.5);
  }

  #column(one, number) {
    const choose = async (name) => {
      Object.assign(one, await side(name, one));
      this.#ask();
    };
    const label = number ? "Second run" : "First run";
    const list = runChoice(desk.run.runs, one.run.name, (name) => choose(name).catch(tell), label);
    return element("section", { class: number ? "card side second" : "card side", "aria-label": label },
      element("header", {}, list, one.facts), one.best, one.bars,
      element("div", { class: "looks" }, one.overlay, one.said));
  }

  async #ask() {
    if (!this.isConnected || !this.#sides.length) return;
    const { picture } = desk;
    this.classList.toggle("nothing", !picture);
    if (!picture) return this.#difference.replaceChildren(empty("No picture yet", "Choose one, or click a sample."));
    const askBoth = () => Promise.all(this.#sides.map((one) => about(one, picture, this.#method.value)));
    try {
      const answers = await this.#newest.ask(askBoth);
      if (answers) this.#showDifference(answers);
    } catch (error) {
      if (!isAbort(error)) tell(error);
    }
  }

  #showDifference([first, second]) {
    const [a, b] = this.#sides.map((one) => one.run.name);
    const [one, other] = [first.prediction.label, second.prediction.label];
    const title = one === other ? `Both say ${one}` : `${a} says ${one}, ${b} says ${other}`;
    this.#difference.replaceChildren(
      element("header", {}, element("h2", {}, title)),
      element("div", { class: "parts" }, classesApart(first, second, a, b), mapsApart(first, second, a, b)));
  }
}

async function side(name, old = {}) {
  const run = await read("/v1/run", { run: name });
  const facts = old.facts ?? element("span", { class: "quiet" });
  facts.textContent = `${run.network} · ${short(run.num_parameters)} parameters`;
  const bars = old.bars ?? element("probability-bars");
  bars.style.minHeight = barsHeight(run.classes.length);
  return {
    run, facts, bars, overlay: old.overlay ?? element("heat-overlay"),
    best: old.best ?? element("p", { class: "said-best" }), said: old.said ?? element("p", { class: "said quiet" }),
  };
}

/** Asks one run and shows what it says -> { prediction, map, input }. */
async function about(one, picture, method) {
  const { run } = one;
  const { predictions: [prediction] } = await send(picture.blob, { run: run.name, all: true });
  const most = run.classes.length <= IN_ORDER ? run.classes.length : MOST_SHOWN;
  const shown = { ...prediction, top: prediction.top.slice(0, most) };
  const share = element("span", { class: "number" }, percent(prediction.probability));
  one.best.replaceChildren(element("strong", {}, prediction.label), " ", share);
  one.bars.show(shown, run.classes, { truth: picture.label });
  one.overlay.show(picture, run).catch(() => {});
  return { prediction, map: await mapOf(one, picture, method), input: run.input };
}

async function mapOf({ run, overlay, said }, picture, method) {
  try {
    const map = await ask("/v1/explain", { picture: { id: picture.id }, run: run.name, method, values: true });
    overlay.lay(map.heat, `${map.title} for ${map.target}`);
    said.textContent = `${map.title}${map.layer ? ` at ${map.layer}` : ""}, for ${map.target}`;
    return map;
  } catch (error) {
    overlay.lay(null);
    said.replaceChildren(...withCode(error.message));
    return null;
  }
}

function alone() {
  return empty("One run is served", "Serve two to compare them: `convlens serve runs/demo runs/other`.");
}

customElements.define("compare-view", CompareView);
