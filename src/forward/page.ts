// What a person reads when a stable name leads nowhere: a page for browsers, lines for other programs. Pure.

import type { GuestPort } from '../protocol/forwards.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { type StableName, urlOf } from './stable-name.ts';

export interface Page {
  status: number;
  title: string;
  lines: string[];
  /** Of the same sandbox. */
  listening?: GuestPort[];
}

export const statusText: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  421: 'Misdirected Request',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

const SHOWN_PORTS = 50;

export function renderPage(
  page: Page,
  html: boolean,
  to: StableName | null,
  listenerPort: number,
): { body: Buffer; headers: string[] } {
  const rows = (page.listening ?? []).slice(0, SHOWN_PORTS).map(({ port, comm }) => ({
    url: urlOf({ port, sandbox: to?.sandbox ?? '' }, listenerPort),
    program: sanitizeLine(comm, 40),
  }));
  const text = html
    ? `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escapeHtml(page.title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}</style>
<h1>${escapeHtml(page.title)}</h1>
${page.lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')}
${rows.length > 0 ? `<ul>\n${rows.map(({ url, program }) => `<li><a href="${escapeHtml(url)}">${escapeHtml(url)}</a> ${escapeHtml(program)}</li>`).join('\n')}\n</ul>` : ''}
</html>\n`
    : `${[page.title, ...page.lines, ...rows.map(({ url, program }) => `  ${url}  ${program}`)].join('\n')}\n`;
  const body = Buffer.from(text);
  return {
    body,
    headers: [
      'Content-Type',
      `text/${html ? 'html' : 'plain'}; charset=utf-8`,
      'Content-Length',
      String(body.length),
      'Cache-Control',
      'no-store',
      'X-Content-Type-Options',
      'nosniff',
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ],
  };
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
