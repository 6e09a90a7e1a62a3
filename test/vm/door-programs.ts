// Small programs that run in a machine: each reaches out as programs of its kind do, and prints what came of it.

/** URL */
export const NODE_FETCH = `
const answer = await fetch(process.argv[2]);
process.stdout.write(await answer.text());
`;

/** URL */
export const PYTHON_URLLIB = `
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1]) as answer:
        sys.stdout.write(answer.read().decode())
except urllib.error.HTTPError as refused:
    sys.stderr.write(refused.read().decode())
    raise
`;

/** HOST PORT: reads a line, then speaks. */
export const PYTHON_TCP = `
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    sys.stdout.buffer.write(connection.recv(100))
    connection.sendall(b'EHLO')
    while chunk := connection.recv(100):
        sys.stdout.buffer.write(chunk)
`;

/** ORIGIN PATH */
export const H2_CLIENT = `
import { connect } from 'node:http2';
const [origin, path] = process.argv.slice(2);
const session = connect(origin);
const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
const seen = { status: 0, body: '' };
stream.setEncoding('utf8');
stream.on('response', (headers) => { seen.status = headers[':status']; });
stream.on('trailers', ({ ...trailers }) => { seen.trailers = trailers; });
stream.on('data', (text) => { seen.body += text; });
stream.on('end', () => { console.log(JSON.stringify(seen)); session.close(); });
stream.end('request message');
`;

/** URL: a handshake and one masked frame that says hello. */
export const WS_CLIENT = `
import { randomBytes } from 'node:crypto';
import { get } from 'node:https';
const call = get(process.argv[2], {
  headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') },
});
call.on('upgrade', (answer, socket) => {
  const [text, mask] = [Buffer.from('hello'), randomBytes(4)];
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, text.map((byte, at) => byte ^ mask[at % 4])]));
  socket.once('data', (frame) => { console.log(answer.statusCode, frame.subarray(2).toString()); socket.destroy(); });
});
call.on('response', async (answer) => {
  let text = '';
  for await (const chunk of answer) text += chunk;
  console.log(answer.statusCode, text);
});
`;

/** ORIGIN: asks for the second event once it has the first. */
export const SSE_CLIENT = `
const origin = process.argv[2];
const answer = await fetch(origin + '/events');
for await (const chunk of answer.body) {
  const text = Buffer.from(chunk).toString();
  process.stdout.write(text.replaceAll('\\n\\n', '\\n'));
  if (text.includes('one')) await fetch(origin + '/next');
}
`;

/** HOST PORT FILE: whose certificate is it, verified by that file alone; and what the server says. */
export const TLS_ISSUER = `
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
const [host, port, file] = process.argv.slice(2);
const socket = connect({ host, port, servername: host, ca: readFileSync(file) }, () => {
  process.stdout.write(socket.getPeerCertificate().issuer.CN + ': ');
  socket.pipe(process.stdout);
});
`;

/** URL */
export const GO_CLIENT = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(os.Stdout, answer.Body)
}
`;
