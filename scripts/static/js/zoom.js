import { find } from "./dom.js";

// As the server draws: columns begin behind the amounts on the left, all equally wide.
const LEFT = 0.07;
const LEAST_PX = 6;
const SVG = "http://www.w3.org/2000/svg";
let drag = null;

function column(x) {
  const box = drag.chart.getBoundingClientRect();
  const share = ((x - box.left) / box.width - LEFT) / (1 - LEFT);
  const count = drag.edges.length - 1;
  return Math.min(count - 1, Math.max(0, Math.floor(share * count)));
}

function marked(x) {
  const [from, to] = [drag.from, column(x)];
  return from <= to ? [from, to + 1] : [to, from + 1];
}

function show(x) {
  const [first, last] = marked(x);
  const width = (100 * (1 - LEFT)) / (drag.edges.length - 1);
  drag.mark.setAttribute("x", `${100 * LEFT + first * width}%`);
  drag.mark.setAttribute("width", `${(last - first) * width}%`);
}

function end() {
  drag?.mark.remove();
  drag = null;
}

/** Dragging over a chart narrows the range of the address; the range form does too. */
export function zoom() {
  document.addEventListener("pointerdown", (event) => {
    const place = event.target instanceof Element && event.target.closest("[data-zoom]");
    if (!place || event.button || event.pointerType === "touch") return;
    event.preventDefault();
    end();
    drag = { chart: find("svg.chart", place), url: place.dataset.zoom, edges: place.dataset.edges.split(" "), x: event.clientX };
    drag.from = column(event.clientX);
    drag.mark = document.createElementNS(SVG, "rect");
    drag.mark.setAttribute("class", "zoom-mark");
    drag.mark.setAttribute("height", "100%");
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag || Math.abs(event.clientX - drag.x) < LEAST_PX) return;
    // The chart may have been renewed meanwhile: then there is nothing to mark.
    if (!drag.chart.isConnected) return end();
    if (!drag.mark.isConnected) drag.chart.append(drag.mark);
    show(event.clientX);
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag?.mark.isConnected) return end();
    const [first, last] = marked(event.clientX);
    const edges = new URLSearchParams({ from: drag.edges[first], to: drag.edges[last] });
    const url = `?${drag.url}&${edges}`;
    end();
    location.assign(url);
  });
  document.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (event) => event.key === "Escape" && end());
}
