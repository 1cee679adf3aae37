// What was changed, one step of undoing after the other.

/** @typedef {import("./changes.js").Change} Change */

export class History {
  constructor() {
    /** @type {Change[][]} */
    this.past = [];
    /** @type {string | undefined} */
    this.together = undefined;
  }

  /**
   * Keep what is about to be replaced, unless it belongs to the step before: `together` names what
   * is one step, such as a slider while it is dragged.
   * @param {Change[]} before
   * @param {string} [together]
   */
  keep(before, together) {
    if (!together || together !== this.together) this.past.push(before);
    this.together = together;
  }

  /** Take the last step back. @returns {Change[] | undefined} what was there before it */
  undo() {
    this.together = undefined;
    return this.past.pop();
  }
}
