// What a network reads: from what is typed or drawn to x [T, I].  The same as explorable.py.

import { unpack } from "./network.js";

/**
 * @typedef {object} Reading
 * @property {Float64Array} x [T, I]
 * @property {number} steps T
 * @property {string[]} labels a word for each step
 * @property {(number | null)[]} truth what would be right at each step, where that is known
 * @property {number} base what a forecast counts from
 * @property {Units | null} units what the outputs are in their own units, where that hangs on the input
 * @property {number[]} ahead what followed, of a series
 */

/**
 * From where and by how much the head's numbers count: from the step `first` on, a row for each.
 * @typedef {{ first: number, base: number[][], scale: number[][] }} Units
 */

/**
 * @typedef {object} Reader
 * @property {"bits" | "tokens" | "window" | "numbers"} kind
 * @property {number} size I
 * @property {string[]} channels a word for each number of x at a step, where there are few
 * @property {() => any} first the input that is there to begin with
 * @property {(input: any) => Reading} read
 * @property {(text: string, input: any) => any} parse what was typed as an input; an Error says what is wrong
 * @property {(input: any) => string} print an input as it would be typed
 * @property {any} told
 */

export const MOST_STEPS = 400;

/**
 * @param {any} told a network's `inputs` in the payload
 * @returns {Reader}
 */
export function reader(told) {
  switch (told.kind) {
    case "bits":
      return bits(told);
    case "tokens":
      return tokens(told);
    case "window":
      return stretch(told);
    case "numbers":
      return numbers(told);
    default:
      throw new Error(`this page does not know inputs of the kind ${told.kind}.`);
  }
}

/**
 * @param {any} told
 * @returns {Reader}
 */
function bits(told) {
  /** @param {string} text */
  const parse = (text) => {
    const words = text.replace(/\+/g, " ").trim().split(/\s+/);
    if (words.length !== 2 || !words.every((w) => /^[0-9]+$/.test(w))) {
      throw new Error("Type two whole numbers, such as 11 + 6.");
    }
    if (words.some((w) => w.length > 120)) throw new Error("A number may have 120 digits here.");
    return { a: words[0], b: words[1] };
  };
  return {
    kind: "bits",
    size: 2,
    channels: ["a", "b"],
    told,
    first: () => parse(told.example),
    parse,
    print: ({ a, b }) => `${a} + ${b}`,
    read: ({ a, b }) => {
      const [p, q] = [BigInt(a), BigInt(b)];
      const length = (/** @type {bigint} */ n) => (n === 0n ? 0 : n.toString(2).length);
      const steps = Math.max(length(p + q), length(p) + 1, length(q) + 1);
      const x = new Float64Array(steps * 2);
      const bit = (/** @type {bigint} */ n, /** @type {number} */ t) => Number((n >> BigInt(t)) & 1n);
      const truth = [];
      for (let t = 0; t < steps; t++) {
        x[2 * t] = bit(p, t);
        x[2 * t + 1] = bit(q, t);
        truth.push(bit(p + q, t));
      }
      const labels = truth.map((_, t) => String(t));
      return { x, steps, labels, truth, base: 0, units: null, ahead: [] };
    },
  };
}

const WORD = "[\\p{L}\\p{N}_]+(?:['\u2019][\\p{L}\\p{N}_]+)*";

/**
 * @param {string} text
 * @param {"characters" | "words"} unit
 * @returns {string[]}
 */
export function cut(text, unit) {
  if (unit === "characters") return [...text];
  const found = text.match(new RegExp(`${WORD}|[^\\p{L}\\p{N}_]`, "gu")) ?? [];
  const isWord = (/** @type {string | undefined} */ token) => token !== undefined && /^[\p{L}\p{N}_]/u.test(token);
  return found.filter((token, n) => !(token === " " && isWord(found[n - 1]) && isWord(found[n + 1])));
}

/**
 * @param {any} told
 * @returns {Reader}
 */
function tokens(told) {
  const table = new Map(told.tokens.map((/** @type {string} */ token, /** @type {number} */ n) => [token, n]).slice(1));
  const vectors = told.vectors ? unpack(told.vectors) : null;
  const size = vectors ? told.vectors.shape[1] : told.tokens.length;
  return {
    kind: "tokens",
    size,
    channels: [],
    told,
    first: () => ({ text: told.example }),
    parse: (text) => {
      const count = cut(text, told.unit).length;
      if (count < 1) throw new Error("Type at least one character.");
      if (count > MOST_STEPS) throw new Error(`${count} ${told.unit} are too many: up to ${MOST_STEPS} can be shown.`);
      return { text };
    },
    print: ({ text }) => text,
    read: ({ text }) => {
      const labels = cut(text, told.unit);
      const ids = labels.map((token) => table.get(token) ?? 0);
      const x = new Float64Array(ids.length * size);
      ids.forEach((id, t) => {
        if (vectors) x.set(vectors.subarray(id * size, (id + 1) * size), t * size);
        else x[t * size + id] = 1;
      });
      return { x, steps: ids.length, labels, truth: ids.map((_, t) => ids[t + 1] ?? null), base: 0, units: null, ahead: [] };
    },
  };
}

/**
 * @param {string} text
 * @returns {number[]}
 */
function listed(text) {
  const values = text.trim().split(/[\s,;]+/).map(Number);
  if (text.trim() === "" || !values.every(Number.isFinite)) throw new Error("Type numbers with spaces between.");
  if (values.length > MOST_STEPS) throw new Error(`${values.length} numbers are too many: up to ${MOST_STEPS} can be shown.`);
  return values;
}

/**
 * A number in as few digits as tell it from others; of a float32, from other float32s.
 * @param {number} value
 */
function printed(value) {
  if (Math.fround(value) !== value) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

/**
 * An input is {values, start}: where in the series the values stand, or null where drawn by hand.
 * @param {any} told
 * @returns {Reader}
 */
function stretch(told) {
  return {
    kind: "window",
    size: 1,
    channels: ["value"],
    told,
    first: () => ({ values: told.values.slice(0, told.length), start: 0 }),
    parse: (text) => ({ values: listed(text), start: null }),
    print: ({ values }) => values.map(String).join(" "),
    read: ({ values, start }) => {
      const base = told.base ?? values[values.length - 1];
      const x = Float64Array.from(values, (/** @type {number} */ v) => (v - base) / told.scale);
      const end = start === null ? 0 : start + values.length;
      const labels = values.map((/** @type {number} */ _, /** @type {number} */ t) =>
        start === null ? String(t) : told.labels[start + t]);
      const ahead = start === null ? [] : told.values.slice(end);
      return { x, steps: x.length, labels, truth: labels.map(() => null), base, units: null, ahead };
    },
  };
}

/**
 * An input is {rows, of}: T rows of I numbers, and the example that they are or were before they
 * were changed.
 * @param {any} told
 * @returns {Reader}
 */
function numbers(told) {
  const I = told.names.length;
  return {
    kind: "numbers",
    size: I,
    channels: told.names,
    told,
    first: () => ({ rows: example(told, 0), of: 0 }),
    parse: (text, input) => {
      const of = Number.isInteger(input?.of) && told.examples[input.of] ? input.of : 0;
      if (I === 1) return { rows: listed(text).map((v) => [v]), of };
      const rows = text.trim().split(/[,;\n]+/).map((row) => row.trim().split(/\s+/).map(Number));
      if (!rows.every((row) => row.length === I && row.every(Number.isFinite))) {
        throw new Error(`Type ${I} numbers for each step, with a comma between two steps.`);
      }
      if (rows.length > MOST_STEPS) throw new Error(`${rows.length} steps are too many: up to ${MOST_STEPS} can be shown.`);
      return { rows, of };
    },
    print: ({ rows }) => rows.map((/** @type {number[]} */ row) => row.map(printed).join(" ")).join(I === 1 ? " " : ", "),
    read: ({ rows, of }) => {
      const steps = rows.length;
      const { labels: words, units } = told.examples[of] ?? told.examples[0];
      const named = words?.length === steps;
      const labels = rows.map((/** @type {number[]} */ _, /** @type {number} */ t) => (named ? words[t] : String(t)));
      const truth = labels.map((/** @type {string} */ _, /** @type {number} */ t) =>
        told.target === "first" && t === steps - 1 ? rows[0][0] : null);
      return { x: Float64Array.from(rows.flat()), steps, labels, truth, base: 0, units, ahead: [] };
    },
  };
}

/**
 * @param {any} told
 * @param {number} n
 * @returns {number[][]}
 */
export function example(told, n) {
  const { x } = told.examples[n];
  const flat = unpack(x);
  const I = told.names.length;
  return Array.from({ length: flat.length / I }, (_, t) => [...flat.subarray(t * I, (t + 1) * I)]);
}
