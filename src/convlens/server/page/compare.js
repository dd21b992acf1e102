// The view Compare: two served runs on the same picture. What each says, where each looks, and where they differ.

import { ask, isAbort, read, send } from "./api.js";
import { desk, follow } from "./desk.js";
import { element } from "./dom.js";
import { percent, short } from "./format.js";
import "./heat-overlay.js";
import { methodChoice } from "./methods.js";
import { Newest, onlyLast } from "./newest.js";
import { empty, problem, tell, withCode } from "./notices.js";
import "./picture-source.js";
import { IN_ORDER, MOST_SHOWN, barsHeight } from "./probability-bars.js";
import { runChoice } from "./run-bar.js";
import { classesApart, mapsApart } from "./runs-apart.js";
import { slider } from "./slider.js";

class CompareView extends HTMLElement {
  #newest = new Newest();
  #sides = [];
  #asked = null; // what the columns are to be about: whatever answers another question is late
  #body = element("div", { class: "compared" });
  #method = methodChoice(() => this.#ask());
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
    const sides = [side(await runOf(desk.run.name)), side(await runOf(others[0]))];
    const cover = (share) => { for (const { overlay } of sides) overlay.opacity = share; };
    const opacity = slider("Opacity", { value: 0.5, said: (share) => percent(share, 0), act: cover });
    await this.#method.fill(desk.run.name);
    this.#sides = sides;
    this.#body.replaceChildren(
      element("section", { class: "card tools" }, element("picture-source"), this.#method, opacity),
      ...sides.map((one, number) => this.#column(one, number)), this.#difference);
    cover(0.5);
  }

  #column(one, number) {
    const last = onlyLast();
    const choose = async (name) => {
      const run = await last(runOf(name));
      if (!run) return;
      use(one, run);
      this.#ask();
    };
    const label = number ? "Second run" : "First run";
    const list = runChoice(desk.run.runs, () => one.run.name, choose, label);
    return element("section", { class: number ? "card side second" : "card side", "aria-label": label },
      element("header", {}, list, one.facts), one.best, one.bars,
      element("div", { class: "looks" }, one.overlay, one.said));
  }

  async #ask() {
    if (!this.isConnected || !this.#sides.length) return;
    const { picture } = desk;
    const asked = (this.#asked = { picture });
    const current = () => asked === this.#asked;
    this.classList.toggle("nothing", !picture);
    if (!picture) return this.#difference.replaceChildren(empty("No picture yet", "Choose one, or click a sample."));
    const askBoth = () => Promise.all(this.#sides.map((one) => about(one, picture, this.#method.value, current)));
    try {
      const answers = await this.#newest.ask(askBoth);
      if (answers && current()) this.#showDifference(answers);
    } catch (error) {
      if (!isAbort(error) && current()) this.#difference.replaceChildren(problem(error, () => this.#ask()));
    }
  }

  #showDifference([first, second]) {
    const [a, b] = [first.run.name, second.run.name];
    const [one, other] = [first.prediction.label, second.prediction.label];
    const title = one === other ? `Both say ${one}` : `${a} says ${one}, ${b} says ${other}`;
    this.#difference.replaceChildren(
      element("header", {}, element("h2", {}, title)),
      element("div", { class: "parts" }, classesApart(first, second, a, b), mapsApart(first, second, a, b)));
  }
}

const runOf = (name) => read("/v1/run", { run: name });

function side(run) {
  const made = {
    facts: element("span", { class: "quiet" }), best: element("p", { class: "said-best" }),
    bars: element("probability-bars"), overlay: element("heat-overlay"), said: element("p", { class: "said quiet" }),
  };
  return use(made, run);
}

/** The column is about this run from now on; what it said of another goes. */
function use(one, run) {
  one.run = run;
  one.facts.textContent = `${run.network} · ${short(run.num_parameters)} parameters`;
  one.bars.style.minHeight = barsHeight(run.classes.length);
  return forget(one);
}

function forget(one) {
  one.best.replaceChildren();
  one.said.replaceChildren();
  one.overlay.lay(null);
  one.overlay.style.visibility = one.bars.style.visibility = "hidden"; // their places stay
  return one;
}

/** Asks one run and shows what it says, as long as that is what is asked -> { run, prediction, map }. */
async function about(one, picture, method, current) {
  const { run } = one;
  try {
    const { predictions: [prediction] } = await send(picture.blob, { run: run.name, all: true });
    if (current()) showAnswer(one, picture, prediction);
    return { run, prediction, map: await mapOf(one, run, { picture, method, current }) };
  } catch (error) {
    if (current()) forget(one);
    throw error;
  }
}

function showAnswer(one, picture, prediction) {
  const { run, best, bars, overlay } = forget(one);
  const most = run.classes.length <= IN_ORDER ? run.classes.length : MOST_SHOWN;
  const share = element("span", { class: "number" }, percent(prediction.probability));
  best.replaceChildren(element("strong", {}, prediction.label), " ", share);
  overlay.style.visibility = bars.style.visibility = "";
  bars.show({ ...prediction, top: prediction.top.slice(0, most) }, run.classes, { truth: picture.label });
  overlay.show(picture, run).catch(() => {});
}

async function mapOf({ overlay, said }, run, { picture, method, current }) {
  try {
    const map = await ask("/v1/explain", { picture: { id: picture.id }, run: run.name, method, values: true });
    if (!current()) return map;
    overlay.lay(map.heat, `${map.title} for ${map.target}`);
    said.textContent = `${map.title}${map.layer ? ` at ${map.layer}` : ""}, for ${map.target}`;
    return map;
  } catch (error) {
    if (current()) said.replaceChildren(...withCode(error.message));
    return null;
  }
}

function alone() {
  return empty("One run is served", "Serve two to compare them: `convlens serve runs/demo runs/other`.");
}

customElements.define("compare-view", CompareView);
