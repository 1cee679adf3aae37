// 4. What mattered: the exact gradient of one output, back through time.

import { css } from "./color.js";
import { el, fill, say, segments, svg, visible } from "./dom.js";
import { HeatMap } from "./heatmap.js";
import { joined } from "./reach.js";
import { asked, likeliest, outputName } from "./outputs.js";
import { outputs } from "./network.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * The norm at every step.
 * @param {Float64Array} d [T, n]
 * @param {number} steps
 */
export function norms(d, steps) {
  const n = d.length / steps;
  return Float64Array.from({ length: steps }, (_, t) => Math.sqrt(d.subarray(t * n, (t + 1) * n).reduce((sum, v) => sum + v * v, 0)));
}

/**
 * A ribbon as thick as the norm at each step.
 * @param {Float64Array} norm
 * @param {number} most what fills the height
 * @param {number} step selected
 * @param {boolean} log thickness by the logarithm, from a millionth of the most up
 * @param {string} kind
 */
export function ribbon(norm, most, step, log, kind) {
  const [width, height] = [600, 64];
  const T = norm.length;
  const x = (/** @type {number} */ t) => ((t + 0.5) / T) * width;
  const share = (/** @type {number} */ v) => {
    if (!(v > 0) || !(most > 0)) return 0;
    return log ? Math.max(0, 1 + Math.log10(v / most) / 6) : v / most;
  };
  const half = [...norm].map((v) => Math.max(0.4, (share(v) * (height - 6)) / 2));
  const upper = half.map((r, t) => `${x(t).toFixed(2)} ${(height / 2 - r).toFixed(2)}`);
  const lower = half.map((r, t) => `${x(t).toFixed(2)} ${(height / 2 + r).toFixed(2)}`).reverse();
  const ends = (/** @type {number} */ at, /** @type {number} */ t) => [`${at} ${(height / 2 - half[t]).toFixed(2)}`, `${at} ${(height / 2 + half[t]).toFixed(2)}`];
  const [leftUp, leftDown] = ends(0, 0);
  const [rightUp, rightDown] = ends(width, T - 1);
  const d = `M${[leftUp, ...upper, rightUp, rightDown, ...lower, leftDown].join("L")}Z`;
  return svg("svg", { class: `ribbon ${kind}`, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "here", x: (step / T) * width, y: 0, width: width / T, height }),
    svg("path", { d }));
}

/**
 * @param {Store} store
 * @param {() => boolean} isDark
 */
export function mattered(store, isDark) {
  let log = false;
  const what = el("p", { class: "asked" });
  const choice = el("select", { "aria-label": "which output", onchange: () => store.set({ target: { step: store.target().step, output: Number(choice.value) } }) });
  const scale = segments("thickness", [{ value: "linear", text: "as it is" }, { value: "log", text: "logarithm", hint: "from a millionth up" }],
    (value) => { log = value === "log"; update(); });
  const ribbons = el("div", { class: "ribbons" });
  const text = el("p", { class: "passage" });
  const map = new HeatMap("∂/∂c", "of every unit", store);
  const numbers = el("table", { class: "gradients" });
  const bias = biasSlider(store);
  const verdict = el("p", { class: "verdict-line", "aria-live": "polite" });
  const update = () => {
    const seen = store.seen();
    const { step, layer, unit } = store.state;
    const target = store.target();
    const steps = seen.run.steps;
    const all = store.gradient();
    const d = { x: all[0].x, h: all[layer].h, c: all[layer].c };
    what.textContent = `The gradient of ${asked(seen, target.step, target.output)}.`;
    options(store, choice);
    scale.show(log ? "log" : "linear");
    const found = { x: norms(d.x, steps), h: norms(d.h, steps), c: norms(d.c, steps) };
    const line = (/** @type {"x" | "h" | "c"} */ q, /** @type {string} */ words) => {
      const most = Math.max(...found[q]);
      return el("div", { class: "ribbon-row", "data-quantity": q }, el("div", { class: "ribbon-head" }, el("span", {}, el("var", {}, `|∂/∂${q}|`), ` ${words}`),
        el("span", { class: "figure" }, `step ${step}: ${say(found[q][step], 4)}`)), ribbon(found[q], most, step, log, q));
    };
    fill(ribbons, line("c", "cell: does it survive?"), line("h", "hidden state"), line("x", seen.reader.kind === "tokens" ? "what was read" : "input"));
    verdict.textContent = survival(found.c, target.step);
    const big = Math.max(...found.x);
    fill(text, seen.reader.kind === "tokens" && seen.reading.labels.map((label, t) => {
      const span = el("span", {}, label === "\n" ? "⏎\n" : label);
      span.style.background = css(found.x[t] / (big || 1), "amount", 1.6, isDark());
      return span;
    }));
    const H = seen.net.layers[layer].hiddenSize;
    map.show({ values: d.c, steps, hidden: H, units: store.units(), scale: "sign", bound: Math.max(1e-12, ...d.c.map(Math.abs)), step, unit, marks: [], dark: isDark() });
    fill(numbers, table(store, d));
    bias.update();
  };
  return {
    element: el("div", {},
      el("p", { class: "lead" }, "Click an output in the strip of steps. How would it change if something earlier had been a little larger? Backpropagation in this page says so exactly."),
      el("div", { class: "row" }, what, choice), verdict, bias.element,
      el("div", { class: "row" }, el("span", { class: "row-name" }, "Thickness"), scale.element),
      ribbons, text, map.element, el("h3", {}, "At the selected step and unit"), numbers),
    update,
  };
}

/**
 * How much of ∂/∂c at the output's step is left at the beginning.
 * @param {Float64Array} norm
 * @param {number} step
 */
export function survival(norm, step) {
  if (step === 0) return "The first step has nothing before it: choose a later output.";
  if (!(norm[step] > 0)) return "No gradient reaches the cell: the output does not hang on it.";
  const left = norm[0] / norm[step];
  if (left > 1.05) return `|∂/∂c| at step 0 is ${say(left, 1)} times as large as at step ${step}, where the output is: nothing of it fades.`;
  const percent = left < 0.001 ? say(100 * left, 4) : left < 0.1 ? say(100 * left, 1) : say(100 * left, 0);
  return `Of |∂/∂c| at step ${step}, ${percent} % is there at step 0, ${step} ${step === 1 ? "step" : "steps"} back.`;
}

/**
 * @param {Store} store
 * @param {HTMLSelectElement} choice
 */
function options(store, choice) {
  const seen = store.seen();
  const target = store.target();
  const count = outputs(seen.net);
  choice.hidden = count < 2;
  if (count < 2) return;
  const shown = count <= 24 ? [...Array(count).keys()] : likeliest(seen, seen.run, target.step, 12).map((l) => l.output);
  const truth = seen.reading.truth[target.step];
  if (seen.net.output.kind === "softmax" && truth !== null && !shown.includes(truth)) shown.push(truth);
  if (!shown.includes(target.output)) shown.push(target.output);
  fill(choice, shown.map((k) => el("option", { value: k, selected: k === target.output }, outputName(seen, k) + (seen.net.output.kind === "softmax" && k === truth ? " (what came)" : ""))));
}

/**
 * @param {Store} store
 * @param {{ x: Float64Array, h: Float64Array, c: Float64Array }} d
 */
function table(store, d) {
  const { step, unit } = store.state;
  const { run, reader, reading } = store.seen();
  const row = (/** @type {string} */ name, /** @type {number} */ value) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { "data-gradient": name }, say(value, 6)));
  const at = (/** @type {Float64Array} */ all, /** @type {number} */ k) => all[step * (all.length / run.steps) + k];
  const few = reader.channels.slice(0, 6).map((name, k) => row(`∂/∂x, ${name}`, at(d.x, k)));
  const whole = reader.channels.length ? few : [row(`|∂/∂x|, “${visible(reading.labels[step])}”`, norms(d.x, run.steps)[step])];
  return el("tbody", {}, row(`∂/∂c, unit ${unit}`, at(d.c, unit)), row(`∂/∂h, unit ${unit}`, at(d.h, unit)), whole);
}

/** @param {Store} store */
function biasSlider(store) {
  const shown = el("output", { class: "figure" });
  const slider = el("input", { type: "range", min: "-6", max: "6", step: "0.1", "aria-label": "move the bias of the forget gate", oninput: () => {
    const value = Number(slider.value);
    const { layer, changes } = store.state;
    const change = /** @type {const} */ ({ kind: "bias", layer, gate: "f", value });
    store.change(value ? joined(changes, change) : changes.filter((c) => !(c.kind === "bias" && c.layer === layer)), "bias");
  } });
  const why = el("p", { class: "quiet" });
  const row = el("label", { class: "slide" }, el("span", {}, "Forget bias"), slider, shown);
  return {
    element: el("div", { class: "bias" }, row, why),
    update: () => {
      const { layer, changes } = store.state;
      const { forget } = store.seen().net.layers[layer].cell;
      slider.disabled = forget !== "learned";
      const there = changes.find((c) => c.kind === "bias" && c.layer === layer && c.gate === "f");
      const value = there && there.kind === "bias" ? there.value : 0;
      if (document.activeElement !== slider) slider.value = String(value);
      shown.textContent = `${value < 0 ? "−" : "+"}${say(Math.abs(value), 1)}`;
      why.textContent = forget === "learned"
        ? "c is multiplied by f at every step on the way back. More bias, f nearer 1: the ribbon survives. Less: it fades."
        : forget === "one" ? "This is the carousel of 1997: f is 1, and the cell’s own path back does not fade."
          : "Here f = 1 − i, which has no bias of its own.";
    },
  };
}
