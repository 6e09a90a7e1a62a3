// Which of a name's resolved addresses may be dialed. Pure: the caller resolves once, hands everything in, and dials
// what comes out, as it is. Whoever runs a name server decides what a name resolves to, so the answers are hostile.

import ipaddr from 'ipaddr.js';
import { bytesOf, type Cidr, canonicalAddress, contains, embeddedIpv4, parseCidr } from './address.ts';

export interface VettingOptions {
  /** The rule lets private, documentation and loopback addresses pass. */
  allowPrivate: boolean;
  /** Every address of this host's interfaces (`os.networkInterfaces()`), whatever their range. */
  ownAddresses: readonly string[];
  /** The single address that the rule itself names: with `allowPrivate`, metadata and the host's own pass too. */
  exactAddress?: string;
}

export interface Vetted {
  /** Canonical, in the order given, none twice. */
  usable: string[];
  refused: { address: string; why: string }[];
}

/** What no name server has a reason to answer with more of. */
const MAX_ADDRESSES = 64;

/** Services that hand a machine its cloud credentials. Several lie in ranges that look public. */
const METADATA = cidrs(
  '169.254.0.0/16',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::/32',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
);
/** What `allowPrivate` opens, by ipaddr.js's names. */
const PRIVATE = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);
/** For documentation (RFC 5737): nothing public is there, and labs use them as networks of their own. */
const DOCUMENTATION = cidrs('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24');
/** No connection means anything here; on Linux 0.0.0.0 is loopback. */
const NEVER = new Set(['unspecified', 'broadcast', 'multicast']);
const GLOBAL_IPV6 = cidrs('2000::/3')[0]!;

export function vetAddresses(addresses: readonly string[], options: VettingOptions): Vetted {
  const own = new Set(options.ownAddresses.map((address) => canonicalAddress(unzoned(address))?.address));
  const vetted: Vetted = { usable: [], refused: [] };
  for (const [at, text] of addresses.entries()) {
    const address = canonicalAddress(text)?.address;
    const why =
      address === undefined
        ? 'it is not an address'
        : at >= MAX_ADDRESSES
          ? `it comes after ${MAX_ADDRESSES} others`
          : objection(address, own, options);
    if (why !== null) vetted.refused.push({ address: address ?? '(not an address)', why });
    else if (!vetted.usable.includes(address!)) vetted.usable.push(address!);
  }
  return vetted;
}

function objection(
  address: string,
  own: ReadonlySet<string | undefined>,
  { allowPrivate, exactAddress }: VettingOptions,
): string | null {
  for (const each of [address, ...embeddedIpv4(address)]) {
    const range = rangeOf(each);
    const where = each === address ? '' : `it leads to ${each}, and `;
    if (NEVER.has(range)) return `${where}no connection can go to it (${range})`;
    if (allowPrivate && each === exactAddress) continue;
    if (METADATA.some((cidr) => contains(cidr, each)))
      return `${where}it is link-local or a metadata service of a cloud`;
    if (range === 'loopback' && allowPrivate) continue;
    if (own.has(each)) return `${where}it is an address of this computer`;
    if (range === 'unicast' || (range === 'embedding' && each === address)) continue;
    const isPrivate = PRIVATE.has(range) || DOCUMENTATION.some((cidr) => contains(cidr, each));
    if (!(allowPrivate && isPrivate)) return `${where}it is not public (${range})`;
  }
  return null;
}

/** `unicast` only for what is public; `embedding` when the IPv4 address inside decides. */
function rangeOf(address: string): string {
  const parsed = ipaddr.fromByteArray(bytesOf(address));
  const range = parsed.range();
  if (parsed instanceof ipaddr.IPv4) return range;
  if (NEVER.has(range) || range === 'loopback') return range;
  if (embeddedIpv4(address).length > 0) return 'embedding';
  return range === 'unicast' && !contains(GLOBAL_IPV6, address) ? 'reserved' : range;
}

/** `fe80::1%eth0`, as interfaces are listed, without its zone. */
function unzoned(address: string): string {
  return address.split('%')[0]!;
}

function cidrs(...texts: string[]): Cidr[] {
  return texts.map((text) => {
    const cidr = parseCidr(text);
    if ('refused' in cidr) throw new Error(`${text}: ${cidr.refused}`);
    return cidr;
  });
}
