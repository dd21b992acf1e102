// What all views share: the run in use and the current picture, with what the network says of it.

import { read, send } from "./api.js";
import { Newest, onlyLast } from "./newest.js";
import { IN_ORDER, MOST_SHOWN } from "./probability-bars.js";

/** Tells "run" when another run is in use, "picture" when there is another picture, "waiting" while one is sent. */
class Desk extends EventTarget {
  run = null; // the answer of /v1/run
  picture = null; // { id, name, blob, label, drawn, run, prediction, milliseconds }; a label only of the run's classes
  unanswered = null; // the error for which the run in use says nothing of the picture that another one answered
  waiting = false;
  #given = null; // what was given last: { blob, name, label, drawn }
  #answered = null; // the same of the current picture
  #wanted = null; // the name of the run chosen last, which may be on its way
  #turns = 0; // of choosing and clearing pictures
  #turn = 0; // the last of them that led to something
  #underWay = 0; // pictures
  #cleared = 0; // times
  #onlyLast = onlyLast();
  #newest = new Newest();

  /** The server's first run; none is there yet while one is being trained. */
  async open() {
    const { runs } = await read("/v1/health");
    if (runs.length) await this.useRun(runs[0]);
  }

  /** The run of this name. The current picture, or the one that is on its way, is asked of it. */
  async useRun(name) {
    this.#wanted = name;
    const run = await this.#onlyLast(read("/v1/run", { run: name })).catch((error) => {
      this.#wanted = this.run?.name;
      throw error;
    });
    if (!run) return;
    this.run = run;
    this.#tell("run");
    await this.again();
  }

  /** What is new of this run, unless another was chosen meanwhile. */
  async renew(name) {
    if (this.#wanted === name) await this.useRun(name);
  }

  /** The current picture, or the one that is on its way, asked of the run in use. */
  async again() {
    if (this.#given) await this.#ask({ ...this.#given });
  }

  /**
   * Sends a picture, or the promise of one: one that comes after another that was chosen later is dropped, as is null.
   * `label` is its true class where that is known. -> whether it is the current picture now
   */
  async choose(coming, { name = "picture", label = null, drawn = false } = {}) {
    this.#turns += 1;
    const turn = this.#turns;
    const blob = await Promise.resolve(coming).catch((error) => {
      if (turn > this.#turn) throw error;
    });
    if (!blob || turn < this.#turn) return false;
    this.#turn = turn;
    return this.#ask({ blob, name, label, drawn });
  }

  /** What is on its way is not wanted any more either. */
  clear() {
    this.#cleared += 1;
    this.#turns += 1;
    this.#turn = this.#turns;
    this.picture = this.unanswered = this.#given = this.#answered = null;
    this.#tell("picture");
  }

  /** While one is on its way only the latest waits. */
  async #ask(given) {
    const cleared = this.#cleared;
    this.#given = given;
    this.#wait(1);
    try {
      const answer = await this.#newest.ask(() => send(given.blob, { run: this.run.name, top: this.#shown() }));
      return Boolean(answer) && cleared === this.#cleared && this.#take(answer, given);
    } catch (error) {
      if (this.#given === given) this.#fallBack(error);
      throw error;
    } finally {
      this.#wait(-1);
    }
  }

  /** To what was answered before, unless another run said it. */
  #fallBack(error) {
    this.#given = this.#answered;
    if (!this.picture || this.picture.run === this.run.name) return;
    [this.picture, this.unanswered] = [null, error];
    this.#tell("picture");
  }

  #shown() {
    return this.run.classes.length <= IN_ORDER ? this.run.classes.length : MOST_SHOWN;
  }

  /** Not what a run says that is no longer in use: the one that is has been asked too. */
  #take(answer, given) {
    if (answer.run !== this.run.name) return false;
    const prediction = answer.predictions[0];
    const label = this.run.classes.includes(given.label) ? given.label : null;
    const { run, milliseconds } = answer;
    this.#answered = given;
    this.unanswered = null;
    this.picture = { ...given, label, id: prediction.picture, run, prediction, milliseconds };
    this.#tell("picture");
    return true;
  }

  #wait(more) {
    this.#underWay += more;
    this.waiting = this.#underWay > 0;
    this.#tell("waiting");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const desk = new Desk();

/** Listens to the desk for as long as `view` is in the page. */
export function follow(view, handlers) {
  for (const [what, act] of Object.entries(handlers)) desk.addEventListener(what, () => view.isConnected && act());
}
