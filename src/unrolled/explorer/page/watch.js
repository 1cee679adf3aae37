// 1. Type and watch: the units at the selected step, sorted and searched; the output there.

import { dress, el, fill, say, segments, write } from "./dom.js";
import { likeliest, outputName, own, speaks } from "./outputs.js";
import { outputs } from "./network.js";

/** @typedef {import("./store.js").Store} Store */

const COLUMNS = /** @type {const} */ (["i", "f", "g", "o", "c", "h"]);

/** @param {Store} store */
export function watch(store) {
  const order = segments("sort the units of the maps by", [
    { value: "number", text: "number" },
    { value: "c", text: "c here", hint: "the cell at the selected step, largest first" },
    { value: "varies", text: "c’s range", hint: "how far the cell moves over the steps" },
    { value: "memory", text: "mean f", hint: "how far the forget gate stays open" },
  ], (value) => store.set({ order: value }));
  const search = el("input", { type: "search", placeholder: "3 7, or f > 0.9", "aria-label": "search units: numbers such as 3 7, or a condition such as f > 0.9",
    oninput: () => store.set({ search: search.value }) });
  const head = el("h3", {});
  const body = el("tbody", {});
  const table = el("table", { class: "units" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "unit"), COLUMNS.map((q) =>
      el("th", { scope: "col" }, el("button", { type: "button", title: `sort by ${q} at this step`, onclick: () => store.set({ order: q }) }, el("var", {}, q)))))),
    body);
  const output = el("div", { class: "output-here" });
  const none = el("p", { class: "quiet" });
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "Change what is read, above or to the left. Each map shows one quantity: time runs to the right, and each row is a unit. Click a map to choose a step and a unit."),
      el("div", { class: "row" }, el("span", { class: "row-name" }, "Sort units by"), order.element),
      el("div", { class: "row" }, el("span", { class: "row-name" }, "Find units"), search),
      output, head, el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "units at this step" }, table), none),
    update: () => {
      const { step, layer, unit, order: by, search: words } = store.state;
      const seen = store.seen();
      const trace = seen.run.layers[layer];
      const H = seen.net.layers[layer].hiddenSize;
      order.show(by);
      if (document.activeElement !== search) search.value = words;
      const units = store.units();
      head.textContent = `The units at step ${step}`;
      none.textContent = units.length ? "" : "No unit is like that. Type numbers such as 3 7, or a condition such as f > 0.9.";
      if (body.children.length !== units.length) fill(body, units.map(() => row(store)));
      units.forEach((u, n) => {
        const [head, ...cells] = body.children[n].children;
        dress(body.children[n], { class: u === unit ? "here" : "" });
        const button = /** @type {HTMLElement} */ (head.firstElementChild);
        write(button, String(u));
        dress(button, { "aria-pressed": String(u === unit) });
        COLUMNS.forEach((q, k) => write(cells[k], say(trace[q][step * H + u], 2)));
      });
      fill(output, ...outputHere(store));
    },
  };
}

/** @param {Store} store */
function row(store) {
  const choose = (/** @type {MouseEvent} */ e) => store.set({ unit: Number(/** @type {HTMLElement} */ (e.currentTarget).textContent) });
  return el("tr", {}, el("th", { scope: "row" }, el("button", { type: "button", onclick: choose })), COLUMNS.map(() => el("td", {})));
}

/**
 * @param {Store} store
 */
function outputHere(store) {
  const seen = store.seen();
  const { step } = store.state;
  const { output } = seen.net;
  const title = el("h3", {}, `The output after step ${step}`);
  if (output.kind === "softmax") {
    return [title, el("ol", { class: "likely" }, likeliest(seen, seen.run, step, 5).map(({ output: k, share }) => {
      const bar = el("span", { class: "bar" });
      bar.style.width = `${Math.max(1, 100 * share)}%`;
      return el("li", {}, el("span", { class: "token" }, outputName(seen, k)), el("span", { class: "track" }, bar), el("span", { class: "figure" }, say(share)));
    }))];
  }
  if (output.kind === "sigmoid") {
    const share = own(seen, seen.run, step, 0);
    return [title, el("p", { class: "reads-out" }, `Probability of a 1: ${say(share, 4)}`)];
  }
  if (!speaks(seen, step)) {
    const when = output.at === "last" ? "at the last step alone" : `from step ${seen.reading.units?.first} on`;
    return [title, el("p", { class: "quiet" }, `It was trained to speak ${when}; what the head makes of the state here is shown pale above.`)];
  }
  return [title, el("ul", { class: "plain" }, Array.from({ length: Math.min(12, outputs(seen.net)) }, (_, k) =>
    el("li", {}, `${output.names[k]}: ${say(own(seen, seen.run, step, k))}`)))];
}
