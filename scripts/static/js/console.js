// Everything the console does in the browser beyond htmx. No page needs it to work.
import { copyButtons } from "./copy.js";
import { dialogs } from "./dialogs.js";
import { forms } from "./forms.js";
import { keyboard } from "./keyboard.js";
import { live } from "./live.js";
import { order } from "./order.js";
import { preferences } from "./preferences.js";
import { relativeTimes } from "./times.js";
import { toasts } from "./toasts.js";
import { zoom } from "./zoom.js";

for (const part of [copyButtons, preferences, relativeTimes, toasts, dialogs, forms, keyboard, live, zoom, order]) part();
