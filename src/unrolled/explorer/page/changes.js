// What a hand does to a network, as data: it can be undone, described, kept in a link.

import { UNTOUCHED, blockOf, gatesOf, peepholeOf } from "./lstm.js";

/** @typedef {import("./lstm.js").Gate} Gate */
/** @typedef {import("./lstm.js").Effects} Effects */
/** @typedef {import("./lstm.js").Layer} Layer */
/** @typedef {import("./network.js").Network} Network */

/**
 * `unit` null is all units, `from` and `to` null are the first and the last step; both ends count.
 *
 * clamp: a gate has this value.  hold: the cell keeps what it has, whatever the gates say.
 * put: h and c are these after the step (both 0: the unit is silent).  cut: nothing of the cell gets into the step `at`, or
 * (what = "gradient") its value does and the gradient does not.  weight: one number of a matrix.
 * bias: the gate's bias is moved by `value`, for all units.
 * @typedef {{ kind: "clamp", layer: number, gate: Gate, unit: number | null, from: number | null, to: number | null, value: number }
 *   | { kind: "put", layer: number, unit: number | null, from: number | null, to: number | null, h: number, c: number }
 *   | { kind: "hold", layer: number, unit: number | null, from: number | null, to: number | null }
 *   | { kind: "cut", layer: number, unit: number | null, at: number, what: "state" | "gradient" }
 *   | { kind: "weight", layer: number, name: WeightName, row: number, column: number, value: number }
 *   | { kind: "bias", layer: number, gate: Gate, value: number }} Change
 */

/** `head` weights have layer −1. @typedef {"weight_ih" | "weight_hh" | "bias_ih" | "bias_hh" | "weight_ph" | "head" | "head_bias"} WeightName */

/**
 * The arrays that changes amount to.
 * @param {Network} net
 * @param {Change[]} changes
 * @param {number} steps
 * @returns {{ net: Network, effects: Effects[] }} a network of its own where a weight is changed
 */
export function applied(net, changes, steps) {
  const layers = net.layers.slice();
  let head = net.head;
  /** @type {Effects[]} */
  const effects = net.layers.map(() => ({ ...UNTOUCHED, clamp: { ...UNTOUCHED.clamp } }));
  for (const change of changes) {
    if (!fits(net, change)) continue;
    if (change.kind === "weight" && change.layer < 0 && head) {
      head = { ...head, weight: head.weight.slice(), bias: head.bias.slice() };
      const width = head.weight.length / head.size;
      if (change.name === "head") head.weight[change.row * width + change.column] = change.value;
      else head.bias[change.row] = change.value;
    } else if (change.kind === "weight") {
      layers[change.layer] = withWeight(layers[change.layer], change);
    } else if (change.kind === "bias") {
      layers[change.layer] = withBias(layers[change.layer], change.gate, change.value);
    } else {
      act(effects[change.layer], layers[change.layer].hiddenSize, change, steps);
    }
  }
  return { net: { ...net, layers, head }, effects };
}

/**
 * @param {Effects} effects
 * @param {number} H
 * @param {Exclude<Change, { kind: "weight" | "bias" }>} change
 * @param {number} steps
 */
function act(effects, H, change, steps) {
  const from = change.kind === "cut" ? change.at : change.from ?? 0;
  const to = change.kind === "cut" ? change.at : change.to ?? steps - 1;
  const units = change.unit === null ? [...Array(H).keys()] : [change.unit];
  const flags = () => new Uint8Array(steps * H);
  const cut = change.kind === "cut" && change.what === "gradient" ? 2 : 1;
  if (change.kind === "clamp") effects.clamp[change.gate] ??= new Float64Array(steps * H).fill(NaN);
  else if (change.kind === "hold") effects.held ??= flags();
  else if (change.kind === "put") effects.put ??= { h: new Float64Array(steps * H).fill(NaN), c: new Float64Array(steps * H).fill(NaN) };
  else effects.cut ??= flags();
  for (let t = from; t <= Math.min(to, steps - 1); t++) {
    for (const u of units) {
      const n = t * H + u;
      if (change.kind === "clamp") /** @type {Float64Array} */ (effects.clamp[change.gate])[n] = change.value;
      else if (change.kind === "hold") /** @type {Uint8Array} */ (effects.held)[n] = 1;
      else if (change.kind === "put" && effects.put) {
        effects.put.h[n] = change.h;
        effects.put.c[n] = change.c;
      }
      else if (change.kind === "cut") /** @type {Uint8Array} */ (effects.cut)[n] = cut;
    }
  }
}

/**
 * @param {Layer} layer
 * @param {Extract<Change, { kind: "weight" }>} change
 * @returns {Layer}
 */
function withWeight(layer, change) {
  const name = /** @type {Exclude<WeightName, "head" | "head_bias">} */ (change.name);
  const array = /** @type {Float64Array} */ (layer[name]).slice();
  array[change.row * columnsOf(layer, name) + change.column] = change.value;
  return { ...layer, [name]: array };
}

/**
 * @param {Layer} layer
 * @param {Gate} gate
 * @param {number} shift
 * @returns {Layer}
 */
function withBias(layer, gate, shift) {
  const bias = layer.bias_ih.slice();
  const first = blockOf(layer.cell, gate) * layer.hiddenSize;
  for (let u = 0; u < layer.hiddenSize; u++) bias[first + u] += shift;
  return { ...layer, bias_ih: bias };
}

/**
 * @param {Layer} layer
 * @param {WeightName} name
 */
export function columnsOf(layer, name) {
  if (name === "weight_ih") return layer.inputSize;
  return name === "weight_hh" || name === "weight_ph" ? layer.hiddenSize : 1;
}

/**
 * A weight's value.
 * @param {Network} net
 * @param {{ layer: number, name: WeightName, row: number, column: number }} where
 */
export function weightAt(net, { layer, name, row, column }) {
  if (layer < 0) {
    if (!net.head) return NaN;
    const width = net.head.weight.length / net.head.size;
    return name === "head" ? net.head.weight[row * width + column] : net.head.bias[row];
  }
  const array = net.layers[layer][/** @type {"weight_ih"} */ (name)];
  return array ? array[row * columnsOf(net.layers[layer], name) + column] : NaN;
}

/**
 * Whether a change makes sense for a network: a link may come from another page, or from anybody.
 * @param {Network} net
 * @param {any} c
 * @returns {c is Change}
 */
export function fits(net, c) {
  if (typeof c !== "object" || c === null) return false;
  const whole = (/** @type {any} */ v, /** @type {number} */ below) => Number.isInteger(v) && v >= 0 && v < below;
  const open = (/** @type {any} */ v) => v === null || whole(v, 1e6);
  if (c.kind === "weight" && c.layer === -1) {
    if (!net.head || !Number.isFinite(c.value)) return false;
    const width = net.head.weight.length / net.head.size;
    return whole(c.row, net.head.size) && (c.name === "head" ? whole(c.column, width) : c.name === "head_bias" && c.column === 0);
  }
  if (!whole(c.layer, net.layers.length)) return false;
  const layer = net.layers[c.layer];
  const unit = c.unit === null || whole(c.unit, layer.hiddenSize);
  switch (c.kind) {
    case "clamp":
      return unit && ["i", "f", "g", "o"].includes(c.gate) && open(c.from) && open(c.to) && Number.isFinite(c.value);
    case "hold":
      return unit && open(c.from) && open(c.to);
    case "put":
      return unit && open(c.from) && open(c.to) && Number.isFinite(c.h) && Number.isFinite(c.c);
    case "cut":
      return unit && whole(c.at, 1e6) && (c.what === "state" || c.what === "gradient");
    case "bias":
      return blockOf(layer.cell, c.gate) >= 0 && Number.isFinite(c.value);
    case "weight": {
      const names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph"];
      const array = names.includes(c.name) ? layer[/** @type {"weight_ih"} */ (c.name)] : null;
      if (!array) return false;
      const columns = columnsOf(layer, c.name);
      return whole(c.row, array.length / columns) && whole(c.column, columns) && Number.isFinite(c.value);
    }
    default:
      return false;
  }
}

/**
 * A change in words.
 * @param {Network} net
 * @param {Change} change
 */
export function described(net, change) {
  const many = net.layers.length > 1 && change.layer >= 0 ? `layer ${change.layer}, ` : "";
  if (change.kind === "weight") return `${many}${weightName(net, change)} = ${short(change.value)}`;
  if (change.kind === "bias") return `${many}bias of ${change.gate} ${change.value < 0 ? "−" : "+"} ${short(Math.abs(change.value))}`;
  const who = change.unit === null ? "all units" : `unit ${change.unit}`;
  if (change.kind === "cut") {
    const what = change.what === "state" ? "carousel cut" : "gradient cut";
    return `${many}${what} before step ${change.at}, ${who}`;
  }
  const { from, to } = change;
  const when = from === null && to === null ? "all steps"
    : from === to ? `step ${from}` : to === null ? `from step ${from ?? 0}` : `steps ${from ?? 0} to ${to}`;
  const what = change.kind === "clamp" ? `${change.gate} = ${short(change.value)}`
    : change.kind === "hold" ? "cell held"
    : change.h === 0 && change.c === 0 ? "silenced" : `h put to ${short(change.h)}`;
  return `${many}${what}, ${who}, ${when}`;
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/**
 * Which weight it is, in words.
 * @param {Network} net
 * @param {{ layer: number, name: WeightName, row: number, column: number }} where
 */
export function weightName(net, { layer, name, row, column }) {
  if (name === "head") return `head: output ${row} ← unit ${column}`;
  if (name === "head_bias") return `head: bias of output ${row}`;
  const { cell, hiddenSize: H } = net.layers[layer];
  const unit = row % H;
  const block = Math.floor(row / H);
  if (name === "weight_ph") {
    const gate = (["i", "f", "o"]).filter((g) => peepholeOf(net.layers[layer], /** @type {Gate} */ (g)) >= 0)[row];
    return `${gate} of unit ${column} ← its cell`;
  }
  const to = `${gatesOf(cell)[block]} of unit ${unit}`;
  if (name === "weight_ih") return `${to} ← input ${column}`;
  return name === "weight_hh" ? `${to} ← unit ${column}` : `bias of ${to}`;
}
