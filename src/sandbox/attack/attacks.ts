// The attacks of `doctor --attack`, as data: what is tried, the program that tries it as root of the guest, and the judge
// of what was seen in the guest and on the host. Pure. What a guest says may be a lie, so what counts is what the
// host sees; where only the guest can see it (an error of its own kernel), it is a witness against itself.

import { broken, first, held, isNoDenial, notHeard, notRun, reached, said, silent } from './judge.ts';
import * as programs from './programs.ts';
import type { AttackSight, AttackTarget, Judged } from './sights.ts';

export type Look = 'memory' | 'template' | 'call';

export interface Attack {
  id: string;
  tried: string;
  /** Null: the host only looks. */
  program: string | null;
  tell?(target: AttackTarget): object;
  /** What costs something to look at. */
  looks?: readonly Look[];
  /** Why it cannot be tried here. */
  unless?(target: AttackTarget): string | null;
  judge(sight: AttackSight, target: AttackTarget): Judged;
}

const BOX_ROOT = ['bin', 'dev', 'etc', 'lib', 'lib64', 'usr', 'warren'];

/** The last two end the guest's way out, and the guest. */
export const ATTACKS: readonly Attack[] = [
  {
    id: 'NE 31',
    tried: 'UDP, QUIC, ICMP, SCTP, raw IP and IPv6 from the guest’s root',
    program: programs.OTHER_PROTOCOLS,
    judge: ({ guest, vmm }) =>
      said(guest) ?? first(guest, (_, value) => value === 'sent' || value === 'done') ?? silent(vmm),
  },
  {
    id: 'NE 32',
    tried: 'a network device in the guest or of the VMM',
    program: programs.NETWORK_DEVICES,
    judge({ guest, vmm }) {
      if (guest === null) return notHeard;
      if (String(guest['devices']) !== 'lo') return broken(`the guest has ${guest['devices']}`);
      if (String(guest['controllers']) !== '') return broken(`the guest has ${guest['controllers']}`);
      if (vmm.networkArgs.length > 0) return broken(`the VMM has ${vmm.networkArgs.join(' ')}`);
      return silent(vmm);
    },
  },
  {
    id: 'NE 11',
    tried: 'metadata services, private networks and this computer’s addresses, directly and by the proxy',
    program: programs.ADDRESSES,
    tell: ({ privateAddresses, ownAddresses, canaryPort }) => ({
      addresses: [...privateAddresses, ...ownAddresses],
      port: canaryPort,
    }),
    judge: (sight) => reached(sight) ?? said(sight.guest) ?? first(sight.guest, isNoDenial) ?? held,
  },
  {
    id: 'DA 111',
    tried: 'the daemon’s ports and any other of this computer’s loopback, by name, address and proxy',
    program: programs.HOST_PORTS,
    tell: ({ ports, ownAddresses }) => ({ ports, addresses: ownAddresses }),
    judge: (sight) => reached(sight) ?? said(sight.guest) ?? first(sight.guest, isNoDenial) ?? held,
  },
  {
    id: 'DN 47',
    tried: 'DNS past the door: to another resolver, over TLS, with data in the name',
    program: programs.NAMES,
    tell: ({ deniedName }) => ({ name: deniedName }),
    unless: ({ deniedName }) => (deniedName === null ? 'your policy opens every name' : null),
    judge({ guest }) {
      if (guest === null) return notHeard;
      const { A, TXT, localhost } = guest;
      if (!/^1 198\.1[89]\./.test(String(A)) && !/^[A-Z]+$/.test(String(A)))
        return broken(`another resolver answered: ${A}`);
      if (/^[1-9]/.test(String(TXT))) return broken(`TXT was answered: ${TXT}`);
      if (localhost !== '127.0.0.1') return broken(`a.localhost is ${localhost}`);
      if (String(guest['port 853']).startsWith('answered')) return broken('port 853 answered');
      return isNoDenial('', guest['plain HTTP']) ? broken(`plain HTTP: ${guest['plain HTTP']}`) : held;
    },
  },
  {
    id: 'NE 34',
    tried: 'a network namespace inside of the guest, as a container has',
    program: programs.NAMESPACE,
    tell: ({ canaryPort }) => ({ port: canaryPort }),
    judge(sight) {
      const { guest } = sight;
      if (guest === null) return notHeard;
      if (guest['namespace'] !== 'entered') return notRun(`no namespace: ${guest['namespace']}`);
      return (
        reached(sight) ?? first(guest, (key, value) => key !== 'namespace' && isNoDenial(key, value)) ?? held
      );
    },
  },
  {
    id: 'SE 49',
    tried: 'the value of a secret, in the guest’s variables and in all of its memory',
    program: programs.SECRET,
    tell: ({ secret }) => ({ variable: secret.variable }),
    looks: ['memory'],
    judge({ guest, memory }, { secret }) {
      if (guest === null) return notHeard;
      if (guest['variable'] !== secret.placeholder) return broken('the variable is not the placeholder');
      if (memory === null) return notRun('the memory of the VMM may not be read by this user');
      if (memory.value > 0) return broken('the value is in the memory of the VMM');
      return memory.placeholder > 0
        ? held
        : notRun('not even what stands for it was found: the search finds nothing');
    },
  },
  {
    id: 'FT 77',
    tried: 'writes to the read-only layers: raw, with the kernel’s flag taken away, and remounted',
    program: programs.LAYERS,
    looks: ['template'],
    judge({ guest, templateUnchanged }) {
      if (guest === null) return notHeard;
      if (Object.keys(guest).length === 0) return notRun('the guest found no read-only disk');
      if (templateUnchanged === null) return notRun('the files could not be read');
      return templateUnchanged ? held : broken('a file of the image or the template has changed');
    },
  },
  {
    id: 'VH 98',
    tried: 'what the VMM may: user, capabilities, system calls, namespaces, files',
    program: null,
    judge({ vmm }) {
      if (vmm.blind !== null) return notRun(vmm.blind);
      if (!vmm.seccompFilter) return broken('no seccomp filter');
      if (!vmm.boxed) return notRun('this computer has no box for it: warren doctor');
      if (vmm.isRoot) return broken('it runs as root');
      if (!/^0+$/.test(vmm.capabilities)) return broken(`capabilities ${vmm.capabilities}`);
      if (!vmm.noNewPrivileges) return broken('it may gain privileges');
      if (!vmm.ownSpaces) return broken('it shares a namespace with the host');
      const more = vmm.visible.filter((name) => !BOX_ROOT.includes(name));
      return more.length > 0 ? broken(`it sees ${more.join(' ')}`) : held;
    },
  },
  {
    id: 'NE 33',
    tried: 'to take the agent’s devices, to kill PID 1, to flush the redirect and go around the door',
    program: programs.REDIRECT,
    tell: ({ ownAddresses, canaryPort }) => ({ addresses: ownAddresses, port: canaryPort }),
    judge(sight) {
      const { guest, vmm } = sight;
      const opened = first(guest, (key, value) => key.startsWith('/dev/') && value === 'written');
      return (
        reached(sight) ??
        said(guest) ??
        opened ??
        first(guest, (key, value) => key.startsWith('then ') && isNoDenial(key, value)) ??
        silent(vmm)
      );
    },
  },
  {
    id: 'AP 67',
    tried: 'garbage in the agent’s own streams, and an agent that is killed',
    program: programs.AGENT,
    looks: ['call'],
    judge(sight) {
      const { call } = sight;
      if (call !== null && 'hung' in call) return broken('a call of the host to the agent did not end');
      if (call !== null && !/^(?:machine|agent|sandbox)\./.test(call.failed))
        return broken(`a call of the host failed with ${call.failed}`);
      return reached(sight) ?? held;
    },
  },
];
