// The same question asked again for as long as somebody looks at its answer.
//
// Arrives: how to ask, and word that something has happened. Leaves: each answer, as it comes.
// Promise: one question is under way at most; what happens meanwhile is asked about once more as
// soon as it is answered; after the end nothing is asked and nothing told.

/** How long an answer stands before it is asked for again. */
const EVERY_MS = 2_000;

export class Again {
  /** `ask()` resolves with an answer, or null where there is none; `onTold(answer)` is told it. */
  constructor({ ask, onTold, every = EVERY_MS }) {
    Object.assign(this, { ask, onTold, every });
    this.asking = false;
    this.stale = false;
    this.ended = false;
    this.timer = null;
  }

  /** Asks now, or as soon as what is under way is answered. */
  async now() {
    if (this.ended) return;
    if (this.asking) {
      this.stale = true;
      return;
    }
    clearTimeout(this.timer);
    this.asking = true;
    this.stale = false;
    const answer = await this.ask();
    this.asking = false;
    if (this.ended) return;
    if (answer !== null) this.onTold(answer);
    if (this.stale) this.now();
    else this.timer = setTimeout(() => this.now(), this.every);
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}
