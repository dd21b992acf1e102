// <map-card>: where the network looks. Method, class and opacity of the map, and what its sanity checks found.

import { ask, isAbort } from "./api.js";
import { desk, follow } from "./desk.js";
import { element } from "./dom.js";
import { capital, percent } from "./format.js";
import "./heat-overlay.js";
import { methodChoice } from "./methods.js";
import { Newest, still } from "./newest.js";
import { empty, withCode } from "./notices.js";
import { slider } from "./slider.js";

const RESTS = 250; // milliseconds without another picture: a map is asked for
const RESTS_LONG = 900; // and its checks
const CLASS = "class "; // before a class's name, which may be empty: no class is taken for the predicted one
const MEANINGS = {
  passed: "It changes with the weights, marks what matters and is stable: a sound map may still be misread.",
  failed: "Do not read this map as a reason: it fails a check that every sound map passes.",
  incomplete: "Not every check could be made on this network: read the map with care.",
};

class MapCard extends HTMLElement {
  #newest = new Newest();
  #run = null; // whose methods and classes are listed
  #asked = null; // what the map and its checks are to be about: whatever answers another question is late
  #overlay = element("heat-overlay");
  #nothing = empty("No picture yet", "The parts that speak for a class will light up here.");
  #method = methodChoice(() => this.#ask());
  #target = element("select", { "aria-label": "Class to explain", onchange: () => this.#ask() });
  #said = element("p", { class: "said quiet" });
  #check = element("div", { class: "check", role: "status" });
  #askSoon = still(() => this.#ask(), RESTS);
  #checkSoon = still((asked) => this.#askCheck(asked), RESTS_LONG);

  connectedCallback() {
    if (this.firstChild) return;
    const cover = (share) => { this.#overlay.opacity = share; };
    const opacity = slider("Opacity of the map", { value: 0.5, said: (share) => percent(share, 0), act: cover });
    cover(0.5);
    this.append(
      element("header", {}, element("h2", {}, "Where it looks")),
      element("div", { class: "frame" }, this.#overlay, this.#nothing),
      element("div", { class: "choices" }, this.#method, this.#target),
      opacity, this.#said, this.#check);
    follow(this, { run: () => this.refresh(), picture: () => this.refresh() });
  }

  /** Shows the current picture and asks for its map. */
  async refresh() {
    this.#asked = null;
    this.#overlay.hidden = !desk.picture;
    this.#nothing.hidden = Boolean(desk.picture);
    await this.#list();
    if (!desk.picture) return;
    if (!desk.picture.drawn) this.#overlay.lay(null);
    this.#overlay.show(desk.picture, desk.run).catch(() => {});
    this.#askSoon();
  }

  async #list() {
    if (this.#run === desk.run) return;
    this.#run = desk.run;
    const predicted = element("option", { value: "" }, "the predicted class");
    const classes = desk.run.classes.map((name) => element("option", { value: `${CLASS}${name}` }, name));
    this.#target.replaceChildren(predicted, ...classes);
    await this.#method.fill(desk.run.name).catch((error) => this.#fail(error));
  }

  async #ask() {
    if (!desk.picture || !this.#method.value) return;
    const target = this.#target.value === "" ? null : this.#target.value.slice(CLASS.length);
    const asked = { picture: { id: desk.picture.id }, run: desk.run.name, method: this.#method.value, target };
    this.#asked = asked;
    this.#check.replaceChildren();
    try {
      const map = await this.#newest.ask(() => ask("/v1/explain", asked));
      if (map && asked === this.#asked) this.#show(map, asked);
    } catch (error) {
      if (asked === this.#asked) this.#fail(error);
    }
  }

  #show(map, asked) {
    this.#overlay.lay(map.heat, `${map.title} for ${map.target}`);
    const where = map.layer ? ` at ${map.layer}` : "";
    const about = `${map.title}${where}, for ${map.target} (${percent(map.probability)}). ${capital(map.sign)}.`;
    this.#said.replaceChildren(...withCode(`${about} ${map.note}`));
    this.#check.replaceChildren(element("span", { class: "badge" }, "checks follow"));
    this.#checkSoon(asked);
  }

  async #askCheck(asked) {
    if (asked !== this.#asked || !this.isConnected) return;
    this.#check.replaceChildren(element("span", { class: "badge" }, element("span", { class: "spinner" }), "checking"));
    try {
      const { sanity } = await ask("/v1/explain", { ...asked, sanity: true });
      if (asked === this.#asked) this.#showCheck(sanity);
    } catch (error) {
      if (asked === this.#asked && !isAbort(error)) this.#check.replaceChildren(element("p", { class: "quiet" }, withCode(error.message)));
    }
  }

  #showCheck(sanity) {
    const { badge, reason, rows } = sanity;
    const checked = element("ul", {}, rows.map(checkRow));
    const details = element("details", {}, element("summary", {}, "What was checked"), checked);
    this.#check.replaceChildren(
      element("span", { class: `badge ${badge}` }, `sanity checks ${badge}`),
      element("p", {}, MEANINGS[badge] ?? withCode(reason)), rows.length ? details : "");
  }

  #fail(error) {
    if (isAbort(error)) return;
    this.#overlay.lay(null);
    this.#said.replaceChildren(...withCode(error.message), " ", ...withCode(error.remedy ?? ""));
    this.#check.replaceChildren();
  }
}

function checkRow({ name, passed, reason }) {
  const word = passed ? "passed" : "failed";
  return element("li", {}, element("span", { class: `badge ${word}` }, `${name} ${word}`), " ", reason);
}

customElements.define("map-card", MapCard);
