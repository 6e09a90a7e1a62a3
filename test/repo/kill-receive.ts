// Run as a program by interrupt.test.ts: receives the pack on its standard input, and is killed in the middle.

import { openRepository, receive } from '../../src/repo/index.ts';

const [root = '', tip = '', base = '', quarantineFolder = ''] = process.argv.slice(2);
await receive(await openRepository(root), {
  sandbox: 'blue',
  branch: 'warren/blue',
  tip,
  base,
  pack: process.stdin,
  quarantineFolder,
});
process.stdout.write('received\n');
