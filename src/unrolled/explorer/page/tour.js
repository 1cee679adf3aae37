// The first visit: five short steps, which can be skipped at any time.

import { el, fill, say } from "./dom.js";
import { closest, findings } from "./find.js";
import { runNetwork } from "./network.js";
import { joined } from "./reach.js";

/** @typedef {import("./store.js").Store} Store */
/** `left`: the card stands at the left, as the panel is what it speaks of.
 * @typedef {{ title: string, text: string, show: Partial<import("./store.js").State>, at: string, left?: boolean }} Stop
 */

/**
 * The carry of one addition.
 * @param {Store} store
 * @returns {Stop[]}
 */
function carry(store) {
  const { found, by } = findings(store);
  const best = closest(by.r[0], 4);
  const unit = best[0];
  const input = { a: "11", b: "6" };
  const clean = { input, layer: 0, changes: [], target: null, view: /** @type {const} */ ("changed"), order: "number", search: "" };
  const kill = best.filter((u) => Math.abs(by.r[0][u]) > 0.7).reduce((changes, u) => joined(changes, {
    kind: "put", layer: 0, unit: u, from: null, to: null, h: by.absent[0].h[u], c: by.absent[0].c[u],
  }), /** @type {import("./changes.js").Change[]} */ ([]));
  const many = kill.length > 1 ? `units ${kill.map((c) => (c.kind === "put" ? c.unit : "")).join(", ")}` : `unit ${unit}`;
  const name = found.properties[0].name;
  return [
    { title: "11 + 6, bit by bit", at: ".strip", show: { ...clean, step: 0, unit, tab: "watch" },
      text: "The network reads one bit of each number at a time, the lowest first, and gives one bit of the sum. It never sees the whole numbers." },
    { title: "1 + 1: something has to be carried", at: ".step[data-step='1']", show: { ...clean, step: 1, unit, tab: "watch" },
      text: "At step 1 both bits are 1. The sum’s bit is 0, and a one has to be carried. Nothing in the next input will say so: it has to be remembered." },
    { title: `Unit ${unit} remembers it`, at: ".maps", show: { ...clean, step: 2, unit, tab: "find", property: 0 },
      text: `Over many sums, unit ${unit} follows ${name} most closely. Look along its row of h: it turns at step 1, and back when the carry is used up.` },
    { title: "How one number is kept", at: ".panel", left: true, show: { ...clean, step: 2, unit, tab: "cell" },
      text: `This is that unit’s cell. What it held is multiplied by the forget gate f; what is new, i times g, is added. ${kept(store, unit)}` },
    { title: "Take it away", at: ".editor", left: true, show: { ...clean, step: 2, unit, tab: "find", property: 0, changes: kill },
      text: `Now ${many} ${kill.length > 1 ? "are" : "is"} put to what ${kill.length > 1 ? "they have" : "it has"} when there is no carry. Sums that need one break, sums that need none stay right. Undo, and try what else breaks it.` },
  ];
}

/**
 * How the carry gets from step 1 to step 2 in this network.
 * @param {Store} store
 * @param {number} unit
 */
function kept(store, unit) {
  const { network } = store.state;
  const { x, steps } = store.readers[network].read({ a: "11", b: "6" });
  const { f } = runNetwork(store.networks[network], x, steps).layers[0];
  const open = f[2 * (f.length / steps) + unit];
  return open > 0.5 ? `Here f is ${say(open, 2)}: most of what was there stays.`
    : `Here f is ${say(open, 2)}: little stays, and the carry is written anew, from the units' outputs at the step before.`;
}

/**
 * The same way through any other network.
 * @param {Store} store
 * @returns {Stop[]}
 */
function others(store) {
  const { kind } = store.readers[store.state.network];
  const steps = store.seen().reading.steps;
  const reads = { tokens: "a text, piece by piece, and predicts what comes next", window: "values one by one, and predicts what follows", numbers: "numbers one by one", bits: "" }[kind];
  const middle = Math.floor(steps / 2);
  const clean = { changes: [], target: null, view: /** @type {const} */ ("changed"), order: "number", search: "" };
  return [
    { title: "What is read, step by step", at: ".strip", show: { ...clean, step: 0, tab: "watch" }, text: `This network reads ${reads}. Each column is one step.` },
    { title: "Inside, at every step", at: ".maps", show: { ...clean, step: middle, tab: "watch" }, text: "Six maps show everything inside it: three gates that open and close, what is put in, the cell that keeps it, and what is let out." },
    { title: "One cell, in numbers", at: ".panel", left: true, show: { ...clean, step: middle, tab: "cell" }, text: "The cell keeps f times what it held, and adds i times g. Every number can be followed down to the weights that made it." },
    { title: "Reach in", at: ".panel", left: true, show: { ...clean, step: middle, tab: "reach" }, text: "Set a gate by hand, hold a cell, cut the way through time: the output appears beside what it would have been." },
    { title: "What mattered", at: ".panel", left: true, show: { ...clean, step: middle, tab: "gradient" }, text: "And this is how far each moment of the past mattered for the output: the exact gradient, computed here." },
  ];
}

const SEEN = "unrolled: the tour was seen";

/** Whether this browser was here before; where it keeps nothing, it was. */
export function wasSeen() {
  try {
    return localStorage.getItem(SEEN) !== null;
  } catch {
    return true;
  }
}

/** @param {Store} store */
export function tour(store) {
  const title = el("h2", { id: "tour-title" });
  const text = el("p", { id: "tour-text" });
  const count = el("span", { class: "quiet" });
  const next = el("button", { type: "button", class: "primary", onclick: () => go(now + 1) }, "Next");
  const back = el("button", { type: "button", class: "tool", onclick: () => go(now - 1) }, "Back");
  const skip = el("button", { type: "button", class: "tool", onclick: () => end() }, "Skip");
  const card = el("section", { class: "tour", role: "dialog", "aria-labelledby": "tour-title", "aria-describedby": "tour-text", hidden: true,
    onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Escape") end(); } },
  count, title, text, el("div", { class: "tour-row" }, skip, el("span", { class: "spring" }), back, next));
  let now = 0;
  /** @type {Stop[]} */
  let stops = [];
  /** @type {Element | null} */
  let lit = null;
  /** @type {HTMLElement | null} */
  let before = null;
  const go = (/** @type {number} */ to) => {
    if (to >= stops.length) return end();
    now = Math.max(0, to);
    const stop = stops[now];
    if ("changes" in stop.show && stop.show.changes) store.change(stop.show.changes, "tour");
    store.set(stop.show);
    title.textContent = stop.title;
    text.textContent = stop.text;
    fill(count, `${now + 1} of ${stops.length}`);
    card.classList.toggle("left", stop.left === true);
    back.disabled = now === 0;
    next.textContent = now === stops.length - 1 ? "Done" : "Next";
    requestAnimationFrame(() => requestAnimationFrame(() => light(stop.at)));
    next.focus();
  };
  const light = (/** @type {string} */ at) => {
    lit?.classList.remove("lit");
    lit = card.hidden ? null : document.querySelector(at);
    lit?.classList.add("lit");
    lit?.scrollIntoView({ block: "center", behavior: "auto" });
  };
  const end = () => {
    card.hidden = true;
    lit?.classList.remove("lit");
    document.body.classList.remove("touring");
    try {
      localStorage.setItem(SEEN, "yes");
    } catch {
      // a page in a notebook keeps nothing
    }
    before?.focus();
  };
  const start = () => {
    before = /** @type {HTMLElement | null} */ (document.activeElement);
    stops = store.readers[store.state.network].kind === "bits" ? carry(store) : others(store);
    card.hidden = false;
    document.body.classList.add("touring");
    go(0);
  };
  return { element: card, start };
}
