import { all, find, on } from "./dom.js";

const SHOWN_MS = 5000;

/** A toast that says good news leaves by itself, one that says bad news stays. */
function watch(toast) {
  if (toast.dataset.watched || "stay" in toast.dataset) return;
  toast.dataset.watched = "1";
  setTimeout(() => toast.remove(), SHOWN_MS);
}

/** Show an error that has no place of its own on the page. */
export function complain(text) {
  const template = find("#toast-error");
  if (!template) return;
  const toast = template.content.firstElementChild.cloneNode(true);
  find("span", toast).textContent = text;
  find("#toasts").append(toast);
}

function problem(event) {
  const xhr = event.detail.xhr;
  const body = new DOMParser().parseFromString(xhr?.responseText || "", "text/html");
  const said = find("[data-problem]", body);
  complain(said ? said.textContent.trim() : `That did not work (status ${xhr?.status || "unknown"}).`);
}

export function toasts() {
  on("click", "[data-dismiss]", (event, button) => button.closest(button.dataset.dismiss).remove());
  all(".toast").forEach(watch);
  document.addEventListener("htmx:oobAfterSwap", () => all(".toast").forEach(watch));
  document.addEventListener("htmx:responseError", problem);
  document.addEventListener("htmx:sendError", () => complain("The server did not answer. Check that it is running, then try again."));
}
