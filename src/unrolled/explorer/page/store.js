// What is looked at and what was changed, in one place; everything computed from it follows.

import { applied, fits } from "./changes.js";
import { History } from "./history.js";
import { reader } from "./inputs.js";
import { gradient, outputs, runNetwork } from "./network.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./network.js").Run} Run */
/** @typedef {import("./changes.js").Change} Change */
/** @typedef {import("./inputs.js").Reader} Reader */
/** @typedef {import("./inputs.js").Reading} Reading */

/**
 * @typedef {object} State
 * @property {number} network which of the networks is looked at
 * @property {number | null} other which one it is compared with
 * @property {any} input
 * @property {number} step
 * @property {number} layer
 * @property {number} unit
 * @property {string} tab
 * @property {Change[]} changes
 * @property {"changed" | "untouched" | "difference"} view
 * @property {string} order how units are sorted in the maps: "number" or a quantity
 * @property {string} search
 * @property {{ step: number, output: number } | null} target the output whose gradient is shown
 * @property {"c" | "h"} quantity what units are looked for by
 * @property {number} property which property they are looked for by
 * @property {{ name: import("./changes.js").WeightName, gate: import("./lstm.js").Gate, column: number }} weight which one into the chosen unit is edited
 */

/** A network with all that was found about the input at hand.
 * @typedef {object} Seen
 * @property {Network} net with its weights as they are changed
 * @property {Reader} reader
 * @property {Reading} reading
 * @property {Run} base untouched
 * @property {Run} run changed; the same object where nothing is
 * @property {import("./lstm.js").Effects[]} effects
 */

export class Store {
  /** @param {Network[]} networks */
  constructor(networks) {
    this.networks = networks;
    this.readers = networks.map((net) => reader(net.inputs));
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    this.history = new History();
    /** @type {Map<string, [unknown[], any]>} */
    this.memory = new Map();
    this.asked = false;
    /** @type {State} */
    this.state = this.begin(0);
  }

  /**
   * @param {number} network
   * @returns {State}
   */
  begin(network) {
    const partner = this.networks.findIndex((_, n) => n !== network && this.comparable(network, n));
    const input = this.readers[network].first();
    return {
      network, other: partner < 0 ? null : partner, input,
      step: 0, layer: 0, unit: 0, tab: "watch", changes: [], view: "changed",
      order: "number", search: "", target: null, quantity: "h", property: 0, weight: { name: "bias_ih", gate: "i", column: 0 },
    };
  }

  /**
   * Whether two networks can read the same input.
   * @param {number} a
   * @param {number} b
   */
  comparable(a, b) {
    const [p, q] = [this.readers[a], this.readers[b]];
    return p.kind === q.kind && (p.kind !== "numbers" || p.size === q.size);
  }

  /**
   * Look at another network: at the same place, and with the same input where it reads such.
   * @param {number} network
   */
  turn(network) {
    const { network: before, tab, input, step, unit, layer, changes } = this.state;
    const kept = this.comparable(before, network) ? { input, changes } : {};
    this.set({ ...this.begin(network), ...kept, tab, step, unit, layer, other: network === this.state.other ? before : this.state.other });
  }

  /** @param {() => void} listener */
  listen(listener) {
    this.listeners.add(listener);
  }

  /**
   * Change what is looked at; whatever no longer fits is brought inside.
   * @param {Partial<State>} patch
   */
  set(patch) {
    const next = { ...this.state, ...patch };
    const net = this.networks[next.network];
    const steps = this.readers[next.network].read(next.input).steps;
    next.layer = Math.min(next.layer, net.layers.length - 1);
    next.unit = Math.min(Math.max(0, next.unit), net.layers[next.layer].hiddenSize - 1);
    next.step = Math.min(Math.max(0, next.step), steps - 1);
    if (next.target && (next.target.step >= steps || next.target.output >= outputs(net))) next.target = null;
    this.state = next;
    this.ask();
  }

  /** Tell the listeners, once before the next frame. */
  ask() {
    if (this.asked) return;
    this.asked = true;
    const begun = performance.now();
    requestAnimationFrame(() => {
      this.asked = false;
      for (const listener of this.listeners) listener();
      performance.measure("answer", { start: begun });
    });
  }

  /**
   * Reach in.  `together` joins a change with the one before it into one step of undoing, as while
   * a slider is dragged.
   * @param {Change[]} changes all that are to be there
   * @param {string} [together]
   */
  change(changes, together) {
    const something = changes.length > 0 || this.state.changes.length > 0;
    if (something) this.history.keep(this.state.changes, together);
    this.set({ changes });
  }

  undo() {
    const before = this.history.undo();
    if (before) this.set({ changes: before });
  }

  reset() {
    if (this.state.changes.length) this.change([]);
  }

  /**
   * A value that is found anew only when what it hangs on is another.
   * @template T
   * @param {string} key
   * @param {unknown[]} inputs
   * @param {() => T} find
   * @returns {T}
   */
  once(key, inputs, find) {
    const known = this.memory.get(key);
    if (known && known[0].length === inputs.length && known[0].every((v, n) => v === inputs[n])) return known[1];
    const value = find();
    this.memory.set(key, [inputs, value]);
    return value;
  }

  /**
   * @param {number} [n] which network; the one that is looked at
   * @returns {Seen}
   */
  seen(n = this.state.network) {
    const { input, changes } = this.state;
    const [own, reading] = [this.networks[n], this.once(`reading ${n}`, [input], () => this.readers[n].read(input))];
    const base = this.once(`base ${n}`, [input], () => runNetwork(own, reading.x, reading.steps));
    const fitting = this.once(`fitting ${n}`, [changes], () => changes.filter((c) => fits(own, c)));
    return this.once(`seen ${n}`, [input, changes], () => {
      const { net, effects } = applied(own, fitting, reading.steps);
      const run = fitting.length ? runNetwork(net, reading.x, reading.steps, effects) : base;
      return { net, reader: this.readers[n], reading, base, run, effects };
    });
  }

  /** Which output is asked about: the one clicked, or the last step's. */
  target() {
    const { reading, run, net } = this.seen();
    if (this.state.target) return this.state.target;
    const step = reading.steps - 1;
    if (net.output.kind !== "softmax") return { step, output: 0 };
    const size = outputs(net);
    const values = run.values.subarray(step * size, (step + 1) * size);
    return { step, output: values.reduce((best, v, k) => (v > values[best] ? k : best), 0) };
  }

  /**
   * The gradient of the output that is asked about.
   * @param {number} [n]
   */
  gradient(n = this.state.network) {
    const seen = this.seen(n);
    const { step, output } = this.target();
    const last = Math.min(step, seen.run.steps - 1);
    const same = seen.net.output.names.indexOf(this.networks[this.state.network].output.names[output]);
    const k = same >= 0 ? same : Math.min(output, outputs(seen.net) - 1);
    return this.once(`gradient ${n}`, [seen.run, last, k], () => gradient(seen.net, seen.run, last, k, seen.effects));
  }

  /** The units that are shown, in their order, in the layer that is looked at. */
  units() {
    const { layer, step, order, search } = this.state;
    const { run } = this.seen();
    return this.once("units", [run, layer, step, order, search], () => {
      const trace = run.layers[layer];
      const H = trace.c.length / run.steps;
      const kept = [...Array(H).keys()].filter(matching(search, trace, step, H));
      if (order === "number") return kept;
      const key = sorting(order, trace, step, H);
      return kept.sort((a, b) => key(b) - key(a) || a - b);
    });
  }
}

/**
 * @param {string} search numbers such as "3 7", or conditions such as "f > 0.9"
 * @param {import("./lstm.js").Trace} trace
 * @param {number} step
 * @param {number} H
 * @returns {(unit: number) => boolean}
 */
function matching(search, trace, step, H) {
  const words = search.trim();
  if (!words) return () => true;
  const condition = /^([ifgoch])\s*([<>])\s*([-−]?[\d.]+)$/.exec(words);
  if (condition) {
    const values = trace[/** @type {"c"} */ (condition[1])];
    const bound = Number(condition[3].replace("−", "-"));
    return (u) => (condition[2] === ">" ? values[step * H + u] > bound : values[step * H + u] < bound);
  }
  const wanted = new Set(words.split(/[\s,;]+/));
  return (u) => wanted.has(String(u));
}

/**
 * @param {string} order
 * @param {import("./lstm.js").Trace} trace
 * @param {number} step
 * @param {number} H
 * @returns {(unit: number) => number}
 */
function sorting(order, trace, step, H) {
  if (order === "varies") {
    return (u) => {
      let low = Infinity, high = -Infinity;
      for (let t = 0; t < trace.steps; t++) {
        low = Math.min(low, trace.c[t * H + u]);
        high = Math.max(high, trace.c[t * H + u]);
      }
      return high - low;
    };
  }
  if (order === "memory") {
    return (u) => {
      let sum = 0;
      for (let t = 0; t < trace.steps; t++) sum += trace.f[t * H + u];
      return sum / trace.steps;
    };
  }
  const values = trace[/** @type {"c"} */ (order)];
  return (u) => values[step * H + u];
}
