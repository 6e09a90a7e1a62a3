// How much of a file is read at once. Pure.

const LEAST_BYTES = 4096;

/**
 * Node takes as much memory for a read as it may give, however short the file: thousands of small ones would be a hundred
 * times their size.
 */
export function pieceBytes(fileBytes: number, mostBytes: number): number {
  return Math.min(Math.max(fileBytes, LEAST_BYTES), mostBytes);
}
