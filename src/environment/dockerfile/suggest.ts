// "Did you mean …": the nearest of the words that would have been right.

const FARTHEST = 2;
const LONGEST_CHARS = 40;

/** null: nothing is near, or the word itself is among them. */
export function nearest(word: string, options: Iterable<string>): string | null {
  if (word.length > LONGEST_CHARS) return null;
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = FARTHEST + 1;
  for (const option of options) {
    if (option.length > LONGEST_CHARS) continue;
    const distance = distanceBetween(wanted, option.toLowerCase());
    if (distance === 0) return option === word ? null : option;
    if (distance < bestDistance) [best, bestDistance] = [option, distance];
  }
  return best;
}

/** Levenshtein's. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          next[j - 1]! + 1,
          row[j]! + 1,
          row[j - 1]! + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length]!;
}
