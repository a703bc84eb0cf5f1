// How often the page is drawn: once per frame while that is cheap, and less often when it is not,
// so that a flood of changes leaves time for whoever clicks.

/** Drawing takes at most this share of the time. */
const SHARE = 0.25;
const WAIT_MAX_MS = 1_000;

export class Pace {
  /** `draw()` draws; `clock` and `later` are the browser's, or a test's. */
  constructor(draw, clock = () => performance.now(), later = (work, ms) => {
    if (ms <= 0) requestAnimationFrame(work);
    else setTimeout(() => requestAnimationFrame(work), ms);
  }) {
    Object.assign(this, { draw, clock, later });
    this.planned = false;
    this.free = -Infinity;
  }

  /** Something has changed: it is drawn soon, once. */
  plan() {
    if (this.planned) return;
    this.planned = true;
    this.later(() => this.run(), this.free - this.clock());
  }

  /** A person has done something: it is drawn with the next frame, whatever else is drawn. */
  soon() {
    this.free = -Infinity;
    this.planned = true;
    this.later(() => this.run(), 0);
  }

  run() {
    if (!this.planned) return;
    this.planned = false;
    const begun = this.clock();
    this.draw();
    this.spent(begun, this.clock());
  }

  /** Drawing took from one time to another: the next waits so long that it has its share. */
  spent(begun, done) {
    const wait = (done - begun) * (1 / SHARE - 1);
    this.free = done + Math.min(wait, WAIT_MAX_MS);
  }
}
