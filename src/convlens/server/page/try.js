// The view Try: give a picture in any way, see what the network says of it and where it looks.

import { picturePath, showPicture } from "./api.js";
import "./camera-shot.js";
import { desk, follow } from "./desk.js";
import "./digit-pad.js";
import { button, element } from "./dom.js";
import { percent } from "./format.js";
import { isSmall } from "./heat-overlay.js";
import { inkOf } from "./ink.js";
import "./map-card.js";
import { empty, problem, tell } from "./notices.js";
import "./picture-source.js";
import { barsHeight } from "./probability-bars.js";
import { segments } from "./segments.js";

const WAYS = [["picture", "Picture", "picture"], ["draw", "Draw", "try"], ["camera", "Camera", "camera"]];
const KEPT = "/v1/thumbnails/"; // how the addresses of a run's own pictures begin

class TryView extends HTMLElement {
  #run = null;
  #measured = null; // settles once the pad knows how the run's pictures are drawn
  #ways = segments("How to give a picture", WAYS, (way) => this.#use(way));
  #stage = element("div", { class: "stage" });
  #image = element("img", { alt: "", hidden: true });
  #prompt = element("button", { type: "button", class: "prompt", onclick: () => this.#source.choose() },
    element("strong", {}, "Drop a picture here"), element("span", {}, "or click to choose one, or paste"));
  #pad = element("digit-pad");
  #camera = element("camera-shot");
  #source = element("picture-source");
  #caption = element("p", { class: "caption quiet" });
  #verdict = element("div", { class: "verdict" });
  #glance = element("strong", { class: "glance", "aria-hidden": "true" });
  #bars = element("probability-bars");
  #foot = element("p", { class: "foot quiet" });

  connectedCallback() {
    if (this.firstChild) return;
    this.#stage.append(this.#image, this.#prompt);
    this.append(
      element("header", {}, element("h1", {}, "What does it see?")),
      element("div", { class: "grid" }, this.#sourceCard(), this.#answerCard(), element("map-card", { class: "card" })));
    this.#pad.addEventListener("drawn", () => this.#sendDrawing());
    follow(this, { run: () => this.#prepare(), picture: () => this.#show(), waiting: () => this.#wait() });
    this.#show();
  }

  /** `way` of the address, as #try/draw. */
  enter(way) {
    if (desk.run !== this.#run) this.#prepare();
    this.querySelector("map-card").refresh();
    this.#show();
    if (WAYS.some(([name]) => name === way)) this.#use(way);
  }

  leave() {
    this.#camera.stop();
  }

  #sourceCard() {
    const header = element("header", {}, element("h2", { class: "unseen" }, "Your picture"), this.#ways);
    const ways = [this.#stage, this.#pad, this.#camera];
    return element("section", { class: "card giving" }, header, ways, this.#line(), this.#source);
  }

  /** What the picture is; on a phone also what it was taken for, since the answer lies further down. */
  #line() {
    return element("div", { class: "line" }, this.#glance, this.#caption);
  }

  #answerCard() {
    const header = element("header", {}, element("h2", {}, "What it says"));
    return element("section", { class: "card answer" }, header, this.#verdict, this.#bars, this.#foot);
  }

  #prepare() {
    this.#run = desk.run;
    this.#ways.querySelector("[data-value=draw]").hidden = !desk.run.digits;
    this.#use(desk.run.digits && (!desk.picture || desk.picture.drawn) ? "draw" : "picture");
    this.style.setProperty("--bars", barsHeight(desk.run.classes.length));
    this.classList.toggle("draws", desk.run.digits);
    if (desk.run.digits) this.#measured = this.#measure(desk.run);
  }

  async #measure(run) {
    const ink = await inkOf(run);
    if (run === this.#run) this.#pad.ink = ink;
  }

  #use(way) {
    this.#ways.set(way);
    this.#stage.hidden = way !== "picture";
    this.#pad.hidden = way !== "draw";
    this.#camera.hidden = way !== "camera";
    if (way === "camera") this.#camera.start();
    else this.#camera.stop();
  }

  async #sendDrawing() {
    if (this.#pad.empty) return void desk.clear();
    try {
      await desk.choose(this.#drawing(), { name: "your drawing", drawn: true });
    } catch (error) {
      tell(error);
    }
  }

  /** The drawing as a picture of the kind of the run in use; null where it was cleared meanwhile. */
  async #drawing() {
    for (let known = null; known !== this.#measured;) await (known = this.#measured);
    const picture = await this.#pad.picture();
    return this.#pad.empty ? null : picture;
  }

  #wait() {
    this.classList.toggle("waiting", desk.waiting);
  }

  #show() {
    const { picture, run } = desk;
    this.#prompt.hidden = Boolean(picture);
    this.#image.hidden = !picture;
    if (!picture) return this.#showNothing();
    this.#showAnswer(picture, run);
    if (picture.drawn) return;
    this.#use("picture");
    this.#image.alt = picture.label ? `A picture of the class ${picture.label}` : `Your picture, ${picture.name}`;
    this.#image.classList.toggle("tiny", isSmall(picture.prediction));
    showPicture(this.#image, picturePath(picture.id, "shown")).catch(tell);
  }

  #showNothing() {
    const first = desk.run?.digits ? "Draw a digit" : "Drop a picture";
    const why = desk.unanswered && problem(desk.unanswered, () => desk.again().catch(tell));
    this.#verdict.replaceChildren(why ?? empty("Nothing asked yet", `${first}, or click a sample.`));
    this.#bars.hidden = true;
    this.#caption.textContent = this.#glance.textContent = "";
    this.#foot.textContent = "";
  }

  #showAnswer({ prediction, label, milliseconds, drawn, name }, run) {
    const share = element("span", { class: "share number" }, percent(prediction.probability));
    this.#verdict.replaceChildren(element("strong", { class: "label" }, prediction.label), share, known(label, prediction));
    this.#glance.textContent = `${prediction.label} ${percent(prediction.probability)}`;
    this.#bars.hidden = false;
    this.#bars.show(prediction, run.classes, { truth: label });
    const size = `${prediction.width} × ${prediction.height} px`;
    const what = drawn ? "Made like the run's own pictures" : label ? `A picture of the run, ${label}` : name.startsWith(KEPT) ? "A picture of a run" : name;
    this.#caption.textContent = `${what}, ${size}`;
    const calibrated = run.temperature === 1 ? "" : `, calibrated with temperature ${run.temperature.toPrecision(3)}`;
    this.#foot.textContent = `Answered in ${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms${calibrated}.`;
  }
}

/** Whether it is right, where the class is known. */
function known(label, prediction) {
  if (!label) return "";
  const right = label === prediction.label;
  return element("span", { class: right ? "badge passed" : "badge failed" }, right ? "right" : `it is ${label}`);
}

customElements.define("try-view", TryView);
