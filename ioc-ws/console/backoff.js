// How long to wait before the next attempt to connect.

const FIRST_MS = 500;
const LONGEST_MS = 20_000;
/** A connection that held so long was a good one: the next loss starts from the beginning. */
export const STEADY_MS = 10_000;

/**
 * Doubling, with jitter over the upper half, so that a thousand consoles do not come back in the
 * same moment. `random` is a number in [0, 1).
 */
export function delayMs(attempt, random) {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(most / 2 + (random * most) / 2);
}
