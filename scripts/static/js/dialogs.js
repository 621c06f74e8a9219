import { all, find, on } from "./dom.js";

const box = () => find("#dialog");

/** A link with hx-target="#dialog-body" fills the dialog; without scripts it is a page. */
function afterSwap(event) {
  const target = event.detail.target;
  if (target?.id !== "dialog-body") return;
  if (!target.childElementCount) return;
  const dialog = box();
  if (!dialog.open) dialog.showModal();
  (find("[autofocus]", dialog) || find(".dialog-body input, .dialog-body .btn", dialog))?.focus();
}

function typedName(event, input) {
  const button = find("[data-needs-name]", input.form);
  if (button) button.disabled = input.value.trim() !== input.dataset.confirmName;
}

/** A table scrolls sideways and would cut its menus off, so they leave its box. */
function place(menu) {
  const items = find(".menu-items", menu);
  if (!menu.open || !items) return;
  const box = menu.getBoundingClientRect();
  const fitsBelow = innerHeight - box.bottom > items.offsetHeight + 12;
  Object.assign(items.style, {
    position: "fixed",
    right: `${document.documentElement.clientWidth - box.right}px`,
    top: `${fitsBelow ? box.bottom + 4 : box.top - items.offsetHeight - 4}px`,
  });
}

function menus() {
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    find("summary", menu).focus();
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.menu") && event.target.closest(".table-wrap")) place(event.target);
  }, true);
  addEventListener("scroll", () => all(".table-wrap details.menu[open]").forEach(place), { passive: true, capture: true });
  on("click", "details.menu .menu-items a", (event, link) => { link.closest("details").open = false; });
}

export function dialogs() {
  document.addEventListener("htmx:afterSwap", afterSwap);
  on("click", "[data-close]", (event, button) => {
    const dialog = button.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
  on("click", "dialog", (event, dialog) => {
    if (event.target === dialog && !find("[data-keep-open]", dialog)) dialog.close();
  });
  on("input", "[data-confirm-name]", typedName);
  for (const button of all("[data-needs-name]")) button.disabled = true;
  document.addEventListener("htmx:load", (event) => {
    for (const button of all("[data-needs-name]", event.target)) {
      const input = find("[data-confirm-name]", button.form);
      button.disabled = input?.value.trim() !== input?.dataset.confirmName;
    }
  });
  // A secret shown once leaves only after it was copied or kept.
  document.addEventListener("cancel", (event) => {
    if (find("[data-keep-open]", event.target)) event.preventDefault();
  }, true);
  menus();
}
