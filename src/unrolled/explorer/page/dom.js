// Elements without markup: whatever is shown goes through text nodes, so no text can become a tag.

/** @typedef {Node | string | number | null | false | undefined | Child[]} Child */

/**
 * @typedef {Record<string, unknown>} Props
 * `on…` is a listener, `class` and `text` are what they say, true and false switch an attribute,
 * and all else is an attribute.
 */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  dress(element, props);
  append(element, children);
  return element;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  dress(element, props);
  append(element, children);
  return element;
}

/**
 * Set attributes and listeners; an attribute that is so already is not touched.
 * @param {Element} element
 * @param {Props} props
 */
export function dress(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
    }
  }
}

/**
 * @param {Element} element
 * @param {Child[]} children
 */
function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== false && child !== undefined) element.append(String(child));
  }
}

/**
 * An element's text; one that is so already is not touched.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Put other children into an element.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * A number in few characters, with a true minus.
 * @param {number} value
 * @param {number} [places]
 */
export function say(value, places = 3) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const tiny = size !== 0 && size < 0.5 * 10 ** -places;
  const text = tiny || size >= 1e5 ? value.toExponential(1) : value.toFixed(places);
  return text.replace(/^-(?=0(\.0*)?$)/, "").replace(/-/g, "−");
}

/** @param {string} token */
export function visible(token) {
  const names = /** @type {Record<string, string>} */ ({ " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" });
  return [...token].map((c) => names[c] ?? (/\p{C}/u.test(c) ? "�" : c)).join("");
}

/**
 * A row of buttons of which one is pressed.
 * @template {string} T
 * @param {string} label for a screen reader
 * @param {{ value: T, text: string, hint?: string }[]} choices
 * @param {(value: T) => void} chosen
 * @returns {{ element: HTMLElement, show: (value: string) => void }}
 */
export function segments(label, choices, chosen) {
  const buttons = choices.map(({ value, text, hint }) =>
    el("button", { type: "button", title: hint, "data-value": value, onclick: () => chosen(value) }, text),
  );
  const element = el("div", { class: "segments", role: "group", "aria-label": label }, buttons);
  return {
    element,
    show: (value) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === value));
    },
  };
}
