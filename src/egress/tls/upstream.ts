// TLS to an upstream: its certificate is always verified, for the name of the flow, against the system's roots, those
// of `NODE_EXTRA_CA_CERTS` (as Node's own clients do) and those that were added.

import type { Duplex } from 'node:stream';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  getCACertificates,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { hostText } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';

/** Made once per door: parsing the roots takes longer than a handshake. */
export function upstreamContext(extraCa: readonly string[]): SecureContext {
  const system = getCACertificates('system');
  const roots = system.length > 0 ? system : rootCertificates;
  return createSecureContext({
    ca: [...roots, ...getCACertificates('extra'), ...extraCa],
    minVersion: 'TLSv1.2',
  });
}

export type Secured = { socket: TLSSocket } | { failed: string };

export async function secure(
  socket: Duplex,
  host: Host,
  alpn: readonly string[],
  context: SecureContext,
  timeoutMs: number,
  bufferBytes: number,
): Promise<Secured> {
  const named: ConnectionOptions =
    host.kind === 'name' ? { servername: host.name } : { host: host.address, servername: '' };
  const options: ConnectionOptions & { highWaterMark: number } = {
    ...named,
    socket,
    secureContext: context,
    ALPNProtocols: [...alpn],
    rejectUnauthorized: true,
    highWaterMark: bufferBytes,
  };
  const tls = connect(options);
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve('no answer in time'), timeoutMs);
  tls.once('secureConnect', () => resolve(tls.authorized ? null : 'its certificate could not be verified'));
  tls.on('error', (error: NodeJS.ErrnoException) => resolve(explain(error)));
  tls.once('close', () => resolve('it closed the connection'));
  const failure = await promise;
  clearTimeout(timer);
  if (failure === null) return { socket: tls };
  tls.destroy();
  socket.destroy();
  return { failed: `TLS to ${hostText(host)} failed: ${failure}` };
}

/** https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/, without `X509_V_ERR_`. */
const UNKNOWN_ISSUERS = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Codes only: messages repeat what the upstream wrote into its certificate. */
function explain({ code }: NodeJS.ErrnoException): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'its certificate is for another name';
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (UNKNOWN_ISSUERS.has(code ?? ''))
    return 'its certificate was issued by nobody whom the host trusts ("ca" in its config.json adds more)';
  return code ?? 'it broke off';
}
