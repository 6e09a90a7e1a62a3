// Every fuzz target by its name.

import * as canonicalHost from './canonical-host.ts';
import * as dnsQuestion from './dns-question.ts';
import * as dockerfile from './dockerfile.ts';
import * as pathPattern from './path-pattern.ts';
import * as policyFile from './policy-file.ts';
import * as pushCommands from './push-commands.ts';
import * as requestPath from './request-path.ts';
import * as tarIndex from './tar-index.ts';
import type { Target } from './target.ts';

export const targets: Record<string, Target> = {
  'canonical-host': canonicalHost,
  'dns-question': dnsQuestion,
  dockerfile,
  'path-pattern': pathPattern,
  'policy-file': policyFile,
  'push-commands': pushCommands,
  'request-path': requestPath,
  'tar-index': tarIndex,
};
