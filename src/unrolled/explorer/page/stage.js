// What is always in view: the input, the steps, what was changed, and six maps.

import { described, fits } from "./changes.js";
import { el, fill, segments } from "./dom.js";
import { editor } from "./editors.js";
import { HeatMap } from "./heatmap.js";
import { strip } from "./strip.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./changes.js").Change} Change */
/** @typedef {import("./lstm.js").Quantity} Quantity */

/** @type {[Quantity, string][]} */
const MAPS = [["i", "input gate"], ["f", "forget gate"], ["g", "block input"], ["o", "output gate"], ["c", "cell"], ["h", "hidden state"]];

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 * @param {() => void} copyLink
 */
export function stage(store, isDark, copyLink) {
  const place = el("section", { class: "card input", "aria-label": "input" });
  const steps = strip(store, isDark);
  const maps = MAPS.map(([symbol, name]) => new HeatMap(symbol, name, store));
  const layers = el("div", {});
  const hands = toolbar(store, copyLink);
  let edited = editor(store);
  let network = -1;
  const element = el("div", { class: "stage" }, place,
    el("section", { class: "card", "aria-label": "steps" }, steps.element),
    el("section", { class: "card", "aria-label": "maps" }, el("div", { class: "bar-row" }, layers, hands.element),
      el("div", { class: "maps" }, maps.map((map) => map.element))));
  return {
    element,
    update: () => {
      const { state } = store;
      if (network !== state.network) {
        network = state.network;
        edited = editor(store);
        fill(place, edited.element);
        fill(layers, layerChoice(store));
      }
      edited.update();
      steps.update();
      for (const button of layers.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.value === String(state.layer)));
      hands.update();
      MAPS.forEach(([symbol], n) => maps[n].show(shown(store, symbol, isDark())));
    },
  };
}

/** @param {Store} store */
function layerChoice(store) {
  const { layers } = store.networks[store.state.network];
  if (layers.length < 2) return [];
  const choices = layers.map((_, n) => ({ value: String(n), text: `layer ${n}` }));
  return [segments("layer", choices, (value) => store.set({ layer: Number(value) })).element];
}

/**
 * @param {Store} store
 * @param {Quantity} symbol
 * @param {boolean} dark
 * @returns {import("./heatmap.js").Shown}
 */
function shown(store, symbol, dark) {
  const { layer, step, unit } = store.state;
  const seen = store.seen();
  const now = seen.run.layers[layer][symbol];
  const before = seen.base.layers[layer][symbol];
  const view = seen.run === seen.base ? "changed" : store.state.view;
  const values = view === "changed" ? now : view === "untouched" ? before
    : store.once(`difference ${symbol} ${layer}`, [now, before], () => now.map((v, n) => v - before[n]));
  const largest = (/** @type {Float64Array} */ array) => array.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0);
  const gate = symbol === "i" || symbol === "f" || symbol === "o";
  const top = view === "difference" ? largest(values) || 1
    : symbol === "c" ? Math.max(1e-3, largest(before), largest(now)) : 1;
  const hidden = seen.net.layers[layer].hiddenSize;
  const beyond = gate && view !== "difference" && values.some((v) => v < 0 || v > 1);
  return {
    values, steps: seen.run.steps, hidden, units: store.units(), step, unit, dark,
    scale: gate && view !== "difference" && !beyond ? "amount" : "sign",
    bound: beyond ? largest(values) : top,
    marks: view === "untouched" ? [] : marks(store.state.changes, symbol, layer, seen.run.steps),
  };
}

/**
 * Where in a map a hand reached in.
 * @param {Change[]} changes
 * @param {Quantity} symbol
 * @param {number} layer
 * @param {number} steps
 */
function marks(changes, symbol, layer, steps) {
  return changes.flatMap((change) => {
    if (change.layer !== layer || change.kind === "weight" || change.kind === "bias") return [];
    const here = change.kind === "clamp" ? change.gate === symbol
      : change.kind === "put" ? symbol === "h" || symbol === "c" : symbol === "c";
    if (!here) return [];
    const from = change.kind === "cut" ? change.at : change.from ?? 0;
    const to = change.kind === "cut" ? change.at : change.to ?? steps - 1;
    return from < steps ? [{ unit: change.unit, from, to: Math.min(to, steps - 1) }] : [];
  });
}

/**
 * What was changed, and the way back.
 * @param {Store} store
 * @param {() => void} copyLink
 */
function toolbar(store, copyLink) {
  const view = segments("what the maps show", [{ value: "changed", text: "changed" }, { value: "untouched", text: "untouched" }, { value: "difference", text: "difference" }],
    (value) => store.set({ view: value }));
  const chips = el("ul", { class: "chips", "aria-label": "what you changed" });
  const undo = el("button", { type: "button", class: "tool", title: "Ctrl + Z", onclick: () => store.undo() }, "Undo");
  const reset = el("button", { type: "button", class: "tool", onclick: () => store.reset() }, "Reset");
  const link = el("button", { type: "button", class: "tool", onclick: copyLink }, "Copy link");
  return {
    element: el("div", { class: "hands" }, chips, el("div", { class: "tools" }, view.element, undo, reset, link)),
    update: () => {
      const { changes } = store.state;
      const net = store.networks[store.state.network];
      undo.disabled = store.history.past.length === 0;
      reset.disabled = changes.length === 0;
      view.element.hidden = changes.length === 0;
      view.show(store.state.view);
      const words = (/** @type {Change} */ change) => (fits(net, change) ? described(net, change) : "a change that this network has no place for");
      fill(chips, changes.length ? changes.map((change) => el("li", { class: "chip" }, words(change),
        el("button", { type: "button", "aria-label": `take back: ${words(change)}`, onclick: () => store.change(changes.filter((c) => c !== change)) }, "×")))
        : el("li", { class: "quiet" }, "as it was trained"));
    },
  };
}
