// The state in a link's fragment, or as JSON: what is read, what is looked at, what was changed.

import { fits } from "./changes.js";

/** @typedef {import("./store.js").Store} Store */

const KEPT = /** @type {const} */ (["network", "input", "step", "layer", "unit", "tab", "changes", "target", "other"]);

/**
 * @param {Store} store
 */
export function fragment(store) {
  const kept = Object.fromEntries(KEPT.map((key) => [key, store.state[key]]));
  return `#${encodeURIComponent(JSON.stringify(kept))}`;
}

/**
 * Go to what a fragment says; whatever in it makes no sense here is left out.
 * @param {Store} store
 * @param {string} text
 * @returns {boolean} whether it held anything
 */
export function follow(store, text) {
  let told;
  try {
    told = JSON.parse(decodeURIComponent(text.replace(/^#/, "")));
  } catch {
    return false;
  }
  if (typeof told !== "object" || told === null) return false;
  const whole = (/** @type {unknown} */ v, /** @type {number} */ below) => Number.isInteger(v) && Number(v) >= 0 && Number(v) < below;
  const network = whole(told.network, store.networks.length) ? told.network : 0;
  const state = { ...store.begin(network), tab: typeof told.tab === "string" ? told.tab : "watch" };
  const reader = store.readers[network];
  try {
    const typed = reader.parse(reader.print(told.input), told.input); // what cannot be printed and typed is no input
    const start = told.input.start;
    state.input = reader.kind === "window" && whole(start, reader.told.values.length - typed.values.length + 1)
      && typed.values.every((/** @type {number} */ v, /** @type {number} */ t) => v === reader.told.values[start + t]) ? { ...typed, start } : typed;
  } catch {
    // the input is of another run: the example stays
  }
  const net = store.networks[network];
  for (const key of /** @type {const} */ (["step", "layer", "unit"])) if (whole(told[key], 1e6)) state[key] = told[key];
  if (Array.isArray(told.changes)) state.changes = told.changes.filter((/** @type {unknown} */ c) => fits(net, c));
  if (told.target && whole(told.target.step, 1e6) && whole(told.target.output, 1e6)) state.target = { step: told.target.step, output: told.target.output };
  if (whole(told.other, store.networks.length)) state.other = told.other;
  store.set(state);
  return true;
}
