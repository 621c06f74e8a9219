import { find, on } from "./dom.js";

function cleanSecret(input) {
  const many = input.tagName === "TEXTAREA";
  const clean = (text) => text.trim().replace(/^bearer\s+/i, "").replace(/\s+/g, "");
  const value = many ? input.value.split("\n").map(clean).filter(Boolean).join("\n") : clean(input.value);
  if (value === input.value) return;
  input.value = value;
  const note = input.closest(".field")?.querySelector("[data-stripped]");
  if (note) note.hidden = false;
}

function secrets() {
  on("change", "[data-secret]", (event, input) => cleanSecret(input));
  on("click", "[data-reveal]", (event, button) => {
    const input = button.parentElement.querySelector("input");
    const show = input.type === "password";
    input.type = show ? "text" : "password";
    button.setAttribute("aria-pressed", String(show));
    button.setAttribute("aria-label", show ? "Hide" : "Show");
  });
}

/** Typing shows the save bar; leaving with unsaved words asks. */
function dirtiness() {
  on("input", "form[data-dirty]", (event, form) => {
    form.dataset.dirty = "yes";
    const bar = find(".save-bar", form);
    if (bar) bar.hidden = false;
  });
  on("submit", "form[data-dirty]", (event, form) => { form.dataset.dirty = ""; });
  addEventListener("beforeunload", (event) => {
    if (find('form[data-dirty="yes"]')) event.preventDefault();
  });
}

export function forms() {
  secrets();
  dirtiness();
  on("change", "[data-autosubmit]", (event, control) => control.form.requestSubmit());
  on("change", "[data-check-all]", (event, box) => {
    for (const other of box.closest("table").querySelectorAll("tbody input[type=checkbox]")) other.checked = box.checked;
    box.closest("table").dispatchEvent(new Event("change", { bubbles: true }));
  });
  on("change", "table[data-bulk]", (event, table) => {
    const count = table.querySelectorAll("tbody input[type=checkbox]:checked").length;
    const bar = find(table.dataset.bulk);
    bar.hidden = !count;
    find("[data-bulk-count]", bar).textContent = `${count} selected`;
  });
}
