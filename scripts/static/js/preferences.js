import { all, on, root } from "./dom.js";

function apply(name, value) {
  if (name === "theme") {
    if (value === "system") delete root.dataset.theme;
    else root.dataset.theme = value;
  } else root.dataset[name] = value;
  for (const button of all(`button[name="${name}"][aria-pressed]`)) {
    button.setAttribute("aria-pressed", String(button.value === value));
  }
}

/** Theme, density and sidebar: at once here, and kept by the server through the form. */
export function preferences() {
  on("submit", "form[data-preferences]", (event, form) => {
    const { name, value } = event.submitter || {};
    if (!name) return;
    event.preventDefault();
    const body = new FormData(form);
    body.set(name, value);
    apply(name, value);
    if (name === "sidebar") event.submitter.value = value === "collapsed" ? "open" : "collapsed";
    fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" } });
  });
}
