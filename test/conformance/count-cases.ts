// How many of Docker's builds Warren makes alike, case by case: `node test/conformance/count-cases.ts [NAME…]`.

import { readCases } from './cases.ts';
import { runCase } from './run-case.ts';
import { openSharedWorkshop } from './workshop.ts';

const wanted = process.argv.slice(2);
const { source, made, cases, leftOut } = readCases();
const chosen = cases.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const startedMs = performance.now();
const shared = await openSharedWorkshop();
let alike = 0;
try {
  for (const one of chosen) {
    const differs = await runCase(one, shared);
    if (differs.length === 0) alike++;
    else console.log([one.name, ...differs.map((line) => `  ${line}`)].join('\n'));
  }
} finally {
  await shared.close();
}
const seconds = Math.round((performance.now() - startedMs) / 1000);
console.log(`cases: ${source}\nmade by: ${made}`);
console.log(
  `${alike} of ${chosen.length} cases in ${seconds} s; ${leftOut.length} left out, which Docker could not build offline`,
);
