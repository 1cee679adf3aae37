// A map of [T, H]: time to the right, a row for each unit; looked at, clicked and walked by keys.

import { place, table } from "./color.js";
import { dress, el, say, write } from "./dom.js";

/** @typedef {import("./color.js").Scale} Scale */

/**
 * What a map shows.
 * @typedef {object} Shown
 * @property {Float64Array} values [T, H]
 * @property {number} steps
 * @property {number} hidden H
 * @property {number[]} units the rows, from the top
 * @property {Scale} scale
 * @property {number} bound
 * @property {number} step selected
 * @property {number} unit selected
 * @property {{ unit: number | null, from: number, to: number }[]} marks where a hand reached in
 * @property {boolean} dark
 */

const TALLEST = 220;
const INKS = { // --ink, --card and --hand of a-theme.css: to ask the style for them at each frame is dear
  light: { ink: "#1a1c21", paper: "#fffefb", hand: "#a3196f" },
  dark: { ink: "#ebe9e4", paper: "#171a20", hand: "#ff93d3" },
};

export class HeatMap {
  /**
   * @param {string} symbol
   * @param {string} name
   * @param {import("./store.js").Store} store
   */
  constructor(symbol, name, store) {
    this.name = name;
    this.store = store;
    /** @type {Shown | null} */
    this.shown = null;
    /** @type {{ step: number, unit: number } | null} */
    this.over = null;
    this.canvas = el("canvas", {
      tabindex: "0", role: "application", "aria-roledescription": "heat map",
      onkeydown: (/** @type {KeyboardEvent} */ e) => this.walk(e),
      onpointerdown: (/** @type {PointerEvent} */ e) => this.press(e),
      onpointermove: (/** @type {PointerEvent} */ e) => this.hover(e),
      onpointerleave: () => this.leave(),
    });
    this.value = el("output", { class: "map-value" });
    this.low = el("span", {});
    this.high = el("span", {});
    this.bar = el("canvas", { class: "map-bar", width: "64", height: "1", "aria-hidden": "true" });
    this.element = el("figure", { class: "map" },
      el("figcaption", {}, el("span", { class: "map-name" }, el("var", {}, symbol), ` ${name}`), this.value),
      this.canvas,
      el("div", { class: "map-scale", "aria-hidden": "true" }, this.low, this.bar, this.high));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.small = el("canvas", {});
    this.inked = "";
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /**
   * @param {number} step
   * @param {number} unit
   */
  select(step, unit) {
    this.store.set({ step, unit });
  }

  /** @param {Shown} shown */
  show(shown) {
    this.shown = shown;
    const rows = Math.max(1, shown.units.length);
    const row = Math.max(1, Math.min(12, TALLEST / rows));
    const height = `${Math.max(56, Math.round(row * rows))}px`;
    if (this.canvas.style.height !== height) this.canvas.style.height = height;
    this.draw();
    this.tell();
  }

  draw() {
    const { shown, canvas } = this;
    if (!shown || !canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const { context } = this;
    context.clearRect(0, 0, width, height);
    if (!shown.units.length) return;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture(shown), 0, 0, width, height);
    const cell = { w: width / shown.steps, h: height / shown.units.length };
    const { ink, paper, hand } = INKS[shown.dark ? "dark" : "light"];
    for (const mark of shown.marks) this.mark(context, mark, cell, ratio, hand);
    const row = shown.units.indexOf(shown.unit);
    const column = shown.step * cell.w;
    frame(context, column, 0, cell.w, height, ratio, 1, ink, paper, 0.55);
    if (row >= 0) {
      frame(context, 0, row * cell.h, width, cell.h, ratio, 1, ink, paper, 0.55);
      frame(context, column, row * cell.h, cell.w, cell.h, ratio, 2, ink, paper, 1);
    }
  }

  /**
   * One pixel for each value.
   * @param {Shown} shown
   */
  picture({ values, steps, hidden, units, scale, bound, dark }) {
    const colours = table(scale, dark);
    const whole = new Uint32Array(colours.buffer);
    const [grey, pale] = new Uint32Array(new Uint8Array([128, 128, 128, 255, 128, 128, 128, 70]).buffer);
    const data = new ImageData(steps, units.length);
    const pixels = new Uint32Array(data.data.buffer);
    units.forEach((unit, row) => {
      for (let t = 0, at = row * steps; t < steps; t++, at++) {
        const n = place(values[t * hidden + unit], scale, bound);
        pixels[at] = n >= 0 ? whole[n] : (row + t) % 2 ? grey : pale; // chequered: not a number
      }
    });
    if (this.small.width !== steps || this.small.height !== units.length) Object.assign(this.small, { width: steps, height: units.length });
    /** @type {CanvasRenderingContext2D} */ (this.small.getContext("2d")).putImageData(data, 0, 0);
    const inked = `${scale} ${bound} ${dark}`;
    if (this.inked !== inked) this.scaleOf(colours, scale, bound);
    this.inked = inked;
    return this.small;
  }

  /**
   * @param {Uint8ClampedArray} colours
   * @param {Scale} scale
   * @param {number} bound
   */
  scaleOf(colours, scale, bound) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.bar.getContext("2d"));
    const data = context.createImageData(64, 1);
    for (let n = 0; n < 64; n++) data.data.set(colours.subarray(16 * n, 16 * n + 4), 4 * n);
    context.putImageData(data, 0, 0);
    this.low.textContent = scale === "amount" ? "0" : say(-bound, bound < 0.01 ? 4 : bound % 1 ? 2 : 0);
    this.high.textContent = say(bound, bound < 0.01 ? 4 : bound % 1 ? 2 : 0);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{ unit: number | null, from: number, to: number }} mark
   * @param {{ w: number, h: number }} cell
   * @param {number} ratio
   * @param {string} hand
   */
  mark(context, { unit, from, to }, cell, ratio, hand) {
    const row = unit === null ? 0 : this.shown ? this.shown.units.indexOf(unit) : -1;
    if (row < 0 || !this.shown) return;
    const rows = unit === null ? this.shown.units.length : 1;
    context.strokeStyle = hand;
    context.lineWidth = 2 * ratio;
    context.setLineDash([4 * ratio, 3 * ratio]);
    const [x, y, w, h] = [from * cell.w, row * cell.h, (to - from + 1) * cell.w, rows * cell.h];
    context.strokeRect(x + ratio, y + ratio, Math.max(1, w - 2 * ratio), Math.max(1, h - 2 * ratio));
    context.setLineDash([]);
  }

  /** The value that the pointer is on, or else the selected one. */
  tell() {
    const { shown } = this;
    if (!shown) return;
    const { step, unit } = this.over ?? shown;
    const value = shown.values[step * shown.hidden + unit];
    write(this.value, this.over ? `step ${step}, unit ${unit}: ${say(value)}` : say(value));
    const found = say(shown.values[shown.step * shown.hidden + shown.unit]);
    dress(this.canvas, { "aria-label":
      `${this.name}, ${shown.units.length} units by ${shown.steps} steps. Step ${shown.step}, unit ${shown.unit}: ${found}. Arrow keys move.` });
  }

  /** @param {PointerEvent} event */
  at(event) {
    const { shown } = this;
    if (!shown || !shown.units.length) return null;
    const box = this.canvas.getBoundingClientRect();
    const inside = (/** @type {number} */ v, /** @type {number} */ n) => Math.min(n - 1, Math.max(0, Math.floor(v * n)));
    return {
      step: inside((event.clientX - box.left) / box.width, shown.steps),
      unit: shown.units[inside((event.clientY - box.top) / box.height, shown.units.length)],
    };
  }

  /** @param {PointerEvent} event */
  press(event) {
    const found = this.at(event);
    if (found) this.select(found.step, found.unit);
  }

  /** @param {PointerEvent} event */
  hover(event) {
    if (event.pointerType === "touch") return;
    this.over = this.at(event);
    if (this.over && event.buttons === 1) this.select(this.over.step, this.over.unit);
    this.tell();
  }

  leave() {
    this.over = null;
    this.tell();
  }

  /** @param {KeyboardEvent} event */
  walk(event) {
    const { shown } = this;
    if (!shown || event.ctrlKey || event.metaKey || event.altKey || !shown.units.length) return;
    const now = this.store.state; // keys may come faster than frames
    let row = Math.max(0, shown.units.indexOf(now.unit));
    let step = Math.min(now.step, shown.steps - 1);
    const far = event.shiftKey ? 10 : 1;
    if (event.key === "ArrowLeft") step -= far;
    else if (event.key === "ArrowRight") step += far;
    else if (event.key === "ArrowUp") row -= far;
    else if (event.key === "ArrowDown") row += far;
    else if (event.key === "Home") step = 0;
    else if (event.key === "End") step = shown.steps - 1;
    else return;
    event.preventDefault();
    step = Math.min(shown.steps - 1, Math.max(0, step));
    this.select(step, shown.units[Math.min(shown.units.length - 1, Math.max(0, row))]);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} w
 * @param {number} h
 * @param {number} ratio
 * @param {number} width
 * @param {string} ink
 * @param {string} paper
 * @param {number} alpha
 */
function frame(context, x, y, w, h, ratio, width, ink, paper, alpha) {
  const grow = Math.max(0, (4 * ratio - Math.min(w, h)) / 2); // a thin cell is framed from outside
  context.globalAlpha = alpha;
  for (const [colour, line] of /** @type {[string, number][]} */ ([[paper, width + 2], [ink, width]])) {
    context.strokeStyle = colour;
    context.lineWidth = line * ratio;
    context.strokeRect(x - (w < 4 * ratio ? grow : 0) + ratio / 2, y - (h < 4 * ratio ? grow : 0) + ratio / 2,
      Math.max(w, 4 * ratio) - ratio, Math.max(h, 4 * ratio) - ratio);
  }
  context.globalAlpha = 1;
}
