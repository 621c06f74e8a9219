import { on, root } from "./dom.js";

const TICK_MS = 10000;
let paused = false;
let failures = 0;

/** One timer a tab; regions listen with hx-trigger="pool:tick from:body". */
function tick() {
  if (!document.hidden && !paused) document.body.dispatchEvent(new CustomEvent("pool:tick"));
}

export function live() {
  setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", tick);
  on("click", "[data-pause]", (event, button) => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
  });
  document.addEventListener("htmx:afterOnLoad", () => {
    failures = 0;
    delete root.dataset.live;
  });
  // Polls that fail in the background have their strip; they need no toast as well.
  document.addEventListener("htmx:sendError", (event) => {
    failures += 1;
    if (failures > 1) root.dataset.live = "paused";
    if (event.detail.requestConfig?.triggeringEvent?.type === "pool:tick") event.stopImmediatePropagation();
  }, true);
}
