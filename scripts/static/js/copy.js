import { find, on, say } from "./dom.js";

function textOf(button) {
  if (button.dataset.copy) return button.dataset.copy;
  const source = find(button.dataset.copyFrom) || button.parentElement.querySelector("code, pre");
  return source ? source.textContent.trim() : "";
}

/** Plain http on another host has no clipboard API: the old command, then a selection. */
function copyOldWay(text, button) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  (button.closest("dialog") || document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) {
    const source = find(button.dataset.copyFrom || "code, pre", button.parentElement);
    if (source) getSelection().selectAllChildren(source);
  }
  return done;
}

async function copy(button) {
  const text = textOf(button);
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    done = copyOldWay(text, button);
  }
  say(done ? "Copied" : "Press Ctrl C to copy the selected text");
  if (!done) return;
  button.classList.add("done");
  button.dispatchEvent(new CustomEvent("pool:copied", { bubbles: true }));
  setTimeout(() => button.classList.remove("done"), 1500);
}

export function copyButtons() {
  on("click", "[data-copy], [data-copy-from]", (event, button) => {
    event.preventDefault();
    copy(button);
  });
}
