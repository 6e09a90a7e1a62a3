// How much a Dockerfile may ask for. A repository is foreign: without these a few lines could fill the memory
// (`ENV a=$b$b`, again and again) or hang a matcher.

export const dockerfileLimits = {
  fileBytes: 1024 * 1024,
  lines: 20_000,
  /** BuildKit's: what its line scanner takes, the line's end included. */
  lineBytes: 65_536,
  instructions: 5_000,
  stages: 500,
  heredocs: 1_000,
  /** After expansion. */
  wordChars: 1024 * 1024,
  /** `${a:-${b:-…}}`. */
  nesting: 100,
  variables: 2_000,
  ports: 65_536,
  /** All cache texts of a stage together. */
  planChars: 64 * 1024 * 1024,
  /** Comparisons of one pattern with one text. */
  patternSteps: 5_000_000,
  ignoreFileBytes: 1024 * 1024,
  ignorePatterns: 10_000,
};
