// In which spellings an origin may repeat a value, each with what is put in its place. Pure.

/** Of fewer bytes, what is left in base64 is too short to be known. */
const MIN_BASE64_BYTES = 8;

export function spellingsOf(value: string, placeholder: string): [real: string, given: string][] {
  const plain = [encodeURIComponent(value), JSON.stringify(value).slice(1, -1), value];
  const pairs = plain.map((spelled): [string, string] => [spelled, placeholder]);
  if (Buffer.byteLength(value) < MIN_BASE64_BYTES) return pairs;
  for (const before of [0, 1, 2])
    for (const form of ['base64', 'base64url'] as const)
      pairs.push([base64Within(value, before, form), base64Within(placeholder, before, form)]);
  return pairs;
}

/** Of what is in base64 behind so many bytes (3 are as none): the letters that depend on the value alone. */
function base64Within(value: string, before: number, form: 'base64' | 'base64url'): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(value)]);
  const text = bytes.toString(form).replace(/=+$/, '');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
}
