// A network's output at a step, in words and numbers.

import { outputs } from "./network.js";
import { say, visible } from "./dom.js";

/** @typedef {import("./store.js").Seen} Seen */
/** @typedef {import("./network.js").Run} Run */

/**
 * A value of the output, in the series' own units where it has some.
 * @param {Seen} seen
 * @param {Run} run
 * @param {number} step
 * @param {number} k
 */
export function own(seen, run, step, k) {
  const { output } = seen.net;
  const value = run.values[step * outputs(seen.net) + k];
  const { units } = seen.reading;
  if (units) {
    const row = Math.min(Math.max(step - units.first, 0), units.base.length - 1);
    return units.base[row][k] + value * units.scale[row][k];
  }
  return output.scale ? seen.reading.base + value * output.scale[k] : value;
}

/**
 * Whether the network was trained to say something at a step.
 * @param {Seen} seen
 * @param {number} step
 */
export function speaks(seen, step) {
  const { steps, units } = seen.reading;
  return seen.net.output.at === "last" ? step === steps - 1 : step >= (units?.first ?? 0);
}

/**
 * How many of the outputs are no ends of an interval.
 * @param {Seen} seen
 */
export function forecasts(seen) {
  return outputs(seen.net) / (seen.net.output.interval ? 3 : 1);
}

/**
 * The likeliest outputs at a step: their places and probabilities.
 * @param {Seen} seen
 * @param {Run} run
 * @param {number} step
 * @param {number} count
 */
export function likeliest(seen, run, step, count) {
  const size = outputs(seen.net);
  const values = run.values.subarray(step * size, (step + 1) * size);
  return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, count)
    .map((k) => ({ output: k, share: values[k] }));
}

/**
 * The output at a step, as short as the strip has room for, and how sure that is.
 * @param {Seen} seen
 * @param {Run} run
 * @param {number} step
 * @returns {{ text: string, share: number | null, right: boolean | null }}
 */
export function outputAt(seen, run, step) {
  const { output } = seen.net;
  const truth = seen.reading.truth[step];
  if (output.kind === "sigmoid") {
    const share = own(seen, run, step, 0);
    if (Number.isNaN(share)) return { text: "?", share: NaN, right: null };
    const bit = share > 0.5 ? 1 : 0;
    return { text: String(bit), share, right: truth === null ? null : bit === truth };
  }
  if (output.kind === "softmax") {
    const size = outputs(seen.net);
    let best = 0;
    for (let k = 1; k < size; k++) if (run.values[step * size + k] > run.values[step * size + best]) best = k;
    if (Number.isNaN(run.values[step * size])) return { text: "?", share: NaN, right: null };
    return { text: visible(output.names[best]), share: run.values[step * size + (truth ?? best)], right: truth === null ? null : best === truth };
  }
  return { text: say(own(seen, run, step, 0), 2), share: null, right: null };
}

/**
 * The whole output in the end, in one line.
 * @param {Seen} seen
 * @param {Run} run
 */
export function inTheEnd(seen, run) {
  const last = seen.reading.steps - 1;
  const { output } = seen.net;
  if (seen.reader.kind === "bits") {
    let sum = 0n;
    for (let t = 0; t <= last; t++) {
      const share = run.values[t];
      if (Number.isNaN(share)) return "not a number";
      if (share > 0.5) sum |= 1n << BigInt(t);
    }
    return String(sum);
  }
  if (output.kind === "softmax") return outputAt(seen, run, last).text;
  return Array.from({ length: Math.min(3, forecasts(seen)) }, (_, k) => say(own(seen, run, last, k))).join(", ") +
    (forecasts(seen) > 3 ? ", …" : "");
}

/**
 * What an output is called.
 * @param {Seen} seen
 * @param {number} k
 */
export function outputName(seen, k) {
  const name = seen.net.output.names[k];
  return seen.reader.kind === "tokens" ? `“${visible(name)}”` : name;
}

/**
 * The number whose gradient is taken, in words.
 * @param {Seen} seen
 * @param {number} step
 * @param {number} k
 */
export function asked(seen, step, k) {
  const { kind } = seen.net.output;
  if (kind === "sigmoid") return `the vote for 1 at step ${step} (before σ)`;
  if (kind === "softmax") return `log p of ${outputName(seen, k)} after step ${step}`;
  return `${outputName(seen, k)} at step ${step}`;
}
