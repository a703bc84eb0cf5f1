// A question why, asked of /api/v1/why, which answers one at a time.
//
// Arrives: what it is about. Leaves: the answer, or why there is none. Whoever is told to wait asks
// again; nobody asks on for what is not looked at any more. Bounded: ASKS_MAX attempts.

const ASKS_MAX = 12;
const ASK_AGAIN_MS = 2_000;

/**
 * Resolves with `{ told }` or `{ trouble }`. `wanted()` says whether somebody still wants to know;
 * `onWait(trouble)` is told while it waits.
 */
export async function question(about, { wanted = () => true, onWait = () => {} } = {}) {
  let trouble = "nobody wants to know any more";
  for (let asked = 0; asked < ASKS_MAX && wanted(); asked += 1) {
    try {
      const answer = await fetch(`/api/v1/why/${encodeURIComponent(about)}`);
      const told = await answer.json();
      if (answer.ok) return { told };
      trouble = told.message;
      if (answer.status !== 503) break;
    } catch {
      trouble = "the server is not reached";
    }
    onWait(trouble);
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  return { trouble };
}
