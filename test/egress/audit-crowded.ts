// An audit whose process can open no more files: run by audit.test.ts with a low limit of them, and a path.

import { closeSync, openSync } from 'node:fs';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import { verifyAudit } from '../../src/egress/audit/read.ts';

const path = process.argv[2]!;
const file = await AuditFile.open(path, { fileBytes: 3000, keptFiles: 8 });
const write = () =>
  file.write({
    ...{ kind: 'flow', flow: 1, host: 'a.example', port: 443, decision: 'allow', ruleId: null, reason: null },
    ...{ protocol: 'tcp', upstream: null, bytesUp: 1, bytesDown: 0, durationMs: 1, guest: null },
  });
for (let nr = 0; nr < 20; nr++) await write();
const held: number[] = [];
try {
  for (;;) held.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last.
}
let rejected = 0;
for (let nr = 0; nr < 100; nr++) await write().catch(() => rejected++);
for (const each of held) closeSync(each);
const during = { rejected, ...(await verifyAudit(path)) };
await write();
await file.close();
console.log(JSON.stringify(during));
