// Where the input is edited: two numbers, a text, a stretch of a series, or any numbers.

import { Chart } from "./chart.js";
import { example } from "./inputs.js";
import { el, fill, say } from "./dom.js";
import { forecasts, inTheEnd, own, outputAt } from "./outputs.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Seen} Seen */
/** @typedef {{ element: HTMLElement, update: () => void }} Part */

/**
 * @param {Store} store
 * @returns {Part}
 */
export function editor(store) {
  const { kind } = store.readers[store.state.network];
  const note = el("p", { class: "wrong", role: "alert" });
  const make = { bits, tokens, window: stretch, numbers }[kind];
  const part = make(store, (text) => typed(store, text, note));
  return { element: el("div", { class: `editor ${kind}` }, part.element, note), update: part.update };
}

/**
 * Take what was typed, or say what is wrong with it and leave the rest as it is.
 * @param {Store} store
 * @param {string} text
 * @param {HTMLElement} note
 */
function typed(store, text, note) {
  try {
    const input = store.readers[store.state.network].parse(text, store.state.input);
    note.textContent = "";
    store.set({ input, target: null });
  } catch (error) {
    note.textContent = error instanceof Error ? error.message : String(error);
  }
}

/**
 * @param {string} label
 * @param {() => void} done
 */
function pick(label, done) {
  return el("button", { type: "button", class: "pick", onclick: done }, label);
}

/**
 * @param {Store} store
 * @param {(text: string) => void} take
 * @returns {Part}
 */
function bits(store, take) {
  const field = (/** @type {string} */ name) => el("input", {
    type: "text", inputmode: "numeric", "aria-label": name, autocomplete: "off", spellcheck: "false",
    oninput: () => take(`${a.value} + ${b.value}`),
  });
  const a = field("first number"), b = field("second number");
  const sum = el("output", { class: "sum", "aria-label": "the sum by the network" });
  const verdict = el("span", { class: "verdict" });
  const some = ["11 + 6", "57 + 68", "127 + 1", "1023 + 1023"];
  const picks = some.map((text) => pick(text, () => take(text)));
  const draw = () => Math.floor(Math.random() * 128);
  return {
    element: el("div", {},
      el("div", { class: "sum-line" }, a, el("span", { class: "plus" }, "+"), b, el("span", { class: "plus" }, "="), sum, verdict),
      el("div", { class: "picks" }, "Try", picks, pick("two at random", () => take(`${draw()} + ${draw()}`)))),
    update: () => {
      const { input } = store.state;
      for (const [box, value] of /** @type {[HTMLInputElement, string][]} */ ([[a, input.a], [b, input.b]])) {
        if (document.activeElement !== box) box.value = value;
      }
      for (const box of [a, b]) box.style.width = `${Math.max(4, Math.min(24, box.value.length + 2))}ch`;
      const seen = store.seen();
      const output = inTheEnd(seen, seen.run);
      const right = String(BigInt(input.a) + BigInt(input.b));
      sum.textContent = output;
      verdict.textContent = output === right ? "right" : `it is ${right}`;
      verdict.className = output === right ? "verdict good" : "verdict bad";
    },
  };
}

/**
 * @param {Store} store
 * @param {(text: string) => void} take
 * @returns {Part}
 */
function tokens(store, take) {
  const { told } = store.readers[store.state.network];
  const box = el("textarea", { rows: "3", "aria-label": "the text that is read", spellcheck: "false", oninput: () => take(box.value) });
  const more = el("p", { class: "quiet" });
  const stretch = () => {
    const all = [...told.passage];
    const from = Math.floor(Math.random() * Math.max(1, all.length - 90));
    take(all.slice(from, from + 90).join(""));
  };
  return {
    element: el("div", {}, box,
      el("div", { class: "picks" }, pick("the first text", () => take(told.example)),
        told.passage && pick("another passage", stretch), more)),
    update: () => {
      if (document.activeElement !== box) box.value = store.state.input.text;
      const seen = store.seen();
      const known = seen.reading.truth.filter((v) => v !== null).length;
      const right = seen.reading.labels.filter((_, t) => outputAt(seen, seen.run, t).right).length;
      more.textContent = known ? `${right} of ${known} next ${told.unit} foretold` : "";
    },
  };
}

/**
 * @param {Store} store
 * @param {(text: string) => void} take
 * @returns {Part}
 */
function stretch(store, take) {
  const { told } = store.readers[store.state.network];
  const chart = new Chart(told.name, (step, change) => {
    const values = store.state.input.values.slice();
    values[step] = change(values[step]);
    store.set({ input: { values, start: null }, step });
  }, store);
  const most = Math.max(0, told.values.length - told.length);
  const slider = el("input", { type: "range", min: "0", max: String(most), "aria-label": "where in the series",
    oninput: () => {
      const start = Number(slider.value);
      store.set({ input: { values: told.values.slice(start, start + told.length), start }, target: null });
    } });
  const where = el("span", { class: "quiet" });
  const box = listBox(take);
  return {
    element: el("div", {}, chart.element,
      el("label", { class: "slide" }, el("span", {}, "Place in the series"), slider, where), box.element),
    update: () => {
      const seen = store.seen();
      const { values, start } = store.state.input;
      const count = forecasts(seen);
      const last = seen.reading.steps - 1;
      const forecast = (/** @type {import("./network.js").Run} */ run) => Array.from({ length: count }, (_, k) => own(seen, run, last, k));
      const end = (/** @type {number} */ n) => Array.from({ length: count }, (_, k) => own(seen, seen.run, last, n * count + k));
      const after = [];
      const ahead = seen.reading.ahead.slice(0, count);
      if (ahead.length) after.push({ name: "", values: ahead, kind: /** @type {const} */ ("truth") });
      if (seen.run !== seen.base) after.push({ name: "", values: forecast(seen.base), kind: /** @type {const} */ ("before") });
      after.push({ name: "", values: forecast(seen.run), kind: /** @type {const} */ ("output") });
      const { interval } = seen.net.output;
      if (interval) for (const n of [1, 2]) after.push({ name: n === 1 ? `${interval}, as this network has it` : null, values: end(n), kind: /** @type {const} */ ("end") });
      const labels = Array.from({ length: values.length + count }, (_, t) =>
        start === null ? (t <= last ? String(t) : `+${t - last}`) : told.labels[start + t] ?? "");
      chart.show({ values, after, labels, step: store.state.step, range: null });
      if (start !== null) slider.value = String(start);
      where.textContent = start === null ? "drawn by hand" : `from ${told.labels[start]}`;
      box.show(store.readers[store.state.network].print(store.state.input));
    },
  };
}

/**
 * @param {(text: string) => void} take
 */
function listBox(take) {
  const box = el("input", { type: "text", class: "list", "aria-label": "the numbers that are read", spellcheck: "false", autocomplete: "off", oninput: () => take(box.value) });
  return {
    element: box,
    show: (/** @type {string} */ text) => {
      if (document.activeElement !== box) box.value = text;
    },
  };
}

/**
 * @param {Store} store
 * @param {(text: string) => void} take
 * @returns {Part}
 */
function numbers(store, take) {
  const { told } = store.readers[store.state.network];
  const box = listBox(take);
  const result = el("p", { class: "sum-line small" });
  const chart = told.names.length > 1 ? null : new Chart(told.names[0], (step, change) => {
    const rows = store.state.input.rows.slice();
    rows[step] = [change(rows[step][0])];
    store.set({ input: { ...store.state.input, rows }, step });
  }, store);
  const picks = told.examples.map((/** @type {{ name: string }} */ { name }, /** @type {number} */ n) =>
    pick(name, () => store.set({ input: { rows: example(told, n), of: n }, target: null })));
  const random = () => {
    const draw = () => Number((told.low + Math.random() * (told.high - told.low)).toFixed(2));
    store.set({ input: { ...store.state.input, rows: store.state.input.rows.map((/** @type {number[]} */ row) => row.map(draw)) }, target: null });
  };
  return {
    element: el("div", {}, chart && chart.element, box.element,
      el("div", { class: "picks" }, "Try", picks, pick("numbers at random", random)), result),
    update: () => {
      const seen = store.seen();
      chart?.show({ values: store.state.input.rows.map((/** @type {number[]} */ row) => row[0]), after: [],
        labels: seen.reading.labels, step: store.state.step, range: [told.low, told.high] });
      box.show(store.readers[store.state.network].print(store.state.input));
      const truth = seen.reading.truth[seen.reading.steps - 1];
      fill(result, "Its output in the end is ", el("output", { class: "sum" }, inTheEnd(seen, seen.run)),
        truth !== null && el("span", { class: "quiet" }, ` and the first number was ${say(truth)}`));
    },
  };
}
