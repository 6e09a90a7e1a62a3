// Platforms, `linux/arm64/v8`, as containerd's `platforms` reads and writes them.

import { Problem, quote } from './problem.ts';

export interface Platform {
  os: string;
  architecture: string;
  variant: string;
}

const SYSTEMS =
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  );
const ARCHITECTURES =
  '386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  );
const ALIASES: Record<string, [architecture: string, variant: string]> = {
  i386: ['386', ''],
  x86_64: ['amd64', ''],
  'x86-64': ['amd64', ''],
  aarch64: ['arm64', ''],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};
const COMPONENT = /^[A-Za-z0-9_.-]+$/;

/** What is missing is `own`'s. Throws a `Problem`. */
export function parsePlatform(text: string, own: Platform): Platform {
  const parts = text.split('/');
  const [first = '', second, variant = ''] = parts;
  if (parts.length > 3 || !parts.every((part) => COMPONENT.test(part)))
    throw new Problem(`${quote(text)} is not a platform: OS/ARCHITECTURE[/VARIANT] was expected`, {
      at: text,
    });
  const os = systemOf(first);
  if (second !== undefined) return { os, ...architectureOf(second, variant) };
  if (SYSTEMS.includes(os)) return { ...own, os };
  const known = architectureOf(first, '');
  if (ARCHITECTURES.includes(known.architecture)) return { os: own.os, ...known };
  throw new Problem(`${quote(text)} is neither a system nor an architecture`, {
    at: text,
    found: text,
    expected: [...SYSTEMS, ...ARCHITECTURES],
  });
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === '' ? [] : [variant])].join('/');
}

/** ARGs that are there without a declaration before the first FROM, and after an `ARG NAME` in a stage. */
export function platformArgs(own: Platform, targetStage: string): [name: string, value: string][] {
  return ['BUILD', 'TARGET']
    .flatMap((prefix): [string, string][] => [
      [`${prefix}PLATFORM`, formatPlatform(own)],
      [`${prefix}OS`, own.os],
      [`${prefix}OSVERSION`, ''],
      [`${prefix}ARCH`, own.architecture],
      [`${prefix}VARIANT`, own.variant],
    ])
    .concat([['TARGETSTAGE', targetStage]]);
}

function systemOf(text: string): string {
  const lower = text.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function architectureOf(name: string, variantName: string): Pick<Platform, 'architecture' | 'variant'> {
  const lower = name.toLowerCase();
  const alias = Object.hasOwn(ALIASES, lower) ? ALIASES[lower]! : null;
  const architecture = alias?.[0] ?? lower;
  const variant = alias?.[1] || variantName.toLowerCase();
  if (architecture === 'amd64' && variant === 'v1') return { architecture, variant: '' };
  if (architecture === 'arm64' && (variant === '8' || variant === 'v8')) return { architecture, variant: '' };
  if (architecture === 'arm' && /^[5-8]$/.test(variant)) return { architecture, variant: `v${variant}` };
  return { architecture, variant };
}
