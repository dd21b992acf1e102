// <unit-trail>: the way from a unit down to its inputs, as breadcrumbs.

import { button, element } from "./dom.js";

class UnitTrail extends HTMLElement {
  /** Units in the order they were stepped into, each { name, place }. Tells "go-back" with { to }, a number of the list. */
  show(units) {
    const back = button("Back", () => this.#tell(units.length - 2), { symbol: "undo", class: "bare", disabled: units.length < 2, "data-tip": "Backspace" });
    const crumbs = units.map((unit, place) => {
      const words = [element("span", { class: "crumb-name" }, unit.name), element("span", { class: "quiet" }, unit.place)];
      if (place === units.length - 1) return element("li", { "aria-current": "step" }, words);
      return element("li", {}, element("button", { type: "button", class: "bare", onclick: () => this.#tell(place) }, words));
    });
    this.replaceChildren(element("nav", { "aria-label": "The way to this unit" }, back, element("ol", {}, crumbs)));
    const list = this.querySelector("ol");
    list.scrollLeft = list.scrollWidth;
  }

  #tell(to) {
    this.dispatchEvent(new CustomEvent("go-back", { bubbles: true, detail: { to } }));
  }
}

customElements.define("unit-trail", UnitTrail);
