import { all, find, isTyping, on, root } from "./dom.js";

let waitingForGo = 0;

function filterPalette(dialog) {
  const wanted = find("input", dialog).value.trim().toLowerCase();
  const items = all("li[role=option]", dialog);
  for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  select(items.filter((item) => !item.hidden), 0);
  for (const head of all("li.group", dialog)) {
    let next = head.nextElementSibling;
    let any = false;
    for (; next && !next.classList.contains("group"); next = next.nextElementSibling) any ||= !next.hidden;
    head.hidden = !any;
  }
}

function select(items, index) {
  const list = items[0]?.parentElement;
  if (!list) return;
  for (const item of all("[aria-selected=true]", list)) item.setAttribute("aria-selected", "false");
  const chosen = items[(index + items.length) % items.length];
  chosen.setAttribute("aria-selected", "true");
  chosen.scrollIntoView({ block: "nearest" });
  list.previousElementSibling.querySelector("input").setAttribute("aria-activedescendant", chosen.id);
}

function openPalette() {
  const dialog = find("#palette");
  if (!dialog || dialog.open) return;
  find("input", dialog).value = "";
  dialog.showModal();
  filterPalette(dialog);
}

/** An option holds no link of its own: nested controls confuse screen readers. */
function follow(item) {
  if (item) location.assign(item.dataset.href);
}

function paletteKeys(event, dialog) {
  const items = all("li[role=option]:not([hidden])", dialog);
  const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown") select(items, at + 1);
  else if (event.key === "ArrowUp") select(items, at - 1);
  else if (event.key === "Enter") follow(items[at]);
  else return;
  event.preventDefault();
}

function moveRow(step) {
  const links = all("main .table-data tbody tr :is(th, td:first-child, .cell-main) a[href]");
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
}

function single(key) {
  if (Date.now() - waitingForGo < 1500) {
    waitingForGo = 0;
    find(`[data-go="${CSS.escape(key)}"]`)?.click();
  } else if (key === "g") waitingForGo = Date.now();
  else if (key === "/") (find("[data-filter]") || null)?.focus();
  else if (key === "?") find("#shortcuts")?.showModal();
  else if (key === "n") find("[data-new]")?.click();
  else if (key === "j") moveRow(1);
  else if (key === "k") moveRow(-1);
  else if (key === ".") find("[data-pause]")?.click();
  else return false;
  return true;
}

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (root.dataset.shortcuts === "off" || find("dialog[open]")) return;
  if (single(event.key)) event.preventDefault();
}

export function keyboard() {
  document.addEventListener("keydown", onKey);
  on("keydown", "#palette", paletteKeys);
  on("click", "#palette li[data-href]", (event, item) => follow(item));
  on("input", "#palette input", (event, input) => filterPalette(input.closest("dialog")));
  on("click", "[data-open]", (event, button) => {
    event.preventDefault();
    if (button.dataset.open === "palette") openPalette();
    else find(`#${button.dataset.open}`)?.showModal();
  });
}
