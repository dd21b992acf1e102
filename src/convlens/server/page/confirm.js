// A question before what cannot be taken back.

import { button, element } from "./dom.js";

/** -> true where the user says `yes`; Escape and "Keep going" are no. */
export function confirmed(title, text, yes, no = "Keep going") {
  return new Promise((resolve) => {
    const dialog = element("dialog", { "aria-labelledby": "confirm-title", onclose: () => { dialog.remove(); resolve(dialog.returnValue === "yes"); } },
      element("h2", { id: "confirm-title" }, title), element("p", {}, text),
      element("div", { class: "actions" },
        button(no, () => dialog.close("no"), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { class: "first" })));
    document.body.append(dialog);
    dialog.showModal();
  });
}
