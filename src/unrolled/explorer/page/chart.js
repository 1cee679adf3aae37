// A series that can be drawn by hand: points to drag, and the network's output follows.

import { el, fill, say, svg } from "./dom.js";

/**
 * @typedef {object} Plotted
 * @property {number[]} values what is read
 * @property {{ name: string | null, values: number[], kind: "output" | "before" | "truth" | "end" }[]} after what follows, from the last value on
 * @property {string[]} labels
 * @property {number} step selected
 * @property {[number, number] | null} range between which one drags; null: as the values say
 */

const HEIGHT = 190;
const EDGE = { top: 12, right: 12, bottom: 24, left: 46 };

export class Chart {
  /**
   * @param {string} name
   * @param {(step: number, change: (value: number) => number) => void} moved
   * @param {import("./store.js").Store} store
   */
  constructor(name, moved, store) {
    this.name = name;
    this.moved = moved;
    this.store = store;
    /** @type {Plotted | null} */
    this.shown = null;
    this.dragged = -1;
    /** @type {[number, number] | undefined} */
    this.range = undefined;
    this.picture = svg("svg", { class: "chart", height: String(HEIGHT), role: "slider", tabindex: "0",
      onpointerdown: (/** @type {PointerEvent} */ e) => this.press(e),
      onpointermove: (/** @type {PointerEvent} */ e) => this.drag(e),
      onpointerup: () => { this.dragged = -1; this.range = undefined; },
      onpointercancel: () => { this.dragged = -1; this.range = undefined; },
      onkeydown: (/** @type {KeyboardEvent} */ e) => this.walk(e),
    });
    this.legend = el("div", { class: "chart-legend" });
    this.element = el("div", { class: "chart-box" }, this.picture, this.legend);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** @param {number} step */
  select(step) {
    this.store.set({ step });
  }

  /** @param {Plotted} shown */
  show(shown) {
    this.shown = shown;
    this.draw();
  }

  /** What the axes span; while a point is dragged they stay. */
  spans() {
    const shown = /** @type {Plotted} */ (this.shown);
    const all = [...shown.values, ...shown.after.flatMap((line) => line.values)].filter(Number.isFinite);
    let [low, high] = shown.range ?? [Math.min(...all), Math.max(...all)];
    if (shown.range) [low, high] = [Math.min(low, ...all), Math.max(high, ...all)];
    if (!(high > low)) [low, high] = [low - 1, high + 1];
    const room = shown.range ? 0 : (high - low) * 0.12;
    const found = /** @type {[number, number]} */ ([low - room, high + room]);
    if (this.dragged >= 0) return (this.range ??= found);
    return found;
  }

  draw() {
    const { shown, picture } = this;
    const width = this.element.clientWidth;
    if (!shown || width < 80) return;
    const [low, high] = this.spans();
    const ahead = Math.max(0, ...shown.after.map((line) => line.values.length));
    const count = shown.values.length + ahead;
    const x = (/** @type {number} */ t) => EDGE.left + (count < 2 ? 0 : (t / (count - 1)) * (width - EDGE.left - EDGE.right));
    const y = (/** @type {number} */ v) => EDGE.top + ((high - v) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
    this.at = { x, y, low, high, width, count };
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const path = (/** @type {[number, number][]} */ points) =>
      points.filter(([, v]) => Number.isFinite(v)).map(([t, v], n) => `${n ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    const last = shown.values.length - 1;
    const many = shown.values.length > 60;
    const ticks = [low, (low + high) / 2, high];
    const places = high - low > 20 ? 0 : high - low > 2 ? 1 : 2;
    const middle = ahead ? last : -1;
    fill(picture,
      ticks.map((v) => [
        svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(v), y2: y(v) }),
        svg("text", { class: "tick", x: EDGE.left - 6, y: y(v) + 4, "text-anchor": "end" }, say(v, places)),
      ]),
      svg("line", { class: "here", x1: x(shown.step), x2: x(shown.step), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
      ...[0, middle, count - 1].filter((t, n, all) => t >= 0 && all.indexOf(t) === n && (t !== middle || t < count - 2)).map((t) =>
        svg("text", { class: "tick", x: x(t), y: HEIGHT - 6, "text-anchor": t === 0 ? "start" : t === count - 1 ? "end" : "middle" },
          shown.labels[t] ?? "")),
      svg("path", { class: "line read", d: path(shown.values.map((v, t) => [t, v])) }),
      shown.after.map((line) => [
        svg("path", { class: `line ${line.kind}`, d: path([[last, shown.values[last]], ...line.values.map((v, n) => /** @type {[number, number]} */ ([last + 1 + n, v]))]) }),
        line.kind !== "end" && line.values.filter(Number.isFinite).length === line.values.length && line.values.map((v, n) =>
          svg("circle", { class: `point ${line.kind}`, cx: x(last + 1 + n), cy: y(v), r: 3 })),
      ]),
      shown.values.map((v, t) => svg("circle", { class: t === shown.step ? "point read chosen" : "point read", cx: x(t), cy: y(v), r: t === shown.step ? 6 : many ? 2.5 : 4.5 })),
    );
    const value = shown.values[shown.step];
    for (const [name, text] of Object.entries({
      "aria-label": `${this.name}, step ${shown.step}. Left and right choose a step, up and down change its value.`,
      "aria-valuenow": value, "aria-valuemin": low, "aria-valuemax": high, "aria-valuetext": `step ${shown.step}: ${say(value)}`,
    })) picture.setAttribute(name, String(text));
    const words = { output: "output", before: "untouched", truth: "what followed", end: "" };
    fill(this.legend, shown.after.length > 0 && el("span", { class: "key read" }, "reads"),
      shown.after.map((line) => line.name !== null && el("span", { class: `key ${line.kind}` }, line.name || words[line.kind])));
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (!this.at || !this.shown) return;
    const t = this.nearest(event);
    if (t < 0) return;
    this.select(t);
    this.dragged = t;
    this.picture.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.picture.focus();
  }

  /** @param {PointerEvent} event */
  nearest(event) {
    if (!this.at || !this.shown) return -1;
    const box = this.picture.getBoundingClientRect();
    const share = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right);
    const t = Math.round(share * (this.at.count - 1));
    return Math.min(this.shown.values.length - 1, Math.max(0, t));
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (this.dragged < 0 || !this.at) return;
    const box = this.picture.getBoundingClientRect();
    const share = (event.clientY - box.top - EDGE.top) / (HEIGHT - EDGE.top - EDGE.bottom);
    const value = this.at.high - Math.min(1, Math.max(0, share)) * (this.at.high - this.at.low);
    this.moved(this.dragged, () => Number(value.toPrecision(4)));
  }

  /** @param {KeyboardEvent} event */
  walk(event) {
    if (!this.shown || !this.at) return;
    const { values } = this.shown;
    const { step } = this.store.state; // keys may come faster than frames
    const by = (this.at.high - this.at.low) / (event.shiftKey ? 10 : 50);
    if (event.key === "ArrowLeft") this.select(Math.max(0, step - 1));
    else if (event.key === "ArrowRight") this.select(Math.min(values.length - 1, step + 1));
    else if (event.key === "ArrowUp") this.moved(step, (value) => this.inside(value + by));
    else if (event.key === "ArrowDown") this.moved(step, (value) => this.inside(value - by));
    else return;
    event.preventDefault();
  }

  /** @param {number} value */
  inside(value) {
    const range = this.shown?.range;
    return Number((range ? Math.min(range[1], Math.max(range[0], value)) : value).toPrecision(6));
  }
}
