// The certificate authority of a sandbox's door: the guest trusts it, so that the door can answer for any host that
// it intercepts. Its key stays on the host; the caller stores it. Names come from `canonicalHost` only.

import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { hostText } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';

export interface AuthorityPem {
  certificatePem: string;
  /** Secret; PKCS #8. */
  keyPem: string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AUTHORITY_LIFE_MS = 365 * DAY_MS;
const LEAF_LIFE_MS = 7 * DAY_MS;
/** A guest's clock may be behind: machines wake from snapshots that are months old. */
const BACKDATED_MS = 30 * DAY_MS;
const REFRESH_BEFORE_MS = 2 * DAY_MS;
const MAX_LEAVES = 256;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

x509.cryptoProvider.set(webcrypto);

export async function createAuthority(commonName: string, now = new Date()): Promise<AuthorityPem> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: new Date(now.getTime() + AUTHORITY_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: certificate.toString('pem'), keyPem: await privatePem(keys.privateKey) };
}

interface Leaf {
  context: SecureContext;
  refreshAtMs: number;
}

/** Issues the certificates of intercepted hosts; keeps at most 256, the longest unused goes first. */
export class Authority {
  readonly certificatePem: string;
  readonly #certificate: x509.X509Certificate;
  readonly #signingKey: webcrypto.CryptoKey;
  readonly #leafKeys: webcrypto.CryptoKeyPair;
  readonly #leafKeyPem: string;
  readonly #now: () => Date;
  readonly #leaves = new Map<string, Leaf | Promise<Leaf>>();

  private constructor(
    certificate: x509.X509Certificate,
    signingKey: webcrypto.CryptoKey,
    leafKeys: webcrypto.CryptoKeyPair,
    leafKeyPem: string,
    now: () => Date,
  ) {
    this.certificatePem = certificate.toString('pem');
    this.#certificate = certificate;
    this.#signingKey = signingKey;
    this.#leafKeys = leafKeys;
    this.#leafKeyPem = leafKeyPem;
    this.#now = now;
  }

  /** Throws when the two do not belong together or are not of this door's kind. */
  static async open({ certificatePem, keyPem }: AuthorityPem, now = () => new Date()): Promise<Authority> {
    const certificate = new x509.X509Certificate(certificatePem);
    const der = x509.PemConverter.decodeFirst(keyPem);
    const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
    if (!(await isKeyOf(certificate, key))) throw new Error('the key is not the one of the certificate');
    // One key for all leaves of this process: making one takes longer than issuing a certificate.
    const leafKeys = await generateKeys();
    return new Authority(certificate, key, leafKeys, await privatePem(leafKeys.privateKey), now);
  }

  /** After this the caller should make another one and have guests trust it. */
  get expiresAt(): Date {
    return this.#certificate.notAfter;
  }

  get size(): number {
    return this.#leaves.size;
  }

  /** For the server side of a TLS connection with a client that wants `host`. */
  async contextFor(host: Host): Promise<SecureContext> {
    const key = hostText(host);
    let leaf = this.#leaves.get(key);
    if (leaf && !(leaf instanceof Promise) && leaf.refreshAtMs <= this.#now().getTime()) leaf = undefined;
    leaf ??= this.#issue(host);
    this.#leaves.delete(key);
    this.#leaves.set(key, leaf);
    if (this.#leaves.size > MAX_LEAVES) this.#leaves.delete(this.#leaves.keys().next().value!);
    if (!(leaf instanceof Promise)) return leaf.context;
    try {
      const issued = await leaf;
      if (this.#leaves.get(key) === leaf) this.#leaves.set(key, issued);
      return issued.context;
    } catch (error) {
      if (this.#leaves.get(key) === leaf) this.#leaves.delete(key);
      throw error;
    }
  }

  async #issue(host: Host): Promise<Leaf> {
    const now = this.#now().getTime();
    const notAfterMs = Math.min(now + LEAF_LIFE_MS, this.#certificate.notAfter.getTime());
    // A name's last 64 characters would not fit into a CN; clients read the SAN alone.
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: [{ CN: ['Warren'] }],
      issuer: this.#certificate.subjectName,
      notBefore: new Date(Math.max(now - BACKDATED_MS, this.#certificate.notBefore.getTime())),
      notAfter: new Date(notAfterMs),
      signingAlgorithm: ALGORITHM,
      publicKey: this.#leafKeys.publicKey,
      signingKey: this.#signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          host.kind === 'name' ? { type: 'dns', value: host.name } : { type: 'ip', value: host.address },
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate, false),
        await x509.SubjectKeyIdentifierExtension.create(this.#leafKeys.publicKey),
      ],
    });
    const context = createSecureContext({
      key: this.#leafKeyPem,
      cert: certificate.toString('pem'),
      minVersion: 'TLSv1.2',
      sessionIdContext: createHash('sha256').update(hostText(host)).digest('hex').slice(0, 32),
    });
    return { context, refreshAtMs: notAfterMs - REFRESH_BEFORE_MS };
  }
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}

async function isKeyOf(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<boolean> {
  const said = randomBytes(32);
  const signature = await webcrypto.subtle.sign(ALGORITHM, key, said);
  const publicKey = await certificate.publicKey.export(ALGORITHM, ['verify']);
  return webcrypto.subtle.verify(ALGORITHM, publicKey, signature, said);
}

/** Positive, 127 bits. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}
