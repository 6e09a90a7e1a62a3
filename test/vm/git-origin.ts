// A git host: git's own `http-backend` behind Node, for who knows the token.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';

export interface GitOrigin {
  listener: RequestListener;
  /** A bare repository. */
  folder: string;
  /** Passwords that it was told. */
  told: Set<string>;
}

export function gitOrigin(root: string, name: string, token: string): GitOrigin {
  const folder = join(root, name);
  mkdirSync(root);
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', folder]);
  const told = new Set<string>();
  return {
    folder,
    told,
    listener(request, response) {
      const [, basic = ''] = (request.headers.authorization ?? '').split(' ');
      const password = Buffer.from(basic, 'base64').toString().split(':')[1];
      if (password !== undefined) told.add(password);
      if (password === token) backend(root, request, response);
      else response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?\n');
    },
  };
}

/** CGI, as git-http-backend(1) wants it. */
function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url!, 'http://origin');
  const { headers } = request;
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'tester',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
    },
  });
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => {
    const answer = Buffer.concat(chunks);
    const end = answer.indexOf('\r\n\r\n');
    let status = 200;
    for (const line of answer.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(': ');
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status).end(answer.subarray(end + 4));
  });
}
