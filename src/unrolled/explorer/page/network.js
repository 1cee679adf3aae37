// A whole network: the payload decoded, layers one on another, the head, and the way back.

import { UNTOUCHED, addProduct, addTransposed, backward, forward, sigmoid } from "./lstm.js";

/** @typedef {import("./lstm.js").Layer} Layer */
/** @typedef {import("./lstm.js").Trace} Trace */
/** @typedef {import("./lstm.js").Effects} Effects */
/** @typedef {import("./lstm.js").Gradient} Gradient */

/** @typedef {{ dtype: "f4" | "f8", shape: number[], data: string }} Packed */

/**
 * @typedef {object} Output
 * @property {"linear" | "sigmoid" | "softmax"} kind
 * @property {string[]} names
 * @property {"every" | "last"} at
 * @property {number[] | null} scale
 * @property {string} interval the ends that the last two thirds of the outputs are, or nothing
 */

/**
 * @typedef {object} Network
 * @property {string} name
 * @property {string} run
 * @property {string} about
 * @property {Layer[]} layers
 * @property {"last" | "all"} reads
 * @property {Head | null} head
 * @property {Output} output
 * @property {any} inputs what `reader` takes
 * @property {number} broken how many of the weights are not finite
 */

/** @typedef {{ weight: Float64Array, bias: Float64Array, size: number }} Head */

/**
 * What a network did with an input.
 * @typedef {object} Run
 * @property {number} steps
 * @property {Trace[]} layers
 * @property {Float64Array} logits [T, O] the head's numbers
 * @property {Float64Array} values [T, O] what is made of them
 */

/**
 * @param {Packed} packed
 * @returns {Float64Array}
 */
export function unpack({ dtype, shape, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const count = shape.reduce((a, b) => a * b, 1);
  const size = dtype === "f8" ? 8 : 4;
  if (bytes.length !== count * size) throw new Error("the data in this page is damaged.");
  return Float64Array.from({ length: count }, (_, n) =>
    dtype === "f8" ? view.getFloat64(8 * n, true) : view.getFloat32(4 * n, true),
  );
}

/**
 * @param {any} told as `payload.network` gives it
 * @returns {Network}
 */
export function network(told) {
  const layers = told.layers.map((/** @type {any} */ layer) => {
    const weights = Object.fromEntries(
      Object.entries(layer.weights).map(([name, w]) => [name, unpack(/** @type {Packed} */ (w))]),
    );
    const rows = weights.weight_ih.length / layer.input_size;
    return {
      inputSize: layer.input_size,
      hiddenSize: layer.hidden_size,
      cell: layer.cell,
      weight_ih: weights.weight_ih,
      weight_hh: weights.weight_hh,
      bias_ih: weights.bias_ih ?? new Float64Array(rows),
      bias_hh: weights.bias_hh ?? new Float64Array(rows),
      weight_ph: weights.weight_ph ?? null,
    };
  });
  const head = told.head && {
    weight: unpack(told.head.weight),
    bias: unpack(told.head.bias),
    size: told.head.bias.shape[0],
  };
  const all = [head?.weight, head?.bias];
  for (const l of layers) all.push(l.weight_ih, l.weight_hh, l.bias_ih, l.bias_hh, l.weight_ph);
  let broken = 0;
  for (const array of all) if (array) for (const w of array) if (!Number.isFinite(w)) broken++;
  const { name, run, about, reads, output, inputs } = told;
  return { name, run, about, layers, reads, head, output, inputs, broken };
}

/**
 * The layers that the head reads, by their numbers.
 * @param {Network} net
 */
export function heard(net) {
  const last = net.layers.length - 1;
  return net.reads === "all" ? net.layers.map((_, n) => n) : [last];
}

/**
 * Run a network over x.
 * @param {Network} net
 * @param {Float64Array} x [T, I]
 * @param {number} steps T
 * @param {Effects[]} [effects] one for each layer
 * @returns {Run}
 */
export function runNetwork(net, x, steps, effects) {
  /** @type {Trace[]} */
  const layers = [];
  let read = x;
  net.layers.forEach((layer, n) => {
    const trace = forward(layer, read, steps, effects?.[n] ?? UNTOUCHED);
    layers.push(trace);
    read = trace.h;
  });
  const logits = net.head ? readOut(net, net.head, layers, steps) : read.slice();
  return { steps, layers, logits, values: spoken(net, logits, steps) };
}

/**
 * @param {Network} net
 * @param {Head} head
 * @param {Trace[]} layers
 * @param {number} steps
 */
function readOut(net, head, layers, steps) {
  const logits = new Float64Array(steps * head.size);
  const parts = heard(net);
  const width = parts.reduce((sum, n) => sum + net.layers[n].hiddenSize, 0);
  const together = new Float64Array(width);
  for (let t = 0; t < steps; t++) {
    let at = 0;
    for (const n of parts) {
      const H = net.layers[n].hiddenSize;
      together.set(layers[n].h.subarray(t * H, (t + 1) * H), at);
      at += H;
    }
    logits.set(head.bias, t * head.size);
    addProduct(logits, t * head.size, head.weight, together, 0, width, head.size);
  }
  return logits;
}

/**
 * @param {Network} net
 * @param {Float64Array} logits
 * @param {number} steps
 */
function spoken(net, logits, steps) {
  if (net.output.kind === "linear") return logits;
  if (net.output.kind === "sigmoid") return logits.map(sigmoid);
  const size = logits.length / steps;
  const values = new Float64Array(logits.length);
  for (let t = 0; t < steps; t++) values.set(softmax(logits.subarray(t * size, (t + 1) * size)), t * size);
  return values;
}

/**
 * @param {Float64Array} logits
 * @returns {Float64Array}
 */
export function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const odds = logits.map((v) => Math.exp(v - most));
  const sum = odds.reduce((a, b) => a + b, 0);
  return odds.map((v) => v / sum);
}

/** How many numbers the network's output has at a step. @param {Network} net */
export function outputs(net) {
  return net.head ? net.head.size : net.layers[net.layers.length - 1].hiddenSize;
}

/**
 * The exact gradient of one output with respect to all x, h and c before it.
 *
 * The output is the head's own number: of a sigmoid what goes into it, of a softmax the logarithm
 * of the probability, of what is linear the value as the head gives it.
 * @param {Network} net
 * @param {Run} run
 * @param {number} step
 * @param {number} output
 * @param {Effects[]} [effects] what the run was given
 * @returns {Gradient[]} one for each layer; x of the first is the input
 */
export function gradient(net, run, step, output, effects) {
  const size = outputs(net);
  const d_logits = new Float64Array(size);
  d_logits[output] = 1;
  if (net.output.kind === "softmax") {
    for (let k = 0; k < size; k++) d_logits[k] -= run.values[step * size + k];
  }
  const d_h = net.layers.map((layer) => new Float64Array(run.steps * layer.hiddenSize));
  spread(net, d_logits, step, d_h);
  /** @type {Gradient[]} */
  const found = [];
  for (let n = net.layers.length - 1; n >= 0; n--) {
    const g = backward(net.layers[n], run.layers[n], d_h[n], effects?.[n] ?? UNTOUCHED);
    found.unshift(g);
    if (n > 0) for (let k = 0; k < g.x.length; k++) d_h[n - 1][k] += g.x[k];
  }
  return found;
}

/**
 * The head, back: what reaches h of each layer that it reads.
 * @param {Network} net
 * @param {Float64Array} d_logits
 * @param {number} step
 * @param {Float64Array[]} d_h
 */
function spread(net, d_logits, step, d_h) {
  const parts = heard(net);
  if (!net.head) {
    const H = net.layers[parts[0]].hiddenSize;
    d_h[parts[0]].set(d_logits, step * H);
    return;
  }
  const width = parts.reduce((sum, n) => sum + net.layers[n].hiddenSize, 0);
  const together = new Float64Array(width);
  addTransposed(together, 0, net.head.weight, d_logits, 0, width, net.head.size);
  let at = 0;
  for (const n of parts) {
    const H = net.layers[n].hiddenSize;
    d_h[n].set(together.subarray(at, at + H), step * H);
    at += H;
  }
}
