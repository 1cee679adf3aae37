// The page: reads its data, builds its parts, and shows what the store holds.

import { oneCell } from "./arithmetic.js";
import { compare, named } from "./compare.js";
import { el, fill, say } from "./dom.js";
import { find, seek } from "./find.js";
import { follow, fragment } from "./link.js";
import { mattered } from "./mattered.js";
import { network } from "./network.js";
import { reach } from "./reach.js";
import { inTheEnd } from "./outputs.js";
import { stage } from "./stage.js";
import { Store } from "./store.js";
import { tour, wasSeen } from "./tour.js";
import { watch } from "./watch.js";

const TABS = [
  { id: "watch", name: "Watch", title: "Type and watch", make: watch },
  { id: "cell", name: "One cell", title: "One cell, with its arithmetic", make: oneCell },
  { id: "reach", name: "Reach in", title: "Reach in", make: reach },
  { id: "gradient", name: "What mattered", title: "What mattered", make: mattered },
  { id: "find", name: "Find the unit", title: "Find the unit", make: find },
  { id: "compare", name: "Compare", title: "Compare", make: compare },
];

/** Light or dark: as the system has it, until one is chosen here. */
function theme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => root.dataset.theme === "dark";
  const put = (/** @type {boolean} */ dark) => { root.dataset.theme = dark ? "dark" : "light"; };
  put(system.matches);
  return { isDark, system, put };
}

/** @param {any} told */
function start(told) {
  const store = new Store(told.networks.map(network));
  const { isDark, system, put } = theme();
  const live = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const guide = tour(store);
  const note = el("span", { class: "quiet note", role: "status" });
  const copyLink = () => copy(store, note);
  const above = stage(store, isDark, copyLink);
  const panels = TABS.map((tab) => ({ ...tab, ...tab.make(store, isDark) }));
  const tabs = panels.map((tab) => el("button", { type: "button", role: "tab", id: `tab-${tab.id}`, "aria-controls": "panel", onclick: () => {
    store.set({ tab: tab.id });
    if (tab.id === "find") seek(store);
  } }, tab.name));
  const list = el("div", { class: "tabs", role: "tablist", "aria-label": "activities", onkeydown: (/** @type {KeyboardEvent} */ e) => {
    const now = panels.findIndex((tab) => tab.id === store.state.tab);
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const next = (now + by + tabs.length) % tabs.length;
    store.set({ tab: panels[next].id });
    tabs[next].focus();
    e.preventDefault();
  } }, tabs);
  const title = el("h2", {});
  const place = el("div", { class: "panel-body" });
  const panel = el("section", { class: "panel card", id: "panel", role: "tabpanel", tabindex: "-1" }, title, place);
  const choice = el("select", { "aria-label": "which network", onchange: () => store.turn(Number(choice.value)) },
    store.networks.map((_, n) => el("option", { value: n }, named(store, n))));
  const about = el("span", { class: "quiet" });
  const broken = el("p", { class: "broken", role: "alert" });
  const theming = el("button", { type: "button", class: "tool", "aria-label": "light or dark", onclick: () => { put(!isDark()); store.ask(); } }, "◐");
  fill(/** @type {HTMLElement} */ (document.getElementById("app")),
    el("header", { class: "top" },
      el("div", { class: "name" }, el("h1", {}, "unrolled"), el("span", { class: "run" }, told.title), about),
      el("div", { class: "tools" }, note, store.networks.length > 1 && choice, el("button", { type: "button", class: "tool", onclick: () => guide.start() }, "Show me round"), theming)),
    broken, el("main", {}, above.element, el("div", { class: "side-column" }, list, panel)),
    el("footer", { class: "quiet" }, "Everything here is computed in this page, from the weights inside it: E1–E6 as in equations.py, forward and backward. Nothing is loaded from anywhere, nothing is sent."),
    live, guide.element);
  let shown = "";
  store.listen(() => {
    const { state } = store;
    const active = panels.find((tab) => tab.id === state.tab) ?? panels[0];
    above.update();
    if (shown !== active.id) {
      fill(place, active.element);
      title.textContent = active.title;
      panel.setAttribute("aria-labelledby", `tab-${active.id}`);
      shown = active.id;
    }
    tabs.forEach((button, n) => {
      button.setAttribute("aria-selected", String(panels[n] === active));
      button.tabIndex = panels[n] === active ? 0 : -1;
    });
    active.update();
    choice.value = String(state.network);
    const net = store.networks[state.network];
    about.textContent = net.about;
    broken.textContent = net.broken ? `${net.broken} of this network’s weights are not finite: what is computed from them is not a number, and is drawn as grey squares.` : "";
    live.textContent = announced(store);
  });
  system.addEventListener("change", () => { put(system.matches); store.ask(); });
  document.addEventListener("keydown", (e) => {
    const typing = e.target instanceof HTMLInputElement && e.target.type !== "range" || e.target instanceof HTMLTextAreaElement;
    if ((e.ctrlKey || e.metaKey) && e.key === "z" && !typing) {
      e.preventDefault();
      store.undo();
    }
  });
  const linked = location.hash.length > 1 && follow(store, location.hash);
  addEventListener("hashchange", () => follow(store, location.hash));
  store.ask();
  if (!linked && !wasSeen()) requestAnimationFrame(() => guide.start());
  Object.assign(window, { unrolled: { store, trace: (/** @type {number | undefined} */ n) => trace(store, n) } });
}

/**
 * What a screen reader hears when something else is chosen.
 * @param {Store} store
 */
function announced(store) {
  const { step, unit, layer } = store.state;
  const seen = store.seen();
  const n = step * seen.net.layers[layer].hiddenSize + unit;
  const s = seen.run.layers[layer];
  const changed = seen.run === seen.base ? "" : `, untouched ${inTheEnd(seen, seen.base)}`;
  return `Step ${step}, unit ${unit}: c ${say(s.c[n], 2)}, h ${say(s.h[n], 2)}. Output: ${inTheEnd(seen, seen.run)}${changed}.`;
}

/**
 * @param {Store} store
 * @param {HTMLElement} note
 */
async function copy(store, note) {
  const address = fragment(store);
  try {
    history.replaceState(null, "", address);
  } catch {
    // a page in a notebook has no address
  }
  try {
    await navigator.clipboard.writeText(location.href.split("#")[0] + address);
    note.textContent = "The link is copied.";
  } catch {
    note.textContent = "The link is in the address bar.";
  }
  setTimeout(() => { note.textContent = ""; }, 3000);
}

/**
 * The same as `unrolled explore --json`, of what is looked at: for the console.
 * @param {Store} store
 * @param {number} [n] which network
 */
function trace(store, n) {
  const { reading, run, net } = store.seen(n);
  const rows = (/** @type {Float64Array} */ array) => {
    const n = array.length / run.steps;
    return Array.from({ length: run.steps }, (_, t) => [...array.subarray(t * n, (t + 1) * n)]);
  };
  return {
    name: net.name,
    steps: reading.labels,
    x: rows(reading.x),
    layers: run.layers.map((s, n) => ({ name: `l${n}`, i: rows(s.i), f: rows(s.f), g: rows(s.g), o: rows(s.o), c: rows(s.c), h: rows(s.h) })),
    logits: rows(run.logits),
    values: rows(run.values),
  };
}

start(JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent ?? ""));
