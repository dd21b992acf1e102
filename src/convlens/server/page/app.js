// The shell: opens the run, shows the view that the address names, takes pictures dropped or pasted anywhere.

import { ServerError, takeToken } from "./api.js";
import { desk } from "./desk.js";
import { element } from "./dom.js";
import { empty, problem, tell } from "./notices.js";
import { takeArrivals } from "./arrivals.js";
import "./run-bar.js";
import "./hover-tip.js";

const VIEWS = ["try", "inside", "judge", "watch", "compare"];
const WAIT = 2000; // ms between two questions whether a run is there
const main = document.querySelector("main");
const shown = new Map(); // name -> the view's element, made at its first visit

/** #inside/stages.0/3 -> ["inside", "stages.0", "3"]. */
function address() {
  const [name, ...parts] = location.hash.slice(1).split("/").map(decoded);
  return VIEWS.includes(name) ? [name, ...parts] : ["try"];
}

/** An address that somebody mistyped is no error. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A view is a custom element `NAME-view` of NAME.js; `enter(...parts)` and `leave()` tell it when it is seen. */
async function view(name) {
  if (!shown.has(name)) {
    await import(`./${name}.js`).catch((error) => { throw error instanceof TypeError ? gone() : error; });
    shown.set(name, element(`${name}-view`, { class: "view", "data-view": name }));
  }
  return shown.get(name);
}

const gone = () => new ServerError(0, "The server does not answer.", "Start `convlens serve` again, then try again.");

async function show(byUser) {
  const [name, ...parts] = address();
  markLink(name);
  if (!desk.run && name !== "watch") return void main.replaceChildren(notYet());
  try {
    const next = await view(name);
    if (address()[0] !== name) return;
    if (main.firstElementChild !== next) change(next, byUser);
    next.enter?.(...parts);
  } catch (error) {
    if (address()[0] === name) main.replaceChildren(problem(error, () => location.reload()));
  }
}

/** Until a training has ended there is nothing to show; it is asked for as long as somebody waits here. */
function notYet() {
  const watch = element("a", { href: "#watch", class: "button first" }, "Watch it learn");
  const made = empty("There is no run yet", "It is being trained: this view shows it once the training has ended.", watch);
  const again = async () => {
    if (!made.isConnected || desk.run) return;
    try {
      await desk.open();
      setTimeout(again, WAIT);
    } catch (error) {
      if (made.isConnected) main.replaceChildren(problem(error, () => location.reload()));
    }
  };
  setTimeout(again, WAIT);
  return made;
}

function change(next, byUser) {
  main.firstElementChild?.leave?.();
  main.replaceChildren(next);
  document.title = `${title(next.dataset.view)} · convlens`;
  window.scrollTo(0, 0);
  if (byUser) main.focus({ preventScroll: true });
}

const title = (name) => document.querySelector(`nav.views a[href="#${name}"]`).textContent.trim();

function markLink(name) {
  for (const link of document.querySelectorAll("nav.views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function start() {
  takeToken();
  takeArrivals();
  document.querySelector(".skip").addEventListener("click", () => main.focus());
  try {
    await desk.open();
    window.addEventListener("hashchange", () => show(true)); // before, nobody knows whether there is a run
    if (!desk.run && !location.hash) location.replace("#watch");
    await show(false);
  } catch (error) {
    if (error.status === 401) tell(error);
    main.replaceChildren(problem(error, () => location.reload()));
  }
  desk.addEventListener("run", () => main.querySelector(".view") ?? show(false));
  main.removeAttribute("aria-busy");
}

start();
