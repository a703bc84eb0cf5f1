// Logical time between two signs of life.
//
// Arrives: what the server says it is. Leaves: what it is by now: a scaled or recorded clock runs
// at its own rate, which is measured, and none runs on when the server is not heard.

const RATE_MAX = 100_000;
const RUN_ON_MS = 5_000;

export class LogicalTime {
  constructor() {
    this.rate = 1;
    this.last = null;
  }

  /** The server says that it is `now` (milliseconds), heard at `local`. */
  heard(now, local) {
    if (this.last && local - this.last.local > 1_000) {
      const rate = (now - this.last.now) / (local - this.last.local);
      if (rate >= 0 && rate < RATE_MAX) this.rate = rate;
    }
    if (!this.last || local - this.last.local > 1_000 || now < this.last.now) {
      this.last = { now, local };
    }
  }

  /** What it is by now; null while the server has said nothing. */
  at(local) {
    if (!this.last) return null;
    return this.last.now + Math.min(local - this.last.local, RUN_ON_MS) * this.rate;
  }
}
