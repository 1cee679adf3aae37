// 6. Compare: two networks in step, reading the same.

import { el, fill, say, segments } from "./dom.js";
import { HeatMap } from "./heatmap.js";
import { norms, ribbon, survival } from "./mattered.js";
import { asked, inTheEnd } from "./outputs.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * What a network is called among the others.
 * @param {Store} store
 * @param {number} n
 */
export function named(store, n) {
  const { name, run } = store.networks[n];
  const same = store.networks.filter((net) => net.run === run).length > 1;
  const single = store.networks.every((net) => net.run === run);
  if (!name) return run;
  return single ? name : same ? `${run}: ${name}` : run;
}

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 */
export function compare(store, isDark) {
  const others = el("select", { "aria-label": "compare with", onchange: () => store.set({ other: Number(others.value) }) });
  const quantities = segments("which quantity", /** @type {const} */ (["i", "f", "g", "o", "c", "h"]).map((q) => ({ value: q, text: q })), (q) => {
    quantity = q;
    update();
  });
  let quantity = /** @type {import("./lstm.js").Quantity} */ ("c");
  const alone = el("p", { class: "quiet" });
  const sides = [0, 1].map(() => ({
    head: el("h3", {}), output: el("p", { class: "sum-line small" }), ribbon: el("div", { class: "ribbons" }), line: el("p", { class: "quiet" }),
    map: new HeatMap("", "", store),
  }));
  const both = el("div", { class: "sides" }, sides.map((side) => el("section", { class: "side" }, side.head, side.output, side.map.element, side.line, side.ribbon)));
  const row = el("div", { class: "row" }, el("span", { class: "row-name" }, "Beside it"), others, quantities.element);
  const update = () => {
    const { network, other, step, unit, layer } = store.state;
    const partners = store.networks.map((_, n) => n).filter((n) => n !== network && store.comparable(network, n));
    const shown = other !== null && partners.includes(other) ? other : partners[0];
    row.hidden = both.hidden = shown === undefined;
    alone.textContent = shown === undefined ? "This page holds one network that reads such inputs. To put two side by side: unrolled explore RUN OTHER_RUN." : "";
    if (shown === undefined) return;
    fill(others, partners.map((n) => el("option", { value: n, selected: n === shown }, named(store, n))));
    quantities.show(quantity);
    const pair = [network, shown];
    const seen = pair.map((n) => store.seen(n));
    const at = seen.map((s) => Math.min(layer, s.net.layers.length - 1));
    const maps = seen.map((s, n) => s.run.layers[at[n]][quantity]);
    const bound = quantity === "c" ? Math.max(1e-9, ...maps.flatMap((m) => [...m].map(Math.abs)).filter(Number.isFinite)) : 1;
    const target = store.target();
    sides.forEach((side, n) => {
      const { net, run, reading } = seen[n];
      const H = net.layers[at[n]].hiddenSize;
      side.head.textContent = named(store, pair[n]);
      fill(side.output, "output ", el("output", { class: "sum" }, inTheEnd(seen[n], run)));
      side.map.name = `${quantity} of ${named(store, pair[n])}`;
      const units = n === 0 ? store.units() : [...Array(H).keys()];
      side.map.show({ values: maps[n], steps: run.steps, hidden: H, units, scale: "ifo".includes(quantity) ? "amount" : "sign", bound,
        step: Math.min(step, run.steps - 1), unit: Math.min(unit, H - 1), marks: [], dark: isDark() });
      const gradient = store.gradient(pair[n]);
      const norm = norms(gradient[at[n]].c, run.steps);
      const last = Math.min(target.step, reading.steps - 1);
      side.line.textContent = survival(norm, last);
      fill(side.ribbon, el("div", { class: "ribbon-row" }, el("div", { class: "ribbon-head" }, el("span", {}, el("var", {}, "|∂/∂c|"), ` of ${asked(seen[n], last, target.output)}`),
        el("span", { class: "figure" }, `step ${Math.min(step, run.steps - 1)}: ${say(norm[Math.min(step, run.steps - 1)], 4)}`)), ribbon(norm, Math.max(...norm), step, false, "c")));
    });
  };
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "Two networks read the same input in step. Whatever you clamp is clamped in both."),
      row, alone, both),
    update,
  };
}
