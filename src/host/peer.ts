// Whose program is at the other end of a loopback connection. Every user of a computer can connect to 127.0.0.1; the
// kernel's table of sockets tells which of them did.

import { readFile } from 'node:fs/promises';
import { isIPv4, isIPv6, type Socket } from 'node:net';

export interface Ends {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
}

/** Only this user's programs and root's. What cannot be found out counts as somebody else's. */
export async function isOwnPeer(socket: Socket): Promise<boolean> {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const ends = { remoteAddress, remotePort, localAddress, localPort };
  const uids = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map(async (file) =>
      uidOf(ends, await readFile(file, 'latin1').catch(() => '')),
    ),
  );
  const uid = uids.find((each) => each !== undefined);
  return uid !== undefined && (uid === 0 || uid === process.getuid?.());
}

/** Pure. `table` is `/proc/net/tcp` or `tcp6`; undefined when the peer's socket is not in it, or belongs to nobody. */
export function uidOf(ends: Ends, table: string): number | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = ends;
  if (!remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  // A socket of IPv6 may speak IPv4; then it is in the other table.
  const peers = spellings(remoteAddress, remotePort);
  const ours = spellings(localAddress, localPort);
  for (const line of table.split('\n')) {
    const [, local, remote, , , , , uid, , inode] = line.trim().split(/\s+/);
    if (!local || !remote || !peers.includes(local) || !ours.includes(remote)) continue;
    // Sockets that nobody holds any more have inode 0, and uid 0 with it.
    if (inode === undefined || inode === '0' || !/^\d+$/.test(uid ?? '')) continue;
    return Number(uid);
  }
  return undefined;
}

/** As the kernel writes them on a little-endian computer: words of 4 bytes, each reversed. */
function spellings(address: string, port: number): string[] {
  const bare = address.startsWith('::ffff:') ? address.slice(7) : address;
  const tail = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  if (isIPv4(bare)) {
    const word = bare
      .split('.')
      .reverse()
      .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
      .join('');
    return [`${word}${tail}`, `0000000000000000FFFF0000${word}${tail}`];
  }
  return isIPv6(bare) && bare === '::1' ? [`${'0'.repeat(24)}01000000${tail}`] : [];
}
