// 2. One cell: a drawing whose lines are as broad as what flows in them.

import { css } from "./color.js";
import { svg, say } from "./dom.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * @typedef {object} Values
 * @property {number} i
 * @property {number} f
 * @property {number} g
 * @property {number} o
 * @property {number} c
 * @property {number} h
 * @property {number} c_in
 */

const BROAD = 20;

/**
 * @param {Values} v
 * @param {import("./lstm.js").Cell} cell
 * @param {boolean} dark
 * @param {{ clamped: Set<string> }} hands
 */
export function drawing(v, cell, dark, { clamped }) {
  const phi = cell.output === "tanh" ? Math.tanh(v.c) : v.c;
  const kept = v.f * v.c_in, added = v.i * v.g;
  const most = Math.max(1e-9, ...[v.c_in, kept, v.g, added, v.c, phi, v.h].map(Math.abs).filter(Number.isFinite));
  const width = (/** @type {number} */ value) => (Number.isFinite(value) ? 1.2 + (BROAD * Math.abs(value)) / most : 1.2);
  const colour = (/** @type {number} */ value) => css(Math.sign(value) * (0.45 + 0.45 * Math.min(1, Math.abs(value) / most)), "sign", 1, dark);
  const flow = (/** @type {string} */ d, /** @type {number} */ value) => {
    const path = svg("path", { d, class: "flow" });
    path.style.stroke = colour(value);
    path.style.strokeWidth = String(width(value));
    return path;
  };
  const label = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ name, /** @type {number} */ value, anchor = "middle") => [
    svg("text", { x, y, class: "flow-name", "text-anchor": anchor }, name),
    svg("text", { x, y: y + 17, class: "flow-value", "text-anchor": anchor }, say(value)),
  ];
  const knot = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ sign) => [
    svg("circle", { cx: x, cy: y, r: 12, class: "knot" }),
    svg("text", { x, y: y + 5, class: "sign", "text-anchor": "middle" }, sign),
  ];
  const gate = (/** @type {number} */ x, /** @type {"i" | "f" | "g" | "o"} */ name, /** @type {number} */ value, /** @type {string} */ what) => {
    const bar = svg("rect", { x: x - 27, y: 258, width: 54, height: 5, class: "gate-track" });
    const share = name === "g" ? 0 : Math.min(1, Math.max(0, value || 0));
    const from = name === "g" ? x + Math.min(0, value || 0) * 27 : x - 27;
    const open = svg("rect", { x: from, y: 258, width: name === "g" ? Math.abs(value || 0) * 27 : share * 54, height: 5, class: "gate-open" });
    return svg("g", { class: clamped.has(name) ? "gate clamped" : "gate" },
      svg("rect", { x: x - 36, y: 222, width: 72, height: 48, rx: 8, class: "gate-box" }),
      svg("text", { x, y: 217, class: "flow-name", "text-anchor": "middle" }, what),
      svg("text", { x, y: 246, class: "gate-text", "text-anchor": "middle" }, svg("tspan", { class: "var" }, name), ` ${say(value, 3)}`), bar, open);
  };
  const wire = (/** @type {string} */ d) => svg("path", { d, class: "wire" });
  const bus = 304;
  return svg("svg", { class: "cell-drawing", viewBox: "0 0 560 330", role: "img",
    "aria-label": `The cell: ${say(v.c_in)} comes in, times f ${say(v.f)} keeps ${say(kept)}; i ${say(v.i)} times g ${say(v.g)} adds ${say(added)}; the new cell is ${say(v.c)}; o ${say(v.o)} lets out h ${say(v.h)}.` },
  wire(`M30 ${bus}H440`), [100, 250, 340, 440].map((x) => wire(`M${x} ${bus}V270`)),
  svg("text", { x: 30, y: bus + 20, class: "flow-name" }, "x, and h of the step before"),
  wire("M100 204V82"), wire("M440 204V166H484"),
  flow("M20 70H88", v.c_in), flow("M112 70H238", kept), flow("M262 70H540", v.c),
  flow("M250 203V164", v.g), flow("M250 140V82", added), wire("M340 204V152H262"),
  flow("M496 70V98", v.c), flow("M496 126V154", phi), flow("M508 166H552", v.h),
  knot(100, 70, "×"), knot(250, 70, "+"), knot(250, 152, "×"), knot(496, 166, "×"),
  svg("rect", { x: 474, y: 99, width: 44, height: 26, rx: 13, class: "knot" }),
  svg("text", { x: 496, y: 117, class: "sign small", "text-anchor": "middle" }, cell.output === "tanh" ? "tanh" : "as is"),
  label(48, 26, "c before", v.c_in), label(178, 26, "kept", kept), label(272, 102, "added", added, "start"), label(390, 26, "c now", v.c),
  label(556, 202, "h", v.h, "end"),
  gate(100, "f", v.f, "forget"), gate(250, "g", v.g, "block input"), gate(340, "i", v.i, "input"), gate(440, "o", v.o, "output"));
}
