// Every fuzz target by its name, with the seeds that earlier runs left.

import * as auditFile from './audit-file.ts';
import * as canonicalHost from './canonical-host.ts';
import * as channelAttach from './channel-attach.ts';
import * as clientHello from './client-hello.ts';
import * as devcontainer from './devcontainer.ts';
import * as dnsQuestion from './dns-question.ts';
import * as dockerfile from './dockerfile.ts';
import * as frontHttp1 from './front-http1.ts';
import * as frontHttp2 from './front-http2.ts';
import * as pathPattern from './path-pattern.ts';
import * as policyFile from './policy-file.ts';
import * as pushCommands from './push-commands.ts';
import * as requestHead from './request-head.ts';
import * as requestPath from './request-path.ts';
import * as secretStream from './secret-stream.ts';
import { keptSeeds } from './seeds.ts';
import * as sshRequest from './ssh-request.ts';
import * as stableName from './stable-name.ts';
import * as tarIndex from './tar-index.ts';
import type { Target } from './target.ts';

const all: Record<string, Target> = {
  'audit-file': auditFile,
  'canonical-host': canonicalHost,
  'channel-attach': channelAttach,
  'client-hello': clientHello,
  devcontainer,
  'dns-question': dnsQuestion,
  'front-http1': frontHttp1,
  'front-http2': frontHttp2,
  dockerfile,
  'path-pattern': pathPattern,
  'policy-file': policyFile,
  'push-commands': pushCommands,
  'request-head': requestHead,
  'request-path': requestPath,
  'secret-stream': secretStream,
  'ssh-request': sshRequest,
  'stable-name': stableName,
  'tar-index': tarIndex,
};

export const targets: Record<string, Target> = Object.fromEntries(
  Object.entries(all).map(([name, { seeds, run }]) => [name, { run, seeds: [...seeds, ...keptSeeds(name)] }]),
);
