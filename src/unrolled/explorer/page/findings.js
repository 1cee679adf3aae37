// Which unit follows what: Pearson's r of a unit and a property over many inputs, as in units.py,
// and what breaks where a unit is put to what it has when the property is absent.

import { applied } from "./changes.js";
import { example } from "./inputs.js";
import { outputs, runNetwork } from "./network.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./inputs.js").Reader} Reader */
/** @typedef {import("./changes.js").Change} Change */

/**
 * @typedef {object} Property
 * @property {string} name
 * @property {boolean} binary whether it is there (1) or not (0), rather than a number
 * @property {string} absent what a unit is put to when it is killed, in words
 * @property {string} [where] what a text is like where it is there
 */

/**
 * @typedef {object} Sample
 * @property {any} input
 * @property {Float64Array[]} values [T] for each property
 */

/** @typedef {{ properties: Property[], samples: Sample[] }} Study */

/**
 * The same numbers every time: a small generator (Marsaglia 2003, xorshift32).
 * @param {number} seed
 */
export function random(seed) {
  let x = seed | 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/**
 * What units are looked for by, and the inputs on which.
 * @param {Network} net
 * @param {Reader} reader
 * @returns {Study}
 */
export function study(net, reader) {
  const make = { bits: carries, tokens: marks, window: changes, numbers: channels }[reader.kind];
  return make(reader, net);
}

/**
 * Pairs of numbers of up to 7 bits, half of them without a carry anywhere.
 * @returns {{ a: number, b: number, carries: boolean }[]}
 */
export function pairs() {
  const draw = random(2);
  const found = [];
  for (let n = 0; n < 200; n++) {
    const a = Math.floor(draw() * 128);
    const b = n % 2 ? Math.floor(draw() * 128) : Math.floor(draw() * 128) & ~a;
    found.push({ a, b, carries: (a & b) !== 0 });
  }
  return found;
}

/** @returns {Study} */
function carries() {
  const samples = pairs().map(({ a, b }) => {
    const steps = Math.max((a + b).toString(2).length, a.toString(2).length + 1, b.toString(2).length + 1);
    const carry = new Float64Array(steps);
    let c = 0;
    for (let t = 0; t < steps; t++) {
      c = (((a >> t) & 1) + ((b >> t) & 1) + c) >> 1;
      carry[t] = c;
    }
    return { input: { a: String(a), b: String(b) }, values: [carry] };
  });
  return { properties: [{ name: "the carry", binary: true, absent: "what it has when there is no carry" }], samples };
}

/**
 * @param {Reader} reader
 * @param {Network} net
 * @returns {Study}
 */
function marks(reader, net) {
  const weights = net.layers.reduce((n, l) => n + l.weight_ih.length + l.weight_hh.length, 0);
  const most = Math.max(200, Math.min(1500, Math.floor(4e8 / weights))); // a second of reading
  const text = [...(reader.told.passage || reader.told.example)].slice(0, most).join("");
  const { labels } = reader.read({ text });
  const T = labels.length;
  const [quotes, brackets, column, ending] = [0, 1, 2, 3].map(() => new Float64Array(T));
  let inside = 0, depth = 0, along = 0;
  labels.forEach((token, t) => {
    if (token === "“") inside = 1;
    else if (token === "”") inside = 0;
    else if (token === '"') inside = 1 - inside;
    if (/^[([{]$/.test(token)) depth++;
    else if (/^[)\]}]$/.test(token)) depth = Math.max(0, depth - 1);
    along = token === "\n" ? 0 : along + 1;
    quotes[t] = inside;
    brackets[t] = depth > 0 ? 1 : 0;
    column[t] = along;
    ending[t] = labels[t + 1] === "\n" ? 1 : 0;
  });
  const there = (/** @type {string} */ name, /** @type {string} */ where, /** @type {string} */ not) =>
    ({ name, binary: true, absent: `what it has ${not}`, where });
  return {
    properties: [there("quotes", "inside quotes", "outside quotes"), there("brackets", "inside brackets", "outside brackets"),
      { name: "the place in the line", binary: false, absent: "its mean" },
      there("line ends", "before a line ends", "elsewhere")],
    samples: [{ input: { text }, values: [quotes, brackets, column, ending] }],
  };
}

/**
 * @param {Reader} reader
 * @returns {Study}
 */
function changes(reader) {
  const { values, length } = reader.told;
  const places = Math.max(1, values.length - length + 1);
  const samples = [];
  for (let n = 0; n < Math.min(places, 120); n++) {
    const start = Math.floor((n * places) / Math.min(places, 120));
    const input = { values: values.slice(start, start + length), start };
    const { x } = reader.read(input);
    const step = x.map((v, t) => (t ? v - x[t - 1] : 0));
    samples.push({ input, values: [Float64Array.from(x), Float64Array.from(step), x.map((_, t) => t)] });
  }
  const number = (/** @type {string} */ name) => ({ name, binary: false, absent: "its mean" });
  return { properties: [number("the value read"), number("the last change"), number("how far along it is")], samples };
}

/**
 * @param {Reader} reader
 * @returns {Study}
 */
function channels(reader) {
  const { told, size } = reader;
  const draw = random(5);
  const given = told.examples.map((/** @type {unknown} */ _, /** @type {number} */ n) => example(told, n));
  const drawn = () => given[0].map((/** @type {number[]} */ row) => row.map(() => told.low + draw() * (told.high - told.low)));
  const inputs = told.target ? Array.from({ length: 150 }, drawn) : given;
  const shown = Math.min(size, 8);
  const samples = inputs.map((/** @type {number[][]} */ rows, /** @type {number} */ n) => ({
    input: { rows, of: told.target ? 0 : n },
    values: [
      ...(told.target ? [Float64Array.from(rows, () => rows[0][0])] : []),
      ...Array.from({ length: shown }, (_, k) => Float64Array.from(rows, (row) => row[k])),
    ],
  }));
  const number = (/** @type {string} */ name) => ({ name, binary: false, absent: "its mean" });
  const properties = Array.from({ length: shown }, (_, k) => number(told.target ? "the number being read" : told.names[k]));
  return { properties: told.target ? [number("the first number"), ...properties] : properties, samples };
}

/**
 * How a layer's units go with each property.
 * @typedef {object} Found
 * @property {Float64Array[]} r [H] for each property; 0 where either is constant
 * @property {{ h: Float64Array, c: Float64Array }[]} absent [H] for each property: the mean where it is absent, or all over
 */

/**
 * @param {Network} net
 * @param {Reader} reader
 * @param {Study} found
 * @param {number} layer
 * @param {"c" | "h"} quantity
 * @returns {Found}
 */
export function follow(net, reader, { properties, samples }, layer, quantity) {
  const H = net.layers[layer].hiddenSize;
  const sums = properties.map(() => ({
    n: 0, p: 0, pp: 0, v: new Float64Array(H), vv: new Float64Array(H), vp: new Float64Array(H),
    gone: 0, h: new Float64Array(H), c: new Float64Array(H),
  }));
  /** @type {Float64Array | null} */
  let first = null; // counted from, so that little is lost where values differ by little
  for (const { input, values } of samples) {
    const { x, steps } = reader.read(input);
    const trace = runNetwork(net, x, steps).layers[layer];
    const seen = trace[quantity];
    first ??= seen.slice(0, H);
    for (let k = 0; k < properties.length; k++) {
      const s = sums[k];
      for (let t = 0; t < steps; t++) {
        const p = values[k][t];
        const absent = !properties[k].binary || p === 0;
        s.n++;
        s.p += p;
        s.pp += p * p;
        if (absent) s.gone++;
        for (let u = 0; u < H; u++) {
          const v = seen[t * H + u] - first[u];
          s.v[u] += v;
          s.vv[u] += v * v;
          s.vp[u] += v * p;
          if (absent) {
            s.h[u] += trace.h[t * H + u];
            s.c[u] += trace.c[t * H + u];
          }
        }
      }
    }
  }
  return {
    r: sums.map((s) => Float64Array.from(s.v, (v, u) => {
      const spread = (s.vv[u] - (v * v) / s.n) * (s.pp - (s.p * s.p) / s.n);
      return spread > 1e-18 * s.n * s.n ? Math.min(1, Math.max(-1, (s.vp[u] - (v * s.p) / s.n) / Math.sqrt(spread))) : 0;
    })),
    absent: sums.map((s) => ({ h: s.h.map((v) => v / Math.max(1, s.gone)), c: s.c.map((v) => v / Math.max(1, s.gone)) })),
  };
}

/**
 * How well a network does with some changes, in two lots: where the property is absent, and there.
 * @typedef {{ name: string, value: number, text: string, share: boolean }} Figure
 * @param {Network} net
 * @param {Reader} reader
 * @param {Study} found
 * @param {number} property
 * @param {Change[]} hands
 * @returns {Figure[]}
 */
export function figures(net, reader, found, property, hands) {
  const runs = found.samples.map(({ input }) => {
    const reading = reader.read(input);
    const { net: changed, effects } = applied(net, hands, reading.steps);
    return { reading, run: runNetwork(changed, reading.x, reading.steps, effects) };
  });
  const size = outputs(net);
  if (reader.kind === "bits") {
    const right = [[0, 0], [0, 0]];
    pairs().forEach(({ carries: carried }, n) => {
      const { reading, run } = runs[n];
      const lot = right[Number(carried)];
      lot[1]++;
      if (reading.truth.every((bit, t) => Number(run.values[t] > 0.5) === bit)) lot[0]++;
    });
    return ["sums without a carry", "sums with a carry"].map((name, k) => share(name, right[k][0], right[k][1]));
  }
  if (reader.kind === "tokens") {
    const lots = [[0, 0], [0, 0]];
    const { reading, run } = runs[0];
    const { binary } = found.properties[property];
    reading.truth.forEach((next, t) => {
      if (next === null) return;
      const lot = lots[binary ? Number(found.samples[0].values[property][t] > 0) : 0];
      lot[0] -= Math.log2(run.values[t * size + next]);
      lot[1]++;
    });
    const { where } = found.properties[property];
    const bits = `bits per ${reader.told.unit === "words" ? "token" : "character"}`;
    const words = binary ? [`${bits} elsewhere`, `${bits} ${where}`] : [bits];
    return words.map((word, k) => amount(word, lots[k][0] / lots[k][1]));
  }
  let error = 0, count = 0;
  for (const { reading, run } of runs) {
    const last = reading.steps - 1;
    const value = run.values[last * size];
    const truth = reader.kind === "window" ? reading.ahead[0] : reading.truth[last];
    if (truth === undefined || truth === null) continue;
    const own = net.output.scale ? reading.base + value * net.output.scale[0] : value;
    error += (own - truth) ** 2;
    count++;
  }
  if (!count) return [];
  return [amount(reader.kind === "window" ? "error one step ahead (RMSE)" : "error of the first number (RMSE)", Math.sqrt(error / count))];
}

/**
 * @param {string} name
 * @param {number} right
 * @param {number} all
 * @returns {Figure}
 */
function share(name, right, all) {
  return { name, value: all ? right / all : 1, text: `${right} of ${all} right`, share: true };
}

/**
 * @param {string} name
 * @param {number} value
 * @returns {Figure}
 */
function amount(name, value) {
  const text = Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "none";
  return { name, value, text, share: false };
}
