// The door's process of the bench: real parts but for two. Names resolve to one public address, and the dialer leads to
// the origin on loopback instead. Serves one connection after the other.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import { openCache } from '../../src/egress/cache/cache.ts';
import { connectTcp } from '../../src/egress/flow/connect.ts';
import type { Reading } from '../../src/egress/flow/pieces.ts';
import { serveEgress } from '../../src/egress/flow/serve.ts';
import { SyntheticNames } from '../../src/egress/names/synthetic.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { Authority } from '../../src/egress/tls/authority.ts';
import { type DoorConfig, HTTPS_NAME, TCP_NAME, TCP_PORT } from './words.ts';

const ADDRESS = '93.184.215.14';

process.once('message', async (config: DoorConfig) => {
  const audit = await AuditFile.open(join(config.folder, 'audit.jsonl'));
  const allow = [HTTPS_NAME, { host: TCP_NAME, ports: [TCP_PORT], protocol: 'tcp' }];
  const policy = createPolicy([
    parsePolicy({ egress: { allow } }, { source: 'project', file: 'project.json' }),
  ]);
  const parts = {
    policy: () => policy,
    names: new SyntheticNames({ path: null, isDenied: () => false }),
    audit,
    authority: await Authority.open(config.guestAuthority),
    cache: await openCache({ folder: join(config.folder, 'downloads') }),
    resolve: async () => [ADDRESS],
    ownAddresses: () => ['192.0.2.1'],
    connect: (_: string, port: number, reading?: Reading) =>
      connectTcp('127.0.0.1', port === TCP_PORT ? config.origin.plain : config.origin.tls, reading),
    extraCa: [config.originCertificatePem],
    denialHint: () => [],
    // Opening hundreds at once is part of the bench.
    limits: { opensPerSecond: 10_000, opensBurst: 10_000 },
  };
  const socket = join(config.folder, 'egress');
  const server = createServer((stream) => void serveEgress(stream, parts));
  server.listen(socket);
  await once(server, 'listening');
  process.send!({ socket });
});
process.once('disconnect', () => process.exit(0));
