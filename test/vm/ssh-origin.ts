// A server of SSH on this computer's loopback: Debian's sshd, one process for each connection, for who has the key.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { debianProgram } from '../image/debian-program.ts';

export interface Sshd {
  program: string;
  /** Where a library lies that few computers have. */
  libraries: string;
}

export function findSshd(): Sshd | { missing: string } {
  const found = debianProgram('openssh-server', 'usr/sbin/sshd');
  if ('missing' in found) return found;
  const libc = /\/lib\/([^/\s]+)\/libc\.so/.exec(linked(found.program))?.[1] ?? '';
  const library = debianProgram('libwrap0', `usr/lib/${libc}/libwrap.so.0`);
  if ('missing' in library) return library;
  const libraries = dirname(library.program);
  const [lacking] = /\S+ => not found/.exec(linked(found.program, libraries)) ?? [];
  return lacking ? { missing: `sshd: ${lacking}` } : { program: found.program, libraries };
}

function linked(program: string, libraries = ''): string {
  return execFileSync('ldd', [program], {
    encoding: 'utf8',
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  });
}

export interface SshOrigin {
  port: number;
  user: string;
  /** What clients know it by. */
  hostKey: string;
  /** What it said so far. */
  said(): string;
  close(): void;
}

/** `folder`: of its own. */
export async function sshOrigin(
  { program, libraries }: Sshd,
  folder: string,
  authorizedKey: string,
): Promise<SshOrigin> {
  mkdirSync(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')]);
  writeFileSync(at('authorized'), authorizedKey);
  // Newer ones start programs that lie beside them.
  const beside = (setting: string, name: string) => {
    const path = join(dirname(program), '../lib/openssh', name);
    return existsSync(path) ? [`${setting} ${path}`] : [];
  };
  writeFileSync(
    at('config'),
    [
      ...beside('SshdSessionPath', 'sshd-session'),
      ...beside('SshdAuthPath', 'sshd-auth'),
      ...[
        `HostKey ${at('host')}`,
        `AuthorizedKeysFile ${at('authorized')}`,
        'AuthenticationMethods publickey',
      ],
      ...['PermitRootLogin yes', 'StrictModes no', 'UsePAM no', 'PidFile none', ''],
    ].join('\n'),
  );
  const { username: user, uid } = userInfo();
  // As root it wants a user `sshd`, a folder of root's and an account that is not locked: in a namespace they are there.
  const lines = readFileSync('/etc/passwd', 'utf8').replace(/^sshd:.*\n/m, '');
  writeFileSync(at('passwd'), `${lines}sshd:x:65533:65534::/run/sshd:/bin/false\n`);
  writeFileSync(at('shadow'), `${user}:*:19000:0:99999:7:::\n`);
  const alone =
    'cd "$1"; mount --bind passwd /etc/passwd; mount --bind shadow /etc/shadow; mount -t tmpfs none /run; mkdir /run/sshd; shift; exec "$@"';
  const before = uid === 0 ? ['unshare', '-m', 'sh', '-euc', alone, 'sh', folder] : [];
  const [file, ...args] = [...before, program, '-i', '-e', '-f', at('config')];
  let said = '';
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const child = spawn(file!, args, {
      stdio: [socket, socket, 'pipe'],
      env: { PATH: process.env['PATH'], LD_LIBRARY_PATH: libraries },
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    child.once('exit', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, user, hostKey: readFileSync(at('host.pub'), 'utf8') },
    said: () => said,
    close: () => server.close(),
  };
}
