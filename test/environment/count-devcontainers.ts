// Prints "N of M configurations read as the reference implementation reads them": those of the facts, which hold what it
// answered.
//
//   node test/environment/count-devcontainers.ts            what is carried, against what was answered
//     --renew                                               asks it again about each, and writes the answers down
//     --carry FOLDER                                        adds those of a checkout of devcontainers/cli, features left out
//     --random N [--seed S]                                 asks it about N bred ones, and keeps none

import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { parse } from 'jsonc-parser';
import { randomFrom } from '../fuzz/mutate.ts';
import { breedConfiguration } from './breed-devcontainer.ts';
import { type Carried, carriedConfigurations, type DevcontainerFacts } from './devcontainer-facts.ts';
import { type Configuration, ownAnswer, referenceReading } from './devcontainer-reading.ts';

const { values } = parseArgs({
  options: {
    renew: { type: 'boolean', default: false },
    carry: { type: 'string' },
    random: { type: 'string' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
});

const require = createRequire(import.meta.url);
const program = join(dirname(require.resolve('@devcontainers/cli/package.json')), 'devcontainer.js');
const file = new URL('facts/devcontainers.json', import.meta.url);

if (values.carry !== undefined || values.renew) {
  const facts = JSON.parse(readFileSync(file, 'utf8')) as DevcontainerFacts;
  if (values.carry !== undefined) facts.carried = [...configurationsBelow(values.carry)];
  for (const row of [...facts.carried, ...facts.own])
    row.answer = referenceReading(configurationOf(row), program);
  writeFileSync(file, `${JSON.stringify(facts, null, 2)}\n`);
}

let passed = 0;
let all = 0;
const tell = (name: string, expected: unknown, actual: unknown) => {
  all++;
  if (isDeepStrictEqual(actual, expected)) passed++;
  else console.log(`not: ${name}\n  ${JSON.stringify(actual)}\n  ${JSON.stringify(expected)}`);
};

if (values.random === undefined)
  for (const { configuration, answer } of carriedConfigurations())
    tell(configuration.name, answer, ownAnswer(configuration));
else {
  const random = randomFrom(Number(values.seed));
  for (let nr = 0; nr < Number(values.random); nr++) {
    const configuration = breedConfiguration(random, `number ${nr} of seed ${values.seed}`);
    const before = all - passed;
    tell(configuration.name, referenceReading(configuration, program), ownAnswer(configuration));
    if (all - passed > before) console.log(`  ${configuration.text}\n  ${configuration.label}`);
  }
}
console.log(`${passed} of ${all} configurations read as the reference implementation reads them`);

function configurationOf({ name, path, said, label }: Carried): Configuration {
  return {
    name,
    path,
    text: JSON.stringify(said),
    label: label === undefined ? null : JSON.stringify(label),
  };
}

/**
 * Without comments, features, and what only names things: two that then say the same are one. Templates with gaps and what
 * needs Compose are left out.
 */
function* configurationsBelow(folder: string): Generator<Carried> {
  const seen = new Set<string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('devcontainer.json')) continue;
    const { features, customizations, name: _, ...said } = parse(readFileSync(join(folder, name), 'utf8'));
    if ('dockerComposeFile' in said || JSON.stringify(said).includes('${templateOption:')) continue;
    const path =
      basename(dirname(name)) === '.devcontainer' ? '.devcontainer/devcontainer.json' : '.devcontainer.json';
    const same = JSON.stringify([path, said]);
    if (seen.has(same)) continue;
    seen.add(same);
    yield { name, path, said, answer: null };
  }
}
