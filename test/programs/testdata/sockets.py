# A server and its clients in one process and one thread, over TCP of both families and a unix socket.
import hashlib, os, selectors, socket, ssl

data = bytes(i * 31 % 251 for i in range(300_000))


def talk(family, address):
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(8)
    listener.setblocking(False)
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    clients = {}
    for i in range(5):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.connect(listener.getsockname())
        s.setblocking(False)
        clients[s] = [data, b""]
        waiting.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    echoes = {}
    done = 0
    while done < 5:
        for key, events in waiting.select(10):
            s = key.fileobj
            if s is listener:
                peer, _ = s.accept()
                peer.setblocking(False)
                echoes[peer] = b""
                waiting.register(peer, selectors.EVENT_READ)
            elif s in echoes:
                if events & selectors.EVENT_READ:
                    got = s.recv(65536)
                    echoes[s] += got
                    if not got and not echoes[s]:
                        waiting.unregister(s)
                        s.close()
                        continue
                if echoes[s]:
                    try:
                        echoes[s] = echoes[s][s.send(echoes[s]):]
                    except BlockingIOError:
                        pass
                waiting.modify(s, selectors.EVENT_READ | (selectors.EVENT_WRITE if echoes[s] else 0))
            else:
                unsent, received = clients[s]
                if events & selectors.EVENT_WRITE and unsent:
                    unsent = unsent[s.send(unsent[:50_000]):]
                    if not unsent:
                        waiting.modify(s, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    received += s.recv(65536)
                clients[s] = [unsent, received]
                if len(received) == len(data):
                    done += 1
                    waiting.unregister(s)
                    s.close()
    for _, received in clients.values():
        print(family.name, len(received), hashlib.md5(received).hexdigest())
    listener.close()


talk(socket.AF_INET, ("127.0.0.1", 0))
talk(socket.AF_UNIX, "talk.sock")
os.unlink("talk.sock")
left, right = socket.socketpair()
left.sendmsg([b"one ", b"two"])
print(right.recvmsg(100)[0])
for target in (("127.0.0.1", 1), ("0.0.0.0", 70000)):
    try:
        socket.create_connection(target, timeout=5)
    except (OSError, OverflowError) as e:
        print(type(e).__name__)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.sendto(b"datagram", udp.getsockname())
print(udp.recvfrom(100)[0])
udp.settimeout(0.02)
try:
    udp.recv(1)
except TimeoutError:
    print("timed out")
print(len(ssl.create_default_context().get_ciphers()) > 0)
