// The steps side by side: the input at each, and the output.

import { css, inkOn } from "./color.js";
import { dress, el, fill, say, visible, write } from "./dom.js";
import { outputAt, speaks } from "./outputs.js";

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
    onscroll: () => fade(list),
    onclick: (/** @type {MouseEvent} */ e) => press(store, e) });
  const element = el("div", {}, names, list);
  new ResizeObserver(() => fade(list)).observe(list);
  let built = "";
  let chosen = -1;
  return {
    element,
    update: () => {
      const seen = store.seen();
      const { kind } = seen.reader;
      const { steps } = seen.reading;
      const lines = rows(seen);
      const plan = [kind, steps, ...lines.map((line) => line.name)].join("\n");
      if (plan !== built) { // else only what differs is touched: a browser's layout is dear
        element.className = `strip ${kind}-kind`;
        fill(names, el("span", {}, "step"), lines.map((line) => el("span", {}, line.name)));
        list.style.gridTemplateColumns = `repeat(${steps}, minmax(${NARROW[kind]}px, 1fr))`;
        fill(list, Array.from({ length: steps }, (_, t) => empty(t, lines.length)));
        fade(list);
      }
      const target = store.target().step;
      for (let t = 0; t < steps; t++) column(store, seen, lines, t, target, isDark(), /** @type {HTMLElement} */ (list.children[t]));
      const { step } = store.state;
      list.setAttribute("aria-activedescendant", `step-${step}`);
      if (chosen !== step || plan !== built) keepInView(list, /** @type {HTMLElement} */ (list.children[step]));
      [chosen, built] = [step, plan];
    },
  };
}

/**
 * Let the edge fade behind which there are more steps.
 * @param {HTMLElement} list
 */
function fade(list) {
  list.classList.toggle("more", list.scrollLeft + list.clientWidth < list.scrollWidth - 2);
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} now
 */
function keepInView(list, now) {
  const [left, right] = [now.offsetLeft - list.offsetLeft, now.offsetLeft - list.offsetLeft + now.offsetWidth];
  if (left < list.scrollLeft) list.scrollLeft = left - 20;
  else if (right > list.scrollLeft + list.clientWidth - 44) list.scrollLeft = right - list.clientWidth + 64;
}

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {(t: number) => { text: string, share?: number | null, wrong?: boolean, output?: boolean }} at
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
  const outputOf = (/** @type {import("./network.js").Run} */ run) => (/** @type {number} */ t) => {
    const { text, share, right } = outputAt(seen, run, t);
    return { text, share, wrong: right === false, output: true };
  };
  lines.push({ name: "output", at: outputOf(seen.run) });
  if (seen.run !== seen.base) lines.push({ name: "untouched", at: outputOf(seen.base) });
  return lines;
}

/**
 * @param {number} t
 * @param {number} lines
 */
function empty(t, lines) {
  return el("div", { role: "option", id: `step-${t}`, "data-step": t },
    el("span", { class: "cell number" }), Array.from({ length: lines }, () => el("span", {})));
}

/**
 * @param {Store} store
 * @param {Seen} seen
 * @param {Line[]} lines
 * @param {number} t
 * @param {number} target
 * @param {boolean} dark
 * @param {HTMLElement} option
 */
function column(store, seen, lines, t, target, dark, option) {
  const here = t === store.state.step;
  const cells = /** @type {HTMLCollectionOf<HTMLElement>} */ (option.children);
  write(cells[0], seen.reader.kind === "tokens" ? String(t) : seen.reading.labels[t]);
  /** @type {string[]} */
  const told = [];
  /** @type {string[]} */
  const texts = [];
  lines.forEach((line, n) => {
    const { text, share, wrong, output } = line.at(t);
    const cell = cells[n + 1];
    const quiet = output && !speaks(seen, t);
    const shaded = share !== null && share !== undefined && !quiet;
    write(cell, text);
    dress(cell, { class: `cell${output ? " output" : ""}${wrong ? " wrong-bit" : ""}${quiet ? " early" : ""}${output && t === target ? " target" : ""}` });
    if (output) {
      cell.dataset.output = line.name;
      texts.push(text);
    }
    const ground = shaded ? css(share, "amount", 1, dark) : "";
    if (cell.dataset.ground !== ground) {
      cell.dataset.ground = ground;
      cell.style.background = ground;
      cell.style.color = shaded ? inkOn(share, "amount", 1, dark) : "";
    }
    told.push(`${line.name} ${text}${wrong && seen.reader.kind === "bits" ? ", wrong" : ""}`);
  });
  const differs = texts.length > 1 && texts[0] !== texts[1];
  dress(option, { class: `step${here ? " here" : ""}${differs ? " differs" : ""}`, "aria-selected": String(here), "aria-label": `step ${t}: ${told.join(", ")}` });
}

/**
 * @param {Store} store
 * @param {MouseEvent} event
 */
function press(store, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const option = /** @type {HTMLElement | null} */ (target.closest("[data-step]"));
  if (!option) return;
  ask(store, Number(option.dataset.step), target.dataset.output !== undefined);
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
