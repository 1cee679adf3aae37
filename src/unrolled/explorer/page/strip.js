// The steps side by side: what is read at each, and what is said.

import { css, inkOn } from "./color.js";
import { el, fill, say, visible } from "./dom.js";
import { saidAt } from "./said.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Seen} Seen */

const NARROW = { bits: 46, tokens: 26, window: 58, numbers: 58 };

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 */
export function strip(store, isDark) {
  const names = el("div", { class: "strip-names", "aria-hidden": "true" });
  const list = el("div", { class: "strip-steps", role: "listbox", tabindex: "0", "aria-label": "steps", "aria-orientation": "horizontal",
    onkeydown: (/** @type {KeyboardEvent} */ e) => walk(store, e),
    onclick: (/** @type {MouseEvent} */ e) => press(store, e) });
  const element = el("div", {}, names, list);
  /** @type {HTMLElement | null} */
  let chosen = null;
  return {
    element,
    update: () => {
      const seen = store.seen();
      const { kind } = seen.reader;
      const changed = seen.run !== seen.base;
      const lines = rows(seen);
      element.className = `strip ${kind}-kind`;
      fill(names, el("span", {}, "step"), lines.map((line) => el("span", {}, line.name)));
      list.style.gridTemplateColumns = `repeat(${seen.reading.steps}, minmax(${NARROW[kind]}px, 1fr))`;
      const target = store.target();
      fill(list, seen.reading.labels.map((label, t) => column(store, seen, lines, label, t, target.step, changed, isDark())));
      const now = /** @type {HTMLElement} */ (list.children[store.state.step]);
      list.setAttribute("aria-activedescendant", now.id);
      if (chosen?.id !== now.id) keepInView(list, now);
      chosen = now;
    },
  };
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} now
 */
function keepInView(list, now) {
  const [left, right] = [now.offsetLeft - list.offsetLeft, now.offsetLeft - list.offsetLeft + now.offsetWidth];
  if (left < list.scrollLeft) list.scrollLeft = left - 20;
  else if (right > list.scrollLeft + list.clientWidth) list.scrollLeft = right - list.clientWidth + 20;
}

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {(t: number) => { text: string, share?: number | null, wrong?: boolean, said?: boolean }} at
 */

/**
 * @param {Seen} seen
 * @returns {Line[]}
 */
function rows(seen) {
  const { reading, reader } = seen;
  /** @type {Line[]} */
  const lines = [];
  if (reader.kind === "tokens") {
    lines.push({ name: "reads", at: (t) => ({ text: visible(reading.labels[t]) }) });
  } else if (reader.kind === "window") {
    lines.push({ name: "reads", at: (t) => ({ text: say(reading.x[t] * reader.told.scale + reading.base, 1) }) });
  } else {
    reader.channels.slice(0, 4).forEach((name, k) =>
      lines.push({ name, at: (t) => ({ text: say(reading.x[t * reader.size + k], reader.kind === "bits" ? 0 : 2) }) }));
  }
  const says = (/** @type {import("./network.js").Run} */ run) => (/** @type {number} */ t) => {
    const { text, share, right } = saidAt(seen, run, t);
    return { text, share, wrong: right === false, said: true };
  };
  lines.push({ name: "says", at: says(seen.run) });
  if (seen.run !== seen.base) lines.push({ name: "untouched", at: says(seen.base) });
  return lines;
}

/**
 * @param {Store} store
 * @param {Seen} seen
 * @param {Line[]} lines
 * @param {string} label
 * @param {number} t
 * @param {number} target
 * @param {boolean} changed
 * @param {boolean} dark
 */
function column(store, seen, lines, label, t, target, changed, dark) {
  const last = seen.reading.steps - 1;
  const cells = lines.map((line) => {
    const { text, share, wrong, said } = line.at(t);
    const quiet = said && seen.net.output.at === "last" && t < last;
    const cell = el("span", { class: `cell${said ? " said" : ""}${wrong ? " wrong-bit" : ""}${quiet ? " early" : ""}${said && t === target ? " target" : ""}` }, text);
    if (said) cell.dataset.said = line.name;
    if (share !== null && share !== undefined && !quiet) {
      cell.style.background = css(share, "amount", 1, dark);
      cell.style.color = inkOn(share, "amount", 1, dark);
    }
    return cell;
  });
  const differs = changed && saidAt(seen, seen.run, t).text !== saidAt(seen, seen.base, t).text;
  const words = lines.map((line) => `${line.name} ${line.at(t).text}${line.at(t).wrong && seen.reader.kind === "bits" ? ", wrong" : ""}`).join(", ");
  const here = t === store.state.step;
  return el("div", { role: "option", id: `step-${t}`, "data-step": t, "aria-selected": String(here),
    class: `step${here ? " here" : ""}${differs ? " differs" : ""}`, "aria-label": `step ${t}: ${words}` },
  el("span", { class: "cell number" }, seen.reader.kind === "tokens" ? String(t) : label), cells);
}

/**
 * @param {Store} store
 * @param {MouseEvent} event
 */
function press(store, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const option = /** @type {HTMLElement | null} */ (target.closest("[data-step]"));
  if (!option) return;
  ask(store, Number(option.dataset.step), target.dataset.said !== undefined);
}

/**
 * @param {Store} store
 * @param {number} step
 * @param {boolean} output whether the output is asked about, not the step alone
 */
function ask(store, step, output) {
  store.set({ step });
  if (!output) return;
  store.set({ target: null });
  const { output: kept } = store.target();
  const { kind } = store.seen().net.output;
  store.set({ target: { step, output: kind === "softmax" ? best(store, step) : kept } });
}

/**
 * @param {Store} store
 * @param {number} step
 */
function best(store, step) {
  const seen = store.seen();
  const size = seen.run.values.length / seen.run.steps;
  return seen.run.values.subarray(step * size, (step + 1) * size).reduce((at, v, k, all) => (v > all[at] ? k : at), 0);
}

/**
 * @param {Store} store
 * @param {KeyboardEvent} event
 */
function walk(store, event) {
  const { step } = store.state;
  const far = event.shiftKey ? 10 : 1;
  if (event.key === "ArrowLeft") store.set({ step: step - far });
  else if (event.key === "ArrowRight") store.set({ step: step + far });
  else if (event.key === "Home") store.set({ step: 0 });
  else if (event.key === "End") store.set({ step: Infinity });
  else if (event.key === "Enter" || event.key === " ") ask(store, step, true);
  else return;
  event.preventDefault();
}
