# Handlers, timers and waits that a signal interrupts.
import os, signal, sys, time

seen = []
signal.signal(signal.SIGUSR1, lambda n, f: seen.append("usr1"))
signal.signal(signal.SIGALRM, lambda n, f: seen.append("alarm"))
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
for _ in range(20):
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(seen), set(seen))
seen.clear()
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(seen) < 10:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print(seen[:10])
signal.signal(signal.SIGALRM, lambda n, f: 1 / 0)
signal.setitimer(signal.ITIMER_REAL, 0.02)
try:
    time.sleep(30)
except ZeroDivisionError:
    print("interrupted")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.sigpending())
seen.clear()
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
print(seen)
r, w = os.pipe()
os.close(r)
try:
    os.write(w, b"x")
except BrokenPipeError:
    print("broken pipe")
sys.stdout.flush()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGTERM)
print("not reached")
