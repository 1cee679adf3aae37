// 3. Reach in: clamp a gate, hold a cell, silence a unit, cut the carousel, edit a weight.

import { columnsOf, weightAt, weightName } from "./changes.js";
import { el, fill, say, segments } from "./dom.js";
import { blockOf, gatesOf, peepholeOf } from "./lstm.js";
import { inTheEnd, own, outputAt } from "./outputs.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./changes.js").Change} Change */
/** @typedef {import("./changes.js").WeightName} WeightName */
/** @typedef {import("./lstm.js").Gate} Gate */

/**
 * The same kind of change at the same place takes the place of the one that is there.
 * @param {Change[]} changes
 * @param {Change} change
 */
export function joined(changes, change) {
  const place = (/** @type {any} */ { value: _, h: _h, c: _c, ...rest }) => JSON.stringify(rest);
  return [...changes.filter((other) => place(other) !== place(change)), change];
}

/** @param {Store} store */
export function reach(store) {
  let gate = /** @type {Gate} */ ("f");
  let everyone = true;
  let when = /** @type {"all" | "here" | "on"} */ ("all");
  const put = (/** @type {Change} */ change, /** @type {string | undefined} */ together = undefined) =>
    store.change(joined(store.state.changes, change), together);
  const scope = () => {
    const { layer, unit, step } = store.state;
    return { layer, unit: everyone ? null : unit, from: when === "all" ? null : step, to: when === "here" ? step : null };
  };
  const gates = segments("which gate", [
    { value: "i", text: "i", hint: "input gate" }, { value: "f", text: "f", hint: "forget gate" },
    { value: "g", text: "g", hint: "block input" }, { value: "o", text: "o", hint: "output gate" },
  ], (value) => { gate = value; update(); });
  const units = segments("which units", [{ value: "all", text: "all units" }, { value: "one", text: "unit 0" }],
    (value) => { everyone = value === "all"; update(); });
  const steps = segments("which steps", [{ value: "all", text: "all steps" }, { value: "here", text: "this step" }, { value: "on", text: "from here on" }],
    (value) => { when = value; update(); });
  const slider = el("input", { type: "range", min: "0", max: "1", step: "0.01", value: "1", "aria-label": "the value to clamp the gate to",
    oninput: () => { shown.textContent = say(Number(slider.value), 2); clamp(Number(slider.value), "slide"); } });
  const shown = el("output", { class: "figure" }, "1.00");
  const clamp = (/** @type {number} */ value, /** @type {string | undefined} */ together = undefined) =>
    put({ kind: "clamp", gate, ...scope(), value }, together);
  const preset = (/** @type {Gate} */ g, /** @type {number} */ value) => el("button", { type: "button", class: "act", onclick: () => {
    gate = g;
    slider.value = String(value);
    put({ kind: "clamp", gate: g, ...scope(), value });
  } }, el("var", {}, g), ` = ${value}`);
  const act = (/** @type {string} */ text, /** @type {string} */ why, /** @type {() => Change} */ change) =>
    el("div", { class: "deed" }, el("button", { type: "button", class: "act", onclick: () => put(change()) }, text), el("span", { class: "quiet" }, why));
  const weight = weightEditor(store, put);
  const result = el("div", { class: "effect", "aria-live": "polite" });
  const update = () => {
    const { unit } = store.state;
    gates.show(gate);
    units.show(everyone ? "all" : "one");
    steps.show(when);
    const one = units.element.querySelector("[data-value=one]");
    if (one) one.textContent = `unit ${unit}`;
    slider.min = gate === "g" ? "-1" : "0";
    shown.textContent = say(Number(slider.value), 2);
    fill(result, effect(store));
    weight.update();
  };
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "Set something by hand and see what the network makes of it. Dashed frames in the maps show where your hand is; undo takes back the last thing."),
      result,
      el("div", { class: "row" }, el("span", { class: "row-name" }, "Where"), units.element),
      el("div", { class: "row" }, el("span", { class: "row-name" }, "When"), steps.element),
      el("h3", {}, "Clamp a gate"),
      el("div", { class: "row" }, preset("f", 1), preset("f", 0), preset("i", 0), preset("o", 0)),
      el("div", { class: "row" }, gates.element, el("span", {}, "="), slider, shown),
      el("h3", {}, "Take hold of the cell"),
      act("Hold the cell", "c keeps what it has, whatever the gates say", () => ({ kind: "hold", ...scope() })),
      act("Silence the unit", "h and c are 0 after the step", () => ({ kind: "put", ...scope(), h: 0, c: 0 })),
      act("Cut the carousel", "nothing of c gets into the chosen step", () => ({ kind: "cut", layer: store.state.layer, unit: scope().unit, at: store.state.step, what: "state" })),
      act("Cut its gradient", "c passes into the step, what it learns from does not pass back", () => ({ kind: "cut", layer: store.state.layer, unit: scope().unit, at: store.state.step, what: "gradient" })),
      el("h3", {}, "Edit one weight"), weight.element),
    update,
  };
}

/**
 * The output beside the untouched one, and the difference.
 * @param {Store} store
 */
function effect(store) {
  const seen = store.seen();
  if (seen.run === seen.base) return el("p", { class: "quiet" }, "Nothing is touched: the network runs as it was trained.");
  let most = 0, at = 0, texts = 0;
  const size = seen.run.values.length / seen.run.steps;
  for (let n = 0; n < seen.run.values.length; n++) {
    const by = Math.abs(seen.run.values[n] - seen.base.values[n]);
    if (by > most || Number.isNaN(by)) [most, at] = [by, Math.floor(n / size)];
  }
  const scale = seen.net.output.scale?.[0] ?? 1;
  for (let t = 0; t < seen.run.steps; t++) if (outputAt(seen, seen.run, t).text !== outputAt(seen, seen.base, t).text) texts++;
  const { kind } = seen.net.output;
  const what = kind === "linear" ? "of the output" : "of a probability";
  const last = seen.run.steps - 1;
  const difference = kind === "linear" ? say((own(seen, seen.run, last, 0) - own(seen, seen.base, last, 0)))
    : `${texts} of ${seen.run.steps} steps`;
  return el("dl", { class: "versus" },
    el("div", {}, el("dt", {}, "Output now"), el("dd", { class: "now" }, inTheEnd(seen, seen.run))),
    el("div", {}, el("dt", {}, "Untouched"), el("dd", {}, inTheEnd(seen, seen.base))),
    el("div", {}, el("dt", {}, kind === "linear" ? "Difference" : "Said otherwise"), el("dd", {}, difference)),
    el("p", { class: "quiet" }, `The largest difference ${what} is ${say(most * scale, 4)}, at step ${at}.`));
}

/**
 * @param {Store} store
 * @param {(change: Change, together?: string) => void} put
 */
function weightEditor(store, put) {
  const into = el("select", { "aria-label": "into which gate", onchange: () => choose() });
  const from = el("select", { "aria-label": "from where", onchange: () => choose() });
  const box = el("input", { type: "number", step: "any", "aria-label": "the weight’s value", onchange: () => edit(Number(box.value)), });
  const slider = el("input", { type: "range", min: "-5", max: "5", step: "0.01", "aria-label": "the weight’s value, by a slider", oninput: () => edit(Number(slider.value), "weight") });
  const name = el("p", { class: "quiet" });
  /** @param {number} value @param {string} [together] */
  const edit = (value, together) => {
    const where = at();
    if (Number.isFinite(value)) put({ kind: "weight", ...where, value }, together && `weight ${JSON.stringify(where)}`);
  };
  /** @returns {{ layer: number, name: WeightName, row: number, column: number }} */
  const at = () => {
    const { layer, unit, weight: { name, gate, column } } = store.state;
    const own = store.networks[store.state.network].layers[layer];
    if (name === "head") return { layer: -1, name, row: store.target().output, column: headColumn(store) };
    const peephole = peepholeOf(own, gate);
    if (name === "weight_ph" && peephole >= 0) return { layer, name, row: peephole / own.hiddenSize, column: unit };
    const block = Math.max(0, blockOf(own.cell, gate));
    if (name === "weight_ph" || column >= columnsOf(own, name)) return { layer, name: "bias_ih", row: block * own.hiddenSize + unit, column: 0 };
    return { layer, name, row: block * own.hiddenSize + unit, column };
  };
  const choose = () => {
    const [name, column] = from.value.split(" ");
    const { gate } = store.state.weight;
    if (into.value === "head") store.set({ weight: { name: "head", gate, column: 0 } });
    else store.set({ weight: { name: /** @type {WeightName} */ (from.disabled ? "bias_ih" : name), gate: /** @type {Gate} */ (into.value), column: from.disabled ? 0 : Number(column) } });
  };
  const update = () => {
    const { network, layer, unit } = store.state;
    const net = store.networks[network];
    const own = net.layers[layer];
    const where = at();
    const gates = gatesOf(own.cell);
    const gate = gates.includes(store.state.weight.gate) ? store.state.weight.gate : gates[0];
    const inputs = store.readers[network].channels;
    fill(into, gates.map((g) => el("option", { value: g, selected: where.layer >= 0 && g === gate }, `into ${g} of unit ${unit}`)),
      net.head && el("option", { value: "head", selected: where.layer < 0 }, `head ← unit ${unit}`));
    const chosen = where.name === "weight_ph" ? "weight_ph 0" : `${where.name} ${where.column}`;
    const option = (/** @type {string} */ value, /** @type {string} */ text) => el("option", { value, selected: value === chosen }, text);
    fill(from, option("bias_ih 0", "bias"),
      Array.from({ length: columnsOf(own, "weight_ih") }, (_, k) => option(`weight_ih ${k}`, layer > 0 ? `unit ${k} below` : `input ${inputs[k] ?? k}`)),
      Array.from({ length: own.hiddenSize }, (_, k) => option(`weight_hh ${k}`, `h of unit ${k}`)),
      peepholeOf(own, gate) >= 0 && option("weight_ph 0", "its cell (peephole)"));
    from.disabled = where.layer < 0;
    const value = weightAt(store.seen().net, where);
    if (document.activeElement !== box) box.value = String(Number(value.toPrecision(6)));
    if (document.activeElement !== slider) {
      slider.max = String(Math.max(5, Math.ceil(2 * Math.abs(value) || 0)));
      slider.min = `-${slider.max}`;
      slider.value = String(value);
    }
    name.textContent = `${weightName(net, where)}: learnt ${say(weightAt(net, where), 4)}`;
  };
  return { element: el("div", { class: "weight" }, el("div", { class: "row" }, into, from), el("div", { class: "row" }, slider, box), name), update };
}

/**
 * Where the selected unit stands among all that the head reads.
 * @param {Store} store
 */
function headColumn(store) {
  const { network, layer, unit } = store.state;
  const net = store.networks[network];
  if (net.reads === "last") return unit;
  return net.layers.slice(0, layer).reduce((sum, l) => sum + l.hiddenSize, unit);
}
