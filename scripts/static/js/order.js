import { find, on } from "./dom.js";

let held = null;

const isTarget = (row) => held && row !== held && row.parentElement === held.parentElement;

function drop(event, row) {
  if (!isTarget(row)) return;
  event.preventDefault();
  const form = find(held.parentElement.dataset.order);
  form.elements.place.value = held.dataset.place;
  form.elements.to.value = row.dataset.place;
  form.requestSubmit();
}

/** Rows of a table are dragged into another order; buttons in the row do the same. */
export function order() {
  on("dragstart", "tbody[data-order] [draggable]", (event, handle) => {
    held = handle.closest("tr");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", held.dataset.place);
    event.dataTransfer.setDragImage(held, 0, 0);
  });
  on("dragover", "tbody[data-order] tr", (event, row) => {
    if (isTarget(row)) event.preventDefault();
  });
  on("drop", "tbody[data-order] tr", drop);
  document.addEventListener("dragend", () => {
    held = null;
  });
}
