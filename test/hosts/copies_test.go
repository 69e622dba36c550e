package hosts

import (
	"fmt"
	"strings"
	"testing"
)

// TestCopiesUnderSignals copies from file to file, which every host does for itself, while signals come to the leader: the kernel
// ends such a call early where one waits.
func TestCopiesUnderSignals(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	const program = `
import os, signal
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for how in "copy_file_range", "sendfile":
    for n in range(60):
        i, o = os.open("big", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        done = 0
        while True:
            k = os.sendfile(o, i, done, 1 << 20) if how == "sendfile" else os.copy_file_range(i, o, 1 << 20, done, done)
            if k == 0:
                break
            done += k
        os.close(i), os.close(o)
    print(how, done)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(seen) > 20, open("big").read() == open("copy").read())
`
	w.each(func(h *host) { w.file(h, "big", strings.Repeat("0123456789abcdef", 1<<18)) })
	for i, r := range w.run("/usr/bin/python3", "-c", program) {
		want(t, fmt.Sprintf("host %d", i+1), r, 0)
		if i == 0 && string(r.Stdout) != "copy_file_range 4194304\nsendfile 4194304\nTrue True\n" {
			t.Errorf("the leader's output: %s", r)
		}
	}
	if t.Failed() {
		t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
	}
}
