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
stream.on('response', (headers) => {
  seen.status = headers[':status'];
  if (headers['grpc-status']) seen.grpc = headers['grpc-status'] + ' ' + headers['grpc-message'];
});
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

/** URL: by the HTTP client of pip, which is requests over urllib3. */
export const PYTHON_REQUESTS = `
import sys
from pip._vendor import requests
answer = requests.get(sys.argv[1])
sys.stdout.write(answer.text)
`;

/** HOST:PORT: by @grpc/grpc-js, a call whose answer is its question. */
export const GRPC_CLIENT = `
const { Client, credentials } = require('@grpc/grpc-js');
const { readFileSync } = require('fs');
const roots = readFileSync(process.env.SSL_CERT_FILE);
const client = new Client(process.argv[2], credentials.createSsl(roots));
const write = (text) => Buffer.from(text);
const read = (bytes) => bytes.toString();
client.makeUnaryRequest('/pkg.Service/Method', write, read, 'request message', (error, answer) => {
  console.log(error ? error.code + ' ' + error.details : answer);
  client.close();
});
`;

/** URL */
export const JAVA_GET = `
import java.net.*;
public class Get {
  public static void main(String[] args) throws Exception {
    var connection = (HttpURLConnection) new URL(args[0]).openConnection();
    var failed = connection.getResponseCode() >= 400;
    (failed ? connection.getErrorStream() : connection.getInputStream()).transferTo(System.out);
    System.out.flush();
    System.exit(failed ? 1 : 0);
  }
}
`;

/** As root: tries what is not TCP over IPv4, and tells each error. */
export const OTHER_PROTOCOLS = `
import errno, json, socket, struct, time
slowest = 0
def attempt(work):
    global slowest
    started = time.monotonic()
    try:
        return work() or 'sent'
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    finally:
        slowest = max(slowest, (time.monotonic() - started) * 1000)
def send(kind, protocol, data, address):
    with socket.socket(socket.AF_INET, kind, protocol) as s:
        s.sendto(data, address)
def dns():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(60)
        s.sendto(b'\\x12\\x34\\x01\\x00\\x00\\x01\\0\\0\\0\\0\\0\\0\\x07example\\x03com\\0\\0\\x01\\0\\x01', ('8.8.8.8', 53))
        return socket.inet_ntoa(s.recv(512)[-4:])
def ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.connect(('2606:4700:4700::1111', 443))
echo = struct.pack('!BBHHH', 8, 0, 0xf7ff, 0, 0)
print(json.dumps({
    'udp443': attempt(lambda: send(socket.SOCK_DGRAM, 0, b'quic', ('8.8.8.8', 443))),
    'udp123': attempt(lambda: send(socket.SOCK_DGRAM, 0, b'ntp', ('192.168.1.1', 123))),
    'icmp': attempt(lambda: send(socket.SOCK_RAW, socket.IPPROTO_ICMP, echo, ('8.8.8.8', 0))),
    'raw': attempt(lambda: send(socket.SOCK_RAW, 253, b'any', ('8.8.8.8', 0))),
    'sctp': attempt(lambda: send(socket.SOCK_STREAM, 132, b'', ('8.8.8.8', 443))),
    'ipv6': attempt(ipv6),
    'dns': attempt(dns),
    'slowestMs': str(round(slowest)),
}))
`;

/** As root: deletes the table of nf_tables that redirects, by way of netlink; prints the kernel's error number. */
export const FLUSH_NFT = `
import socket, struct
SUBSYSTEM, DELETE_TABLE, REQUEST, ACK, IPV4 = 10, 2, 1, 4, 2
def message(kind, flags, seq, family, resource, data=b''):
    body = struct.pack('>BBH', family, 0, resource) + data
    return struct.pack('=IHHII', 16 + len(body), kind, flags, seq, 0) + body
name = b'warren\\0'
table = struct.pack('=HH', 4 + len(name), 1) + name + b'\\0' * (-len(name) % 4)
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(message(16, REQUEST, 1, 0, SUBSYSTEM)
    + message(SUBSYSTEM << 8 | DELETE_TABLE, REQUEST | ACK, 2, IPV4, 0, table)
    + message(17, REQUEST, 3, 0, SUBSYSTEM))
print(struct.unpack_from('=i', s.recv(4096), 16)[0])
`;

/** As root: opens the devices that the agent speaks to the host through. */
export const AGENTS_PORTS = `
import errno, os
said = []
for port in ('/dev/vport0p1', '/dev/vport0p2'):
    try:
        os.write(os.open(port, os.O_RDWR | os.O_NONBLOCK), b'garbage')
        said.append('written')
    except OSError as error:
        said.append(errno.errorcode[error.errno])
print(*said)
`;

/** NAME…: their IPv4 addresses. */
export const LOCAL_NAMES = `
import socket, sys
print(*(socket.getaddrinfo(name, 80, socket.AF_INET)[0][4][0] for name in sys.argv[1:]))
`;
