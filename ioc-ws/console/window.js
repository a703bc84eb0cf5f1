// Which rows of a long list are in sight: only these are drawn, however long it is.

/** Rows beyond what is in sight that are drawn too, so that a slow scroll finds them there. */
const SPARE = 4;

/**
 * Of rows with these heights, in pixels, those in sight of a view: from `first` to before `end`,
 * where each begins (`tops`), and how high all are (`total`).
 */
export function inSight(heights, scrollTop, viewHeight) {
  const tops = [];
  let total = 0;
  for (const height of heights) {
    tops.push(total);
    total += height;
  }
  const from = Math.min(scrollTop, Math.max(total - viewHeight, 0));
  const first = Math.max(after(tops, from) - 1 - SPARE, 0);
  const end = Math.min(after(tops, from + viewHeight) + SPARE, tops.length);
  return { first, end, tops, total };
}

/** How many of the sorted numbers are at most this. */
function after(tops, value) {
  let [low, high] = [0, tops.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
