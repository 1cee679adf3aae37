// 2. One cell, its arithmetic: E1–E6 with the numbers in them, down to each weight.

import { drawing } from "./cell.js";
import { css } from "./color.js";
import { el, fill, say, visible } from "./dom.js";
import { blockOf, peepholeOf } from "./lstm.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./lstm.js").Gate} Gate */
/** @typedef {import("./changes.js").WeightName} WeightName */
/** @typedef {{ text: string, weight: number, from: number, product: number, where: { name: WeightName, column: number } }} Term */

const SHOWN = 8;

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 */
export function oneCell(store, isDark) {
  const title = el("h3", {});
  const picture = el("div", { class: "cell-box" });
  const list = el("ol", { class: "equations" });
  /** @type {Set<string>} */
  const open = new Set();
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "One unit at one step. Lines are as broad as what flows in them; orange is above zero, blue below. Open an equation to see every weight that made it."),
      title, picture, list),
    update: () => {
      const { layer, unit, step } = store.state;
      const seen = store.seen();
      const n = step * seen.net.layers[layer].hiddenSize + unit;
      const s = seen.run.layers[layer];
      const { cell } = seen.net.layers[layer];
      const { clamp } = seen.effects[layer];
      const clamped = new Set(/** @type {Gate[]} */ (["i", "f", "g", "o"]).filter((g) => clamp[g] && !Number.isNaN(/** @type {Float64Array} */ (clamp[g])[n])));
      title.textContent = `Unit ${unit} at step ${step}${seen.net.layers.length > 1 ? `, layer ${layer}` : ""}`;
      const values = { i: s.i[n], f: s.f[n], g: s.g[n], o: s.o[n], c: s.c[n], h: s.h[n], c_in: s.c_in[n] };
      fill(picture, drawing(values, cell, isDark(), { clamped }));
      fill(list, equations(store, values, n, clamped).map((line) => item(store, line, open, isDark())));
    },
  };
}

/**
 * @typedef {object} Equation
 * @property {string} number
 * @property {import("./dom.js").Child[]} general
 * @property {string} filled with its numbers
 * @property {string} value
 * @property {Gate | null} gate whose pre-activation can be opened
 * @property {boolean} changed
 */

/**
 * @param {Store} store
 * @param {import("./cell.js").Values} v
 * @param {number} n
 * @param {Set<string>} clamped
 * @returns {Equation[]}
 */
function equations(store, v, n, clamped) {
  const { layer } = store.state;
  const { net, effects } = store.seen();
  const own = net.layers[layer];
  const { cell } = own;
  const held = Boolean(effects[layer].held?.[n]);
  const put = effects[layer].put;
  const isPut = put !== null && !Number.isNaN(put.c[n]);
  const gate = (/** @type {string} */ number, /** @type {Gate} */ g, /** @type {string} */ squash, /** @type {number} */ c, /** @type {import("./dom.js").Child} */ seen) => {
    const sees = peepholeOf(own, g) >= 0;
    const general = [`${g} = ${squash}(`, low("a", g), sees && [" + ", low("p", g), " ", seen], ")"];
    const by = clamped.has(g) ? "set by you" : `${squash}(${say(sumOf(store, g, c))})`;
    return { number, general, filled: by, value: say(v[g]), gate: clamped.has(g) ? null : g, changed: clamped.has(g) };
  };
  const before = low("c", "in");
  const phi = cell.output === "tanh" ? "tanh(c)" : "c";
  const forget = cell.forget === "learned" || clamped.has("f") ? gate("E2", "f", "σ", v.c_in, before)
    : { number: "E2", general: [cell.forget === "one" ? "f = 1" : "f = 1 − i"], filled: cell.forget === "one" ? "the carousel of 1997" : `1 − ${say(v.i)}`, value: say(v.f), gate: null, changed: false };
  const hand = isPut ? "put by you" : null;
  return [
    gate("E1", "i", "σ", v.c_in, before),
    forget,
    gate("E3", "g", "tanh", 0, ""),
    { number: "E4", general: ["c = f ", before, " + i g"], filled: hand ?? (held ? "held by you" : `${say(v.f)} · ${paren(v.c_in)} + ${say(v.i)} · ${paren(v.g)}`), value: say(v.c), gate: null, changed: held || isPut },
    gate("E5", "o", "σ", isPut ? NaN : v.c, "c"),
    { number: "E6", general: [`h = o ${phi}`], filled: hand ?? `${say(v.o)} · ${paren(cell.output === "tanh" ? Math.tanh(v.c) : v.c)}`, value: say(v.h), gate: null, changed: isPut },
  ];
}

/**
 * A letter with a small one below it.
 * @param {string} letter
 * @param {string} below
 */
function low(letter, below) {
  return [letter, el("sub", {}, below)];
}

/** @param {number} value */
function paren(value) {
  return value < 0 ? `(${say(value)})` : say(value);
}

/**
 * @param {Store} store
 * @param {Gate} gate
 * @param {number} c what the gate's peephole sees
 */
function sumOf(store, gate, c) {
  const { layer, unit, step } = store.state;
  const { net, run } = store.seen();
  const own = net.layers[layer];
  const rows = own.bias_ih.length;
  const a = run.layers[layer].a[step * rows + blockOf(own.cell, gate) * own.hiddenSize + unit];
  const p = peepholeOf(own, gate);
  return p < 0 || !own.weight_ph ? a : a + own.weight_ph[p + unit] * c;
}

/**
 * Everything that a gate's pre-activation is the sum of, the largest first.
 * @param {Store} store
 * @param {Gate} gate
 * @returns {Term[]}
 */
export function terms(store, gate) {
  const { layer, unit, step } = store.state;
  const { net, run, reader, reading } = store.seen();
  const own = net.layers[layer];
  const { inputSize: I, hiddenSize: H } = own;
  const s = run.layers[layer];
  const row = blockOf(own.cell, gate) * H + unit;
  const b = { ih: own.bias_ih[row], hh: own.bias_hh[row] };
  /** @type {Term[]} */
  const found = [{ text: "bias", weight: b.ih + b.hh, from: 1, product: b.ih + b.hh, where: { name: "bias_ih", column: 0 } }];
  const input = (/** @type {number} */ k) => layer > 0 ? `unit ${k} below`
    : reader.channels[k] ?? (reader.kind === "tokens" && reader.told.vectors === null ? `“${visible(reader.told.tokens[k])}”`
      : `x[${k}] of “${visible(reading.labels[step])}”`);
  for (let k = 0; k < I; k++) {
    const weight = own.weight_ih[row * I + k], from = s.x[step * I + k];
    found.push({ text: input(k), weight, from, product: weight * from, where: { name: "weight_ih", column: k } });
  }
  for (let k = 0; k < H; k++) {
    const weight = own.weight_hh[row * H + k], from = s.h_in[step * H + k];
    if (step === 0 && Number.isFinite(weight)) continue;
    found.push({ text: `h of unit ${k}, ${step ? `step ${step - 1}` : "at the start"}`, weight, from, product: weight * from, where: { name: "weight_hh", column: k } });
  }
  const p = peepholeOf(own, gate);
  if (p >= 0 && own.weight_ph) {
    const from = gate === "o" ? s.c[step * H + unit] : s.c_in[step * H + unit];
    found.push({ text: "its own cell", weight: own.weight_ph[p + unit], from, product: own.weight_ph[p + unit] * from, where: { name: "weight_ph", column: unit } });
  }
  return found.sort((a, b2) => Math.abs(b2.product) - Math.abs(a.product));
}

/**
 * @param {Store} store
 * @param {Equation} line
 * @param {Set<string>} open
 * @param {boolean} dark
 */
function item(store, line, open, dark) {
  const head = [
    el("span", { class: "eq-number" }, line.number), el("span", { class: "eq-general" }, line.general),
    el("span", { class: "eq-filled" }, `= ${line.filled}`), el("span", { class: "eq-value" }, `= ${line.value}`),
  ];
  const kind = line.changed ? "equation changed" : "equation";
  const { gate } = line;
  if (!gate) return el("li", { class: kind, "data-equation": line.number }, el("div", { class: "eq-line" }, head));
  const box = el("div", { class: "terms" });
  const details = el("details", { open: open.has(gate), ontoggle: () => {
    if (details.open) open.add(gate);
    else open.delete(gate);
    if (details.open && !box.hasChildNodes()) show();
  } }, el("summary", { class: "eq-line" }, head), box);
  const all = `${gate}, all`;
  const show = () => fill(box, table(store, gate, dark, open.has(all), () => { open.add(all); show(); }));
  if (open.has(gate)) show();
  return el("li", { class: kind, "data-equation": line.number }, details);
}

/**
 * @param {Store} store
 * @param {Gate} gate
 * @param {boolean} dark
 * @param {boolean} whole whether the smallest are shown too
 * @param {() => void} more asked for them
 */
function table(store, gate, dark, whole, more) {
  const all = terms(store, gate);
  const shown = whole || all.length <= SHOWN + 1 ? all : all.slice(0, SHOWN);
  const rest = all.slice(shown.length).reduce((sum, term) => sum + term.product, 0);
  const most = Math.max(1e-9, ...all.map((term) => Math.abs(term.product)).filter(Number.isFinite));
  const row = (/** @type {Term} */ term) => {
    const bar = el("span", { class: term.product < 0 ? "term-bar down" : "term-bar" });
    bar.style.width = `${(50 * Math.abs(term.product)) / most || 0}%`;
    bar.style.background = css(Math.sign(term.product) * 0.8, "sign", 1, dark);
    const { where } = term;
    const edit = () => store.set({ tab: "reach", weight: { ...where, gate } });
    return el("tr", {}, el("th", { scope: "row" }, term.text), el("td", {}, say(term.weight)), el("td", {}, say(term.from)),
      el("td", {}, say(term.product)), el("td", { class: "bars" }, el("span", { class: "term-track" }, bar)),
      el("td", {}, el("button", { type: "button", class: "edit", "aria-label": `edit the weight from ${term.text}`, onclick: edit }, "edit")));
  };
  return el("table", {},
    el("thead", {}, el("tr", {}, ["from", "weight", "times", "gives", "", ""].map((name, n) => el("th", { scope: "col", class: n === 4 ? "bars" : null }, name)))),
    el("tbody", {}, shown.map(row),
      all.length > shown.length && el("tr", {}, el("th", { scope: "row" }, `${all.length - shown.length} others together`), el("td", {}), el("td", {}), el("td", {}, say(rest)), el("td", { class: "bars" }),
        el("td", {}, el("button", { type: "button", class: "edit", "aria-label": "show the others", onclick: more }, "show")))),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "sum"), el("td", {}), el("td", {}), el("td", {}, say(all.reduce((sum, term) => sum + term.product, 0))), el("td", { class: "bars" }), el("td", {}))));
}
