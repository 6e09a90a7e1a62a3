// The one base image of the cases: a static busybox stands for busybox, Alpine and the others that they name.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Entry, makeTar } from '../image/make-image.ts';

export const BASE_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
lp:x:7:7:lp:/var/spool/lpd:/bin/false
mail:x:8:8:mail:/var/mail:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;
const GROUP = 'root:x:0:\ndaemon:x:1:\nbin:x:2:\nadm:x:4:\nlp:x:7:\nmail:x:8:\nnobody:x:65534:\n';

export async function baseTar(busybox: string): Promise<Buffer> {
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const folders = [
    ...['bin/', 'dev/', 'etc/', 'home/', 'lib/', 'opt/', 'proc/', 'run/', 'sbin/', 'sys/'],
    ...['usr/', 'usr/bin/', 'usr/local/', 'usr/local/bin/', 'usr/sbin/', 'var/', 'var/log/'],
  ];
  return await makeTar([
    ...folders.map((name): Entry => ({ name })),
    { name: 'root/', mode: 0o700 },
    { name: 'tmp/', mode: 0o1777 },
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(busybox) },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet): Entry => ({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' })),
    { name: 'etc/passwd', content: PASSWD },
    { name: 'etc/group', content: GROUP },
    { name: 'etc/hosts' },
    { name: 'etc/hostname' },
    { name: 'etc/resolv.conf' },
    { name: 'etc/nsswitch.conf', content: 'passwd: files\ngroup: files\n' },
    { name: 'etc/os-release', content: 'ID=base\nNAME="base"\n' },
  ]);
}
