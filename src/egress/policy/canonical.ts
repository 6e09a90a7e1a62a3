// One text for what says the same in JSON. Pure.

/** The same text for the same value, whatever the order of its keys. */
export function canonical(value: unknown): string {
  const sorted = JSON.stringify(value, (_, field: unknown) =>
    field !== null && typeof field === 'object' && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  );
  return sorted ?? '';
}
