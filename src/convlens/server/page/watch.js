// The view Watch: a training as it goes. Curves, throughput, time left, first filters forming; stop and save.

import { ask, read } from "./api.js";
import { confirmed } from "./confirm.js";
import { desk, follow as followDesk } from "./desk.js";
import { button, element } from "./dom.js";
import { follow } from "./event-stream.js";
import { brief, capital, count, duration, percent } from "./format.js";
import "./line-chart.js";
import { empty, loading, problem, tell } from "./notices.js";

const FAILED = ["stopped", "failed"]; // a training that leaves no run behind to show
const ENLARGED = 3; // times: the filters of a first layer have few pixels
const LOSS = { y: { least: 0 } };
const ACCURACY = { y: { said: (share) => percent(share, 0), most: 1 } };

class WatchView extends HTMLElement {
  #state = null;
  #line = null; // aborts the stream
  #body = element("div", { class: "training" });
  #headline = element("p", { class: "headline", role: "status" });
  #bar = element("progress", { max: 1, value: 0, "aria-label": "How far the training is" });
  #facts = element("dl", { class: "tiles" });
  #loss = element("line-chart");
  #accuracy = element("line-chart");
  #filters = element("img", { alt: "The filters of the first layer", onload: ({ target }) => enlarge(target) });
  #stop = button("Stop and save…", () => this.#askStop(), { class: "danger" });

  connectedCallback() {
    if (!this.firstChild) this.append(element("header", {}, element("h1", {}, "How it learns")), this.#body);
    followDesk(this, { run: () => this.enter() });
  }

  async enter() {
    this.leave();
    if (desk.run && !desk.run.watching) return this.#body.replaceChildren(nothing());
    const { signal } = (this.#line = new AbortController());
    if (!this.#state) this.#body.replaceChildren(loading("Reading the history"));
    try {
      this.#take("state", await read("/v1/training", {}, { signal }));
      if (!this.#state.ended) this.#listen(signal); // one that was interrupted may go on
    } catch (error) {
      if (!signal.aborted) this.#body.replaceChildren(problem(error, () => this.enter()));
    }
  }

  leave() {
    this.#line?.abort();
  }

  #listen(signal) {
    const broken = (error) => this.#broken(error);
    follow("/v1/training/events", (name, data) => this.#take(name, data), { signal, broken });
  }

  /** "state" is everything, "step" and "done" are how far, "epoch" is a row of the history, "filters" a picture. */
  #take(name, data) {
    if (name === "state") this.#state = { ...data };
    else if (name === "epoch") this.#state.history = [...this.#state.history, data];
    else this.#state = { ...this.#state, ...data };
    if (name === "step" && Number.isFinite(data.loss)) this.#state.points = [...this.#state.points, data];
    if (name === "done") this.#end();
    this.#show();
  }

  /** The run is there now: the other views have something to show. */
  #end() {
    Object.assign(this.#state, { running: false, ended: true });
    this.leave();
    if (!desk.run && !FAILED.includes(this.#state.phase)) desk.open().catch(tell);
  }

  #broken(error) {
    this.classList.toggle("broken", Boolean(error));
    if (error) this.#headline.textContent = "The line to the server broke; trying again …";
  }

  #show() {
    if (!this.#facts.isConnected) this.#build();
    const { running, step, total_steps: steps, history } = this.#state;
    this.#headline.textContent = headline(this.#state);
    this.#bar.hidden = !running;
    this.#stop.hidden = !running || !this.#state.can_stop;
    this.#stop.disabled = this.#state.stopping;
    if (steps) this.#bar.value = step / steps;
    this.#facts.replaceChildren(...facts(this.#state));
    this.#loss.data = chart("Loss", history, this.#state.points, "loss", LOSS);
    this.#accuracy.data = chart("Accuracy", history, this.#state.points, "accuracy", ACCURACY);
    if (this.#state.filters) this.#filters.src = this.#state.filters;
    this.querySelector(".filters").hidden = !this.#state.filters;
  }

  #build() {
    const line = element("div", { class: "line" }, this.#headline, this.#stop);
    const lead = element("p", { class: "lead" }, "What the first layer looks for, as it forms.");
    const heading = element("header", {}, element("h2", {}, "First filters"), lead);
    this.#body.replaceChildren(
      element("section", { class: "card now" }, line, this.#bar, this.#facts),
      element("section", { class: "card" }, this.#loss), element("section", { class: "card" }, this.#accuracy),
      element("section", { class: "card filters" }, heading, this.#filters));
  }

  async #askStop() {
    const text = "The training ends after this step and is saved; `convlens train --resume` goes on from there.";
    if (!(await confirmed("Stop this training?", text, "Stop and save"))) return;
    this.#stop.disabled = true;
    try {
      const answer = await ask("/v1/training/stop", {});
      if (!this.#state.ended) this.#take("step", answer);
    } catch (error) {
      this.#stop.disabled = false;
      tell(error);
    }
  }
}

function enlarge(image) {
  image.width = ENLARGED * image.naturalWidth;
}

function headline({ running, phase, words, step, total_steps: steps, seconds_left: left, stopping }) {
  if (stopping) return "Stopping and saving …";
  if (!running || phase !== "train") return capital(words?.startsWith(phase) ? words : [phase, words].filter(Boolean).join(": "));
  const share = steps ? percent(step / steps, 0) : "";
  return left === null || left === undefined ? `Training: ${share}` : `Training: ${share}, ${duration(left)} left`;
}

function facts({ step, total_steps: steps, epoch, images_per_second: speed, seconds, history }) {
  const last = history.at(-1) ?? {};
  return [
    ["Step", steps ? `${count(step ?? 0)} / ${count(steps)}` : count(step ?? last.step ?? 0)],
    ["Epoch", brief(epoch ?? last.epoch ?? 0)],
    ["Pictures per second", count(speed ?? last.images_per_second ?? 0)],
    ["Spent", duration(seconds ?? last.seconds ?? 0)],
    ["Accuracy, validation", last.val_accuracy === undefined ? "–" : percent(last.val_accuracy)],
  ].map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
}

function chart(title, history, points, name, looks) {
  const placed = (rows, key) =>
    rows.filter((row) => Number.isFinite(row[key])).map((row) => ({ x: row.epoch, y: row[key] }));
  const series = [
    { name: "training", tone: "train", points: placed(points?.length ? points : history, name) },
    { name: "validation", tone: "validation", points: placed(history, `val_${name}`) },
  ];
  return { title, x: { name: "epoch", least: 0 }, ...looks, series };
}

function nothing() {
  return empty("No training to watch", "`convlens train DATA --serve` opens this page on one as it goes.");
}

customElements.define("watch-view", WatchView);
