// A question before what cannot be taken back.

import { button, element } from "./dom.js";
import { withCode } from "./notices.js";

/** -> true where the user says `yes`; Escape and "Keep going" are no. */
export function confirmed(title, text, yes, no = "Keep going") {
  return new Promise((resolve) => {
    const close = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    };
    const dialog = element("dialog", { "aria-labelledby": "confirm-title", onclose: close },
      element("h2", { id: "confirm-title" }, title), element("p", {}, withCode(text)),
      element("div", { class: "actions" },
        button(no, () => dialog.close("no"), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { class: "first" })));
    document.body.append(dialog);
    dialog.showModal();
  });
}
