// The view See inside: the network as stages, a stage as layers, a layer as channels, a unit as the sum that it is.

import { isAbort } from "./api.js";
import "./channel-portrait.js";
import { desk, follow } from "./desk.js";
import { element } from "./dom.js";
import "./feature-sheet.js";
import { convolves, isModule, layerOf, networkOf, stageOf } from "./network-facts.js";
import "./network-strip.js";
import { empty, loading, problem, tell } from "./notices.js";
import { sized } from "./numbers.js";
import "./picture-source.js";
import { useSample } from "./picture-source.js";
import { segments } from "./segments.js";
import "./stage-layers.js";
import "./unit-panel.js";

const LEAD = "Every number of the network for this picture. Open a stage, a layer, a channel; click a unit to see the sum "
  + "that it is, and step down to the pixels.";
const ORDERS = [["strongest", "Strongest first"], ["number", "By number"]];

class InsideView extends HTMLElement {
  #seen = null; // the desk's picture and run that are shown
  #network = null;
  #stage = null;
  #layer = null;
  #order = "strongest";
  #wanted = null; // parts of the address that are not open yet
  #openFirst = null; // the layer whose strongest channel is opened when its sheet is there
  #stop = new AbortController();
  #strip = element("network-strip");
  #layers = element("stage-layers");
  #sheet = element("feature-sheet");
  #unit = element("unit-panel", { class: "card" });
  #portrait = element("channel-portrait");
  #titles = { stage: element("h2", {}), layer: element("h2", {}), layerFacts: element("p", { class: "lead" }), portrait: element("h2", {}) };
  #state = element("div", {});
  #body = element("div", { class: "inside-body", hidden: true });

  connectedCallback() {
    if (this.firstChild) return;
    const orders = segments("Order of the channels", ORDERS, (order) => this.#sort(order));
    orders.set("strongest");
    this.#body.append(
      element("section", { class: "card strip" }, this.#strip),
      element("div", { class: "stage-open" },
        element("section", { class: "card layers" }, element("header", {}, this.#titles.stage), this.#layers),
        element("section", { class: "card channels" }, element("header", {}, this.#titles.layer, orders, this.#titles.layerFacts), this.#sheet)),
      this.#unit,
      element("section", { class: "card portrait" }, element("header", {}, this.#titles.portrait), this.#portrait));
    this.append(
      element("header", {}, element("h1", {}, "See inside"), element("p", { class: "lead" }, LEAD), element("picture-source")),
      this.#state, this.#body);
    this.#listen();
  }

  /** #inside/LAYER/CHANNEL/ROW/COLUMN opens there, as soon as there is a picture. */
  async enter(...parts) {
    this.#wanted = parts.length ? parts : null;
    await this.#refresh();
    if (this.#wanted && this.#seen && this.#network) this.#openWanted();
  }

  #openWanted() {
    const [path, ...numbers] = this.#wanted;
    this.#wanted = null;
    const layer = layerOf(this.#network, { layer: path });
    if (!layer) return false;
    const [channel = 0, row, column] = numbers.map(Number);
    this.#openLayer(layer, { quietly: true });
    if (Number.isInteger(row)) this.#unit.open({ node: layer.node, layer: layer.path, channel, row, column });
    else this.#unit.openChannel(layer, channel);
    return true;
  }

  #listen() {
    follow(this, { run: () => this.#refresh(), picture: () => this.#refresh() });
    this.addEventListener("choose-stage", (event) => this.#openStage(event.detail.stage));
    this.addEventListener("choose-layer", (event) => this.#openLayer(event.detail.layer));
    this.addEventListener("choose-channel", (event) => this.#unit.openChannel(this.#layer, event.detail.channel));
    this.addEventListener("unit", (event) => this.#follow(event.detail.unit));
    this.addEventListener("no-unit", () => { this.querySelector(".portrait").hidden = true; });
  }

  async #refresh() {
    if (!desk.run || (this.#seen?.run === desk.run && this.#seen.picture === desk.picture)) return;
    this.#stop.abort();
    this.#unit.stop();
    const { signal } = (this.#stop = new AbortController());
    if (!desk.picture) return this.#withoutPicture();
    this.#seen = { run: desk.run, picture: desk.picture };
    try {
      if (!this.#network || this.#network.run !== desk.run.name) this.#state.replaceChildren(loading("The network"));
      const network = await networkOf(desk.run);
      if (!signal.aborted) await this.#draw(network, signal);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.#seen = null;
      this.#body.hidden = true;
      this.#state.replaceChildren(problem(error, () => this.#refresh()));
    }
  }

  /** Nobody should stand before an empty page: the first sample is taken, where the run has one. */
  #withoutPicture() {
    const [sample] = desk.run.samples ?? [];
    this.#body.hidden = true;
    this.#seen = this.#openFirst = null;
    const again = () => desk.again().catch(tell);
    if (desk.unanswered) return void this.#state.replaceChildren(problem(desk.unanswered, again));
    const said = "Choose a picture, drop one or paste it: then every layer shows what it makes of it.";
    if (!sample) return void this.#state.replaceChildren(empty("No picture yet", said));
    this.#state.replaceChildren(loading("A sample of the run"));
    return useSample(sample).catch((error) => {
      if (!desk.picture) this.#state.replaceChildren(problem(error, () => this.#withoutPicture()));
    });
  }

  async #draw(network, signal) {
    const { run, picture } = this.#seen;
    const fresh = this.#network !== network;
    this.#state.replaceChildren();
    this.#body.hidden = false;
    if (fresh) {
      this.#network = network;
      this.#strip.build(network);
    }
    this.#unit.begin(picture, run, network);
    this.#strip.fill(picture, run, signal).catch((error) => {
      if (signal.aborted) return;
      this.#strip.forget();
      tell(error);
    });
    if (this.#wanted && this.#openWanted()) return;
    if (fresh || !this.#layer) this.#openStage(network.stages[1] ?? network.stages[0]);
    else this.#fillStage();
  }

  #openStage(stage) {
    const [row, column] = [this.#network.input.height, this.#network.input.width].map((side) => Math.floor(side / 2));
    this.#openFirst = null;
    if (stage.kind === "picture") return this.#unit.open({ node: -1, channel: 0, row, column });
    return this.#openLayer(telling(stage));
  }

  /** Shows a layer among those of its stage, and the strongest unit of its first channel, unless the caller opens one. */
  #openLayer(layer, { quietly = false } = {}) {
    if (!quietly) this.#unit.stop();
    this.#layer = layer;
    this.#stage = stageOf(this.#network, layer);
    this.#fillStage();
    this.#openFirst = quietly ? null : layer;
  }

  #fillStage() {
    const { run, picture } = this.#seen;
    const [stage, layer] = [this.#stage, this.#layer];
    this.#strip.mark(stage);
    if (this.#titles.stage.textContent !== stage.title || this.#layers.dataset.stage !== stage.path || this.#layers.seen !== this.#seen) {
      this.#layers.dataset.stage = stage.path;
      this.#layers.seen = this.#seen;
      this.#titles.stage.textContent = stage.title;
      this.#layers.parentElement.hidden = stage.layers.length < 2;
      this.#layers.build(stage, stage.layers, this.#network.input);
      this.#layers.fill(stage.layers, picture, run, this.#stop.signal).catch((error) => this.#stop.signal.aborted || isAbort(error) || tell(error));
    }
    this.#layers.mark(layer);
    this.#titles.layer.textContent = layer.path;
    this.#titles.layerFacts.textContent = `${layer.title ?? layer.kind}, ${sized(layer.shape)}`;
    this.#showSheet();
  }

  async #showSheet() {
    const layer = this.#layer;
    const shown = await this.#sheet.show({ ...this.#seen, layer, order: this.#order }).catch(tell);
    if (shown && this.#openFirst === layer && this.#layer === layer) {
      this.#openFirst = null;
      this.#unit.openChannel(layer, this.#sheet.firstChannel ?? 0);
    }
  }

  #sort(order) {
    this.#order = order;
    if (this.#layer) this.#showSheet();
  }

  /** Stepping in may lead to another layer: the strip and the lists follow, without taking the focus. */
  #follow(unit) {
    const layer = layerOf(this.#network, { layer: unit.layer });
    if (layer && layer !== this.#layer) this.#openLayer(layer, { quietly: true });
    this.#strip.mark(layer ? stageOf(this.#network, layer) : this.#network.stages[0]);
    this.#sheet.mark(layer ? unit.position.channel : null);
    this.querySelector(".portrait").hidden = !layer || !(convolves(layer) || isModule(layer));
    if (!layer) return;
    this.#titles.portrait.textContent = `Channel ${unit.position.channel} of ${layer.path}`;
    this.#portrait.show(this.#seen, layer, unit.position.channel, this.#filterOf(unit));
    if (!/^#inside(\/|$)/.test(location.hash)) return; // whoever goes on to another view is not called back
    const place = [layer.path, unit.position.channel, unit.position.row, unit.position.column].filter((at) => at !== undefined && at !== null);
    history.replaceState(null, "", `#inside/${place.map(encodeURIComponent).join("/")}`);
  }

  /** The layer whose filter made a unit's channel, where nothing stands between that moves channels. */
  #filterOf({ steps }) {
    if (steps[0]?.op !== "convolution" || steps.some((step) => step.op === "moved")) return null;
    const layer = layerOf(this.#network, { layer: steps[0].layer });
    return layer && convolves(layer) && isModule(layer) ? layer.path : null;
  }
}

/** The layer that a stage opens with: what its first convolution gives, after its normalisation and activation. */
function telling({ layers, layer }) {
  const first = layers.findIndex((one) => one.spatial && one.parameters);
  if (first < 0) return layer;
  const another = (one) => convolves(one) || !isModule(one) || String(one.shape) !== String(layers[first].shape);
  const next = layers.findIndex((one, place) => place > first && another(one));
  return layers[next < 0 ? layers.length - 1 : next - 1];
}

customElements.define("inside-view", InsideView);
