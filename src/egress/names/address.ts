// Addresses as text, made canonical, and the ranges of a rule. An IPv4 address that is written as v4-mapped IPv6
// is that IPv4 address: it is where the kernel would connect to.

import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface Address {
  kind: 'address';
  family: 4 | 6;
  /** Dotted quad, or RFC 5952. */
  address: string;
}

/** A range of addresses, its network part only: `10.1.0.0/16`. */
export interface Cidr {
  family: 4 | 6;
  network: readonly number[];
  bits: number;
  text: string;
}

const MAX_CHARS = 45;
const STRICT_QUAD = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/;

/** Without brackets; no zone, no port, no octal, hex or short form. */
export function canonicalAddress(text: string): Address | null {
  if (text.length > MAX_CHARS) return null;
  if (STRICT_QUAD.test(text) && isIPv4(text)) return { kind: 'address', family: 4, address: text };
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !isIPv6(text)) return null;
  const parsed = ipaddr.IPv6.parse(text);
  if (parsed.isIPv4MappedAddress())
    return { kind: 'address', family: 4, address: parsed.toIPv4Address().toString() };
  return { kind: 'address', family: 6, address: parsed.toRFC5952String() };
}

/** `10.1.0.0/16`, or an address alone, which is a range of one. The host part must be zero. */
export function parseCidr(text: string): Cidr | { refused: string } {
  const slash = text.indexOf('/');
  const address = canonicalAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return { refused: 'it is not an address' };
  const network = bytesOf(address.address);
  const width = network.length * 8;
  const length = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > width)
    return { refused: `its prefix length must be 0 to ${width}` };
  const bits = Number(length);
  if (address.family === 4 && slash >= 0 && text.includes(':'))
    return { refused: 'a range of v4-mapped addresses is written as IPv4' };
  const masked = maskTo(network, bits);
  const first = ipaddr.fromByteArray([...masked]);
  const firstText = first instanceof ipaddr.IPv6 ? first.toRFC5952String() : first.toString();
  if (network.some((byte, at) => byte !== masked[at]))
    return { refused: `its address has bits beyond the prefix: write ${firstText}/${bits}` };
  const family = address.family;
  return { family, network: masked, bits, text: bits === width ? firstText : `${firstText}/${bits}` };
}

export function contains(cidr: Cidr, address: string): boolean {
  const bytes = bytesOf(address);
  if (bytes.length !== cidr.network.length) return false;
  return maskTo(bytes, cidr.bits).every((byte, at) => byte === cidr.network[at]);
}

/** IPv4 addresses that travel inside an IPv6 address: translators and tunnels would connect to them. */
export function embeddedIpv4(address: string): string[] {
  const bytes = bytesOf(address);
  if (bytes.length === 4 || address === '::' || address === '::1') return [];
  const hex = Buffer.from(bytes).toString('hex');
  const quad = (at: number): string => bytes.slice(at, at + 4).join('.');
  const found: string[] = [];
  // v4-compatible, v4-mapped, v4-translated, and NAT64's well-known prefix: the last four bytes.
  const lastFour = [
    '000000000000000000000000',
    '00000000000000000000ffff',
    '0000000000000000ffff0000',
    '0064ff9b0000000000000000',
  ];
  if (lastFour.includes(hex.slice(0, 24))) found.push(quad(12));
  if (hex.startsWith('2002')) found.push(quad(2));
  // Teredo: the server as it is, the client with every bit turned.
  if (hex.startsWith('20010000')) {
    found.push(quad(4));
    found.push(
      bytes
        .slice(12)
        .map((byte) => byte ^ 0xff)
        .join('.'),
    );
  }
  return found;
}

export function bytesOf(address: string): number[] {
  return ipaddr.parse(address).toByteArray();
}

function maskTo(bytes: readonly number[], bits: number): number[] {
  return bytes.map((byte, at) => {
    const kept = Math.max(0, Math.min(8, bits - at * 8));
    return byte & (0xff00 >> kept) & 0xff;
  });
}

/** `address`: canonical. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** A host as `canonicalHost` reads it, of a text whose IPv6 address may have no brackets. */
export function inBrackets(text: string): string {
  return text.includes(':') && !text.startsWith('[') ? `[${text}]` : text;
}
