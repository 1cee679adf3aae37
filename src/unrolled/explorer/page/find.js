// 5. Find the unit: which one follows a property, and what breaks without it.

import { css, inkOn } from "./color.js";
import { el, fill, say, segments } from "./dom.js";
import { figures, follow, study } from "./findings.js";
import { runNetwork } from "./network.js";
import { joined } from "./reach.js";
import { fits } from "./changes.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./findings.js").Study} Study */
/** @typedef {import("./findings.js").Found} Found */

const LISTED = 8;

/**
 * What was found of the network and layer that are looked at.
 * @param {Store} store
 * @returns {{ found: Study, by: Found }}
 */
export function findings(store) {
  const { network, layer, quantity } = store.state;
  const net = store.networks[network];
  const reader = store.readers[network];
  const found = store.once(`study ${network}`, [], () => study(net, reader));
  const by = store.once(`follow ${network} ${layer} ${quantity}`, [], () => follow(net, reader, found, layer, quantity));
  return { found, by };
}

/**
 * The units that follow a property most closely, either way.
 * @param {Float64Array} r
 * @param {number} count
 */
export function closest(r, count) {
  return [...r.keys()].sort((a, b) => Math.abs(r[b]) - Math.abs(r[a]) || a - b).slice(0, count);
}

/**
 * Look at the unit that follows the property most closely.
 * @param {Store} store
 */
export function seek(store) {
  const { found, by } = findings(store);
  const k = Math.min(store.state.property, found.properties.length - 1);
  store.set({ unit: closest(by.r[k], 1)[0] });
}

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 */
export function find(store, isDark) {
  const property = el("select", { "aria-label": "what to look for", onchange: () => {
    store.set({ property: Number(property.value) });
    seek(store);
  } });
  const quantity = segments("by which quantity", [{ value: "h", text: "h", hint: "hidden state" }, { value: "c", text: "c", hint: "cell" }],
    (value) => store.set({ quantity: value }));
  const list = el("ol", { class: "found" });
  const sentence = el("p", { class: "asked" });
  const how = el("p", { class: "quiet" });
  const meters = el("div", { class: "meters", "aria-live": "polite" });
  const passage = el("p", { class: "passage" });
  const caption = el("h3", {});
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "Every unit is held against a property that you can see in the input, over many inputs. r is 1 or −1 where the unit tells it outright, 0 where it knows nothing of it."),
      el("div", { class: "row" }, el("span", { class: "row-name" }, "Which unit follows"), property, quantity.element),
      sentence, list, how, el("h3", {}, "What breaks without it"), meters, caption, passage),
    update: () => {
      const { found, by } = findings(store);
      const k = Math.min(store.state.property, found.properties.length - 1);
      const { name, absent } = found.properties[k];
      fill(property, found.properties.map((p, n) => el("option", { value: n, selected: n === k }, p.name)));
      quantity.show(store.state.quantity);
      const r = by.r[k];
      const best = closest(r, LISTED);
      sentence.textContent = r[best[0]] === 0 ? `No unit follows ${name} here: it never changes in these inputs.`
        : `Unit ${best[0]} follows ${name} most closely: r = ${say(r[best[0]], 2)}.`;
      how.textContent = `To kill a unit is to put its h and c, at every step, to ${absent}.`;
      fill(list, best.map((unit) => row(store, unit, r[unit], by.absent[k])));
      fill(meters, measured(store, found, k));
      const shown = store.readers[store.state.network].kind === "tokens";
      caption.textContent = shown ? `Unit ${store.state.unit} over a longer text` : "";
      fill(passage, shown && coloured(store, found, isDark()));
    },
  };
}

/**
 * @param {Store} store
 * @param {number} unit
 * @param {number} r
 * @param {{ h: Float64Array, c: Float64Array }} absent
 */
function row(store, unit, r, absent) {
  const { layer, changes } = store.state;
  const there = changes.find((c) => c.kind === "put" && c.layer === layer && c.unit === unit && c.from === null && c.to === null);
  const bar = el("span", { class: r < 0 ? "bar down" : "bar" });
  bar.style.width = `${100 * Math.abs(r)}%`;
  const kill = () => store.change(there ? changes.filter((c) => c !== there)
    : joined(changes, { kind: "put", layer, unit, from: null, to: null, h: absent.h[unit], c: absent.c[unit] }));
  return el("li", { class: unit === store.state.unit ? "here" : null, "data-unit": unit },
    el("button", { type: "button", class: "unit", "aria-pressed": String(unit === store.state.unit), onclick: () => store.set({ unit }) }, `unit ${unit}`),
    el("span", { class: "track" }, bar), el("span", { class: "figure" }, say(r, 2)),
    el("button", { type: "button", class: there ? "act kill on" : "act kill", "aria-pressed": String(Boolean(there)), "aria-label": there ? `let unit ${unit} live` : `kill unit ${unit}`, onclick: kill }, there ? "let live" : "kill"));
}

/**
 * @param {Store} store
 * @param {Study} found
 * @param {number} property
 */
function measured(store, found, property) {
  const { network, changes } = store.state;
  const net = store.networks[network];
  const reader = store.readers[network];
  const fitting = changes.filter((c) => fits(net, c));
  const before = store.once(`figures ${network} ${property}`, [], () => figures(net, reader, found, property, []));
  const after = fitting.length ? store.once(`changed figures ${network} ${property}`, [changes], () => figures(net, reader, found, property, fitting)) : before;
  if (!before.length) return el("p", { class: "quiet" }, "What these inputs should lead to is not known, so only the strip of steps shows what changes.");
  return before.map((figure, n) => {
    const now = after[n];
    const bar = el("span", { class: "bar" });
    const most = Math.max(figure.value, now.value) || 1;
    bar.style.width = `${100 * (figure.share ? now.value : Math.min(1, now.value / most))}%`;
    return el("div", { class: "meter" }, el("span", { class: "meter-name" }, figure.name),
      el("span", { class: "track" }, bar), el("span", { class: "figure", "data-figure": n === 0 ? "without" : "with" }, now.text),
      now !== figure && el("span", { class: "quiet" }, `untouched: ${figure.text}`));
  });
}

/**
 * @param {Store} store
 * @param {Study} found
 * @param {boolean} dark
 */
function coloured(store, found, dark) {
  const { network, layer, unit, quantity } = store.state;
  const net = store.networks[network];
  const { input } = found.samples[0];
  const reading = store.once(`passage ${network}`, [found], () => store.readers[network].read(input));
  const run = store.once(`passage run ${network}`, [found], () => runNetwork(net, reading.x, reading.steps));
  const values = run.layers[layer][quantity];
  const H = net.layers[layer].hiddenSize;
  let most = 1e-9;
  for (let t = 0; t < reading.steps; t++) most = Math.max(most, Math.abs(values[t * H + unit]));
  const words = store.readers[network].told.unit === "words";
  return reading.labels.map((label, t) => {
    const value = values[t * H + unit];
    const span = el("span", {}, words && t ? ` ${label}` : label === "\n" ? "⏎\n" : label);
    span.style.background = css(value, "sign", most, dark);
    span.style.color = inkOn(value, "sign", most, dark);
    return span;
  });
}
