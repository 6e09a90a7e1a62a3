// Prints "N of M" of the facts, table by table: `node test/environment/count-facts.ts`.

import { conformanceRows, countByTable, passes } from './conformance.ts';

const rows = conformanceRows();
for (const [table, { passed, all }] of countByTable(rows)) console.log(`${passed} of ${all}  ${table}`);
for (const row of rows.filter((candidate) => !passes(candidate)))
  console.log(`not: ${row.table}: ${row.name}`);
console.log(`${rows.filter(passes).length} of ${rows.length}`);
