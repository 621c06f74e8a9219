export const root = document.documentElement;
export const find = (selector, from = document) => from.querySelector(selector);
export const all = (selector, from = document) => [...from.querySelectorAll(selector)];

/** Listen on the document, for elements that exist now or are swapped in later. */
export function on(event, selector, handle) {
  document.addEventListener(event, (e) => {
    const hit = e.target instanceof Element && e.target.closest(selector);
    if (hit) handle(e, hit);
  });
}

/** Tell screen readers, without moving anything on the screen. */
export function say(text) {
  const place = find("#announce");
  if (place) place.textContent = text;
}

export const isTyping = (el) => el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName);
