// How the corpus of odd requests is written.

export interface OddRequest {
  what: string;
  /** What the client sends, a character per byte. */
  text: string;
  /** Null: it arrives, byte for byte but for the documented changes. */
  refused: number | null;
  /** Its first bytes are of no HTTP. */
  notHttp?: boolean;
  /** What is wrong comes after its head: the beginning of it may have been sent on, never all. */
  inBody?: boolean;
}

export type Row = [
  what: string,
  refused: number | null,
  start: string,
  headers?: string[],
  body?: string,
  odd?: Pick<OddRequest, 'notHttp' | 'inBody'>,
];

export const HOST = 'Host: api.example';
export const CHUNKED = 'Transfer-Encoding: chunked';
export const long = (letter: string, times: number) => letter.repeat(times);
export const chunk = (data: string) => `${data.length.toString(16)}\r\n${data}\r\n`;
