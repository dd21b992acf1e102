// The view Judge: what an evaluation of the run found, and the current picture under changes.

import { read } from "./api.js";
import { cellWords } from "./confusion-matrix.js";
import { classTable } from "./class-table.js";
import { desk, follow } from "./desk.js";
import { button, element } from "./dom.js";
import { capital, count, percent, plural } from "./format.js";
import { judgedPictures } from "./judged-pictures.js";
import "./line-chart.js";
import { onlyLast } from "./newest.js";
import { empty, loading, problem } from "./notices.js";
import { reliability } from "./reliability.js";
import "./run-evaluation.js";
import "./shaken-picture.js";

const FIRST_SHOWN = 24; // of the mistakes

class JudgeView extends HTMLElement {
  #run = null;
  #onlyLast = onlyLast();
  #found = element("div", { class: "found", tabindex: -1, role: "group", "aria-label": "The evaluation" });
  #shaken = card("Shake the picture", "Turn, move, blur or cover the current picture: the answer follows.",
    element("shaken-picture"));

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("header", {}, element("h1", {}, "How far can it be trusted?")), this.#found, this.#shaken);
    follow(this, { run: () => this.enter() });
  }

  async enter() {
    if (this.#run === desk.run) return;
    this.#run = desk.run;
    await this.#open(null);
  }

  async #open(name) {
    const held = this.#found.contains(document.activeElement);
    this.#found.replaceChildren(loading("Reading the evaluation"));
    this.#shaken.hidden = true; // until its place is known, so that nothing jumps
    try {
      const found = await this.#onlyLast(read("/v1/evaluation", { run: desk.run.name, name }));
      if (!found) return;
      if (found.names.length) this.#show(found);
      else this.#found.replaceChildren(notYet(found));
    } catch (error) {
      this.#found.replaceChildren(problem(error, () => this.#open(name)));
    }
    this.#shaken.hidden = false;
    if (held) (this.#found.querySelector("select") ?? this.#found).focus({ preventScroll: true });
  }

  #show(found) {
    this.#found.replaceChildren(...[
      this.#tiles(found), this.#confusions(found), errors(found), calibration(found), classes(found), robustness(found),
    ].filter(Boolean));
  }

  #tiles(found) {
    const { ece = null, untempered = null } = found.calibration ?? {};
    const before = untempered === null ? "" : `${percent(untempered)} untempered`;
    const held = found.part === "test" ? "held out from training" : `the part ${found.part || "given"}`;
    const tiles = element("dl", { class: "tiles" },
      tile("Accuracy", percent(found.accuracy), `95 %: ${percent(found.interval[0])} to ${percent(found.interval[1])}`),
      tile("Pictures", count(found.num_pictures), held),
      ece !== null && tile("Calibration error", percent(ece), before),
      tile("Mistakes", count(found.num_errors), `among ${count(found.classes.length)} classes`));
    if (found.names.length < 2) return tiles;
    const list = element("select", { "aria-label": "Evaluation", onchange: () => this.#open(list.value) },
      found.names.map((name) => element("option", { value: name, selected: name === found.name }, name)));
    return element("div", { class: "with-choice" }, list, tiles);
  }

  #confusions(found) {
    const matrix = element("confusion-matrix");
    const closed = empty("Open a cell", "Its pictures are shown here.");
    const pictures = element("div", { class: "opened", role: "status" }, closed);
    matrix.addEventListener("cell", ({ detail }) => openCell(pictures, found, detail));
    matrix.show(found);
    const both = element("div", { class: "matrix-and-pictures" }, matrix, pictures);
    return card("What is taken for what", "Blue is right, orange wrong; strength is the share of a row.", both);
  }
}

function openCell(place, { cells, classes }, { truth, said, number }) {
  const kept = cells[`${truth},${said}`] ?? [];
  const few = kept.length < number ? ` ${count(kept.length)} of them were kept.` : "";
  place.replaceChildren(
    element("h3", {}, `${cellWords(classes, truth, said)}: ${plural(number, "picture")}.${few}`), judgedPictures(kept));
}

function errors({ errors: found }) {
  if (!found.length) return card("Surest mistakes", "It made none on these pictures.");
  const pictures = element("div", { class: "mistakes" }, judgedPictures(found.slice(0, FIRST_SHOWN)));
  const all = () => pictures.replaceChildren(judgedPictures(found));
  if (found.length > FIRST_SHOWN) pictures.append(button(`Show all ${count(found.length)}`, all));
  return card("Surest mistakes", "What it was most sure of and wrong about. Open one to ask why: Try gets the thumbnail, so a large picture may be answered otherwise.", pictures);
}

function calibration({ calibration: found }) {
  if (!found) return null;
  const lead = "Where bars meet the dashed line, 90 % sure means right in 9 of 10.";
  return card("Does it know what it knows?", lead, reliability(found.bins));
}

function classes({ per_class: rows }) {
  return rows?.length ? card("Class by class", "", classTable(rows)) : null;
}

/** Of the run's own test part it can be asked for; of other pictures the command does it. */
function robustness(evaluation) {
  const { robustness: found, can_evaluate: can, name, names } = evaluation;
  if (!found?.length && !(can && name === names[0])) return null;
  if (!found?.length) {
    const text = "Up to 1,000 of its test pictures are turned, scaled, moved, blurred, noisy, compressed and covered.";
    const asks = { title: "Not measured yet", text, words: "Measure it", robustness: true };
    return card("As pictures get worse", "", evaluationOf(evaluation, asks));
  }
  const charts = element("div", { class: "charts" }, found.map(robustnessChart));
  return card("As pictures get worse", "Accuracy on changed pictures, with its 95 % interval.", charts);
}

function robustnessChart({ corruption, unit, points }) {
  const chart = element("line-chart");
  const placed = points.map(({ level, accuracy, low, high }) => ({ x: level, y: accuracy, low, high }));
  const y = { said: (share) => percent(share, 0), least: 0, most: 1 };
  const title = corruption === "jpeg" ? "JPEG" : corruption;
  chart.data = { title, x: { name: unit }, y, series: [{ name: unit, tone: "validation", points: placed }] };
  return chart;
}

function notYet(evaluation) {
  const [title, remedy] = evaluation.remedy.split("; ");
  const text = `${capital(remedy)}${evaluation.can_evaluate ? "; or have it done here." : "."}`;
  return evaluationOf(evaluation, { title, text, words: "Evaluate it now" });
}

function evaluationOf(evaluation, asks) {
  const made = element("run-evaluation");
  made.show(desk.run, evaluation, asks);
  return made;
}

function card(title, lead, ...content) {
  const header = element("header", {}, element("h2", {}, title), lead && element("p", { class: "lead" }, lead));
  return element("section", { class: "card" }, header, content);
}

function tile(name, value, below) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, value), element("dd", { class: "below" }, below));
}

customElements.define("judge-view", JudgeView);
