// What other implementations' tests state of Dockerfiles holds for ours, row by row. The program prints "N of M".

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conformanceRows, countByTable, passes } from './conformance.ts';

describe('facts of BuildKit', () => {
  const rows = conformanceRows();

  for (const [table, { passed, all }] of countByTable(rows))
    it(`${table}: ${passed} of ${all}`, () => {
      for (const row of rows)
        if (row.table === table && !passes(row)) assert.deepEqual(row.actual, row.expected, row.name);
    });

  it('are all there', () => {
    assert.ok(rows.length >= 700, `${rows.length} rows`);
  });
});
