// What a hostile root does inside of a machine, as Python programs: the built-in environment has Python, and no compiler.
// Each prints one JSON object: what was tried, and what came of it.

const HEAD = `
import ctypes, errno, glob, json, os, signal, socket, struct, sys
def attempt(work):
    try:
        return work() or 'done'
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__ + ': ' + str(error))
    except Exception as error:
        return type(error).__name__ + ': ' + str(error)
def get(host, port, address=None):
    with socket.create_connection((address or host, port), 60) as s:
        s.sendall(f'GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n'.encode())
        return s.recv(400).decode('latin1') or 'closed'
def tunnel(host, port):
    with socket.create_connection(('127.0.0.1', 3128), 60) as s:
        s.sendall(f'CONNECT {host}:{port} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n'.encode())
        first = s.recv(400)
        if b' 200 ' not in first.split(b'\\r\\n')[0]:
            return first.decode('latin1') or 'closed'
        s.sendall(f'GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n'.encode())
        return s.recv(400).decode('latin1') or 'closed'
told = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
seen = {}
`;
const TAIL = '\nprint(json.dumps(seen))\n';
const program = (body: string) => `${HEAD}${body}${TAIL}`;

/** Any packet that is not TCP. */
export const OTHER_PROTOCOLS = program(`
def send(family, kind, protocol, data, address):
    with socket.socket(family, kind, protocol) as s:
        s.settimeout(20)
        s.sendto(data, address)
        return 'sent'
def six():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(20)
        s.connect(('2606:4700:4700::1111', 443))
        return 'sent'
echo = struct.pack('!BBHHH', 8, 0, 0xf7ff, 0, 0)
v4 = socket.AF_INET
seen['UDP 443'] = attempt(lambda: send(v4, socket.SOCK_DGRAM, 0, b'quic', ('8.8.8.8', 443)))
seen['UDP 123'] = attempt(lambda: send(v4, socket.SOCK_DGRAM, 0, b'ntp', ('192.168.1.1', 123)))
seen['ICMP'] = attempt(lambda: send(v4, socket.SOCK_RAW, 1, echo, ('8.8.8.8', 0)))
seen['raw IP'] = attempt(lambda: send(v4, socket.SOCK_RAW, 253, b'any', ('8.8.8.8', 0)))
seen['SCTP'] = attempt(lambda: send(v4, socket.SOCK_STREAM, 132, b'', ('8.8.8.8', 443)))
seen['IPv6'] = attempt(six)
`);

/** Devices that a packet could leave by. */
export const NETWORK_DEVICES = program(`
seen['devices'] = sorted(os.listdir('/sys/class/net'))
seen['controllers'] = [p for p in glob.glob('/sys/bus/pci/devices/*/class') if open(p).read().startswith('0x02')]
`);

/** Told: \`addresses\`, \`port\`. */
export const ADDRESSES = program(`
for address in told['addresses']:
    for port in (80, told['port']):
        seen[f'{address}:{port}'] = attempt(lambda: get(address, port))
seen['proxy to 127.0.0.1'] = attempt(lambda: tunnel('127.0.0.1', told['port']))
seen['proxy to [::1]'] = attempt(lambda: tunnel('[::1]', told['port']))
`);

/** Told: \`ports\`, \`addresses\` of this computer. */
export const HOST_PORTS = program(`
for port in told['ports']:
    seen[f'host.warren.internal:{port}'] = attempt(lambda: get('host.warren.internal', port))
    seen[f'127.0.0.1:{port}'] = attempt(lambda: get('127.0.0.1', port))
    for address in told['addresses']:
        seen[f'{address}:{port}'] = attempt(lambda: get(address, port))
    seen[f'proxy to 127.0.0.1:{port}'] = attempt(lambda: tunnel('127.0.0.1', port))
    seen[f'proxy to localhost:{port}'] = attempt(lambda: tunnel('localhost', port))
`);

/** Told: \`name\`, that nobody allows. */
export const NAMES = program(`
def ask(kind, server):
    labels = b''.join(bytes([len(part)]) + part.encode() for part in told['name'].split('.'))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(60)
        s.sendto(b'\\x12\\x34\\x01\\x00\\x00\\x01\\0\\0\\0\\0\\0\\0' + labels + b'\\0' + struct.pack('!HH', kind, 1), (server, 53))
        answer = s.recv(4096)
        return f'{struct.unpack("!H", answer[6:8])[0]} {socket.inet_ntoa(answer[-4:])}'
seen['A'] = attempt(lambda: ask(1, '8.8.8.8'))
seen['TXT'] = attempt(lambda: ask(16, '8.8.8.8'))
seen['localhost'] = attempt(lambda: socket.gethostbyname('a.localhost'))
def dot():
    with socket.create_connection((told['name'], 853), 60) as s:
        s.sendall(b'\\0\\x10' + b'\\0' * 16)
        return 'answered ' + s.recv(10).hex() if s.recv(1) else 'closed'
seen['port 853'] = attempt(dot)
seen['plain HTTP'] = attempt(lambda: get(told['name'], 80))
`);

/** A network namespace of its own, as containers have. Told: \`port\`. */
export const NAMESPACE = program(`
libc = ctypes.CDLL(None, use_errno=True)
def enter():
    if libc.unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    return 'entered'
seen['namespace'] = attempt(enter)
for address in ('198.18.0.1', '192.0.0.2', '169.254.169.254', '10.0.0.1'):
    seen[address] = attempt(lambda: get(address, told['port']))
`);

/** Where a secret's value would be, and its stand-in. Told: \`variable\`. */
export const SECRET = program(`
seen['variable'] = os.environ.get(told['variable'], '')
`);

/** Writes to what is read-only, past the kernel's own flag. */
export const LAYERS = program(`
BLKROSET = 0x125d
for path in sorted(glob.glob('/sys/block/vd*')):
    if open(path + '/ro').read().strip() != '1':
        continue
    device = '/dev/' + os.path.basename(path)
    def write():
        fd = os.open(device, os.O_WRONLY)
        try:
            os.write(fd, b'warren attack'.ljust(4096, b'\\0'))
            os.fsync(fd)
        finally:
            os.close(fd)
        return 'written'
    def make_writable():
        fd = os.open(device, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).ioctl(fd, BLKROSET, ctypes.byref(ctypes.c_int(0))) != 0:
                raise OSError(ctypes.get_errno(), 'BLKROSET')
        finally:
            os.close(fd)
        return 'flag taken away'
    seen[device] = attempt(write)
    seen[device + ' made writable'] = attempt(make_writable)
    seen[device + ' again'] = attempt(write)
libc = ctypes.CDLL(None, use_errno=True)
for line in open('/proc/self/mounts'):
    place, kind = line.split()[1:3]
    if kind != 'erofs':
        continue
    def remount():
        if libc.mount(b'none', place.encode(), None, 32, None) != 0:
            raise OSError(ctypes.get_errno(), 'remount')
        return 'remounted'
    seen['remount ' + place] = attempt(remount)
`);

/** The agent's own devices, PID 1, and the table that redirects. Breaks the guest's way out. Told: \`addresses\`, \`port\`. */
export const REDIRECT = program(`
def open_port(path):
    os.write(os.open(path, os.O_RDWR | os.O_NONBLOCK), b'garbage')
    return 'written'
for path in sorted(glob.glob('/dev/vport*')):
    seen[path] = attempt(lambda: open_port(path))
seen['kill 1'] = attempt(lambda: os.kill(1, signal.SIGKILL))
def flush():
    def message(kind, flags, seq, family, resource, data=b''):
        body = struct.pack('>BBH', family, 0, resource) + data
        return struct.pack('=IHHII', 16 + len(body), kind, flags, seq, 0) + body
    name = b'warren\\0'
    table = struct.pack('=HH', 4 + len(name), 1) + name + b'\\0' * (-len(name) % 4)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
        s.send(message(16, 1, 1, 0, 10) + message(10 << 8 | 2, 5, 2, 2, 0, table) + message(17, 1, 3, 0, 10))
        return 'flushed' if struct.unpack_from('=i', s.recv(4096), 16)[0] == 0 else 'refused'
seen['redirect'] = attempt(flush)
def direct(address, port):
    with socket.create_connection((address, port), 3) as s:
        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
        return s.recv(100).decode('latin1') or 'closed'
for address in told['addresses'] + ['127.0.0.1']:
    seen[f'then {address}'] = attempt(lambda: direct(address, told['port']))
seen['then the proxy'] = attempt(lambda: tunnel('127.0.0.1', told['port']))
`);

/**
 * Takes the agent's own descriptors (pidfd_getfd) and pours garbage into both of its streams, then ends it. Nothing is
 * heard of this program afterwards.
 */
export const AGENT = program(`
libc = ctypes.CDLL(None, use_errno=True)
garbage = os.urandom(1 << 16)
for entry in glob.glob('/proc/[0-9]*/cmdline'):
    pid = int(entry.split('/')[2])
    if b'-in-machine' not in open(entry, 'rb').read():
        continue
    pidfd = libc.syscall(434, pid, 0)
    for name in os.listdir(f'/proc/{pid}/fd'):
        if 'vport' not in os.readlink(f'/proc/{pid}/fd/{name}'):
            continue
        fd = libc.syscall(438, pidfd, int(name), 0)
        for _ in range(16):
            attempt(lambda: os.write(fd, garbage))
    os.kill(pid, signal.SIGKILL)
`);
