import { all } from "./dom.js";

/** The server's own words (numbers.relative), kept current. */
export function words(seconds) {
  const past = seconds >= 0;
  const s = Math.abs(seconds);
  if (s >= 86400) return null;
  let text;
  if (s < 60) text = s < 5 ? "" : `${Math.floor(s)} s`;
  else if (s < 3600) text = `${Math.floor(s / 60)} min`;
  else text = `${Math.floor(s / 3600)} h`;
  if (!text) return past ? "just now" : "now";
  return past ? `${text} ago` : `in ${text}`;
}

function update() {
  for (const el of all("time[data-relative]")) {
    const text = words((Date.now() - Date.parse(el.dateTime)) / 1000);
    if (text && el.textContent !== text) el.textContent = text;
  }
}

export function relativeTimes() {
  setInterval(() => document.hidden || update(), 10000);
}
