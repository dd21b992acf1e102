// What went wrong, said where the user is: a notice that goes by itself, or a state in the place of what is missing.

import { ServerError, isAbort, useToken } from "./api.js";
import { button, element } from "./dom.js";

const SECONDS = 12;
const MOST = 3; // at once

/** A notice at the edge of the page. What was only overtaken by something newer is no error. */
export function tell(error) {
  if (isAbort(error)) return;
  if (error.status === 401) return void askToken(error);
  const place = document.querySelector(".notices");
  if ([...place.children].some((other) => other.dataset.what === error.message)) return;
  const close = button("", () => notice.remove(), { symbol: "close", class: "bare", "aria-label": "Close this notice" });
  const notice = element("div", { class: "notice", "data-what": error.message }, words(error), close);
  place.append(notice);
  if (place.children.length > MOST) place.firstElementChild.remove();
  setTimeout(() => notice.remove(), SECONDS * 1000);
}

/** Stands where something could not be shown; `again` tries once more. */
export function problem(error, again) {
  const state = element("div", { class: "state", role: "alert" }, words(error));
  if (again) state.append(button("Try again", again));
  return state;
}

/** Stands where nothing is yet; `more` may lead on. */
export function empty(title, text, ...more) {
  const words = [element("strong", {}, withCode(title)), element("p", {}, withCode(text))];
  return element("div", { class: "state" }, words, more);
}

/** A place that keeps its size while its content is on the way. */
export function loading(what) {
  return element("div", { class: "state quiet", role: "status" }, element("span", { class: "spinner" }), `${what} …`);
}

/** `convlens evaluate RUN` between backticks becomes code. */
export function withCode(text) {
  return text.split("`").map((part, number) => (number % 2 ? element("code", {}, part) : part));
}

function words(error) {
  if (error instanceof Error && !(error instanceof ServerError)) console.error(error); // a fault of the page itself
  const remedy = error.remedy && element("p", {}, withCode(error.remedy));
  return element("div", {}, element("strong", {}, withCode(error.message)), remedy);
}

function askToken(error) {
  if (document.querySelector("dialog.token")) return;
  const field = element("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const form = element("form", { method: "dialog" },
    element("h2", {}, "This server asks for its token"),
    element("p", {}, withCode(error.remedy)),
    element("label", { for: "token" }, "Token"), field,
    element("button", { class: "first" }, "Use it"));
  const dialog = element("dialog", { class: "token" }, form);
  form.addEventListener("submit", () => { useToken(field.value); location.reload(); });
  document.body.append(dialog);
  dialog.showModal();
}
