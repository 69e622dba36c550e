package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// TestHosts runs one server as two variants on two hosts of different kernels, each armed by its own module: the leader
// answers a client, and ends by SIGTERM with the other.
func TestHosts(t *testing.T) {
	needs(t)
	kernels := [2]guest.Kernel{guest.Linux61, guest.Linux612}
	var files [2]map[string]string
	for i, k := range kernels {
		files[i] = project(t, k)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "pair.yaml")
	text := fmt.Sprintf("group: pair\nleader: 1\nfs: own\nbackend: kmod\nstart_timeout: 120s\nkeys: /keys\nlogs: /logs\nvariants:\n  - {id: 1, address: %s}\n  - {id: 2, address: %s}\n",
		guest.Addresses[0], guest.Addresses[1])
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if out, err := exec.Command(target.Built("monmod"), "keygen", "--config", config, "--out", keys).CombinedOutput(); err != nil {
		t.Fatalf("make keys: %v\n%s", err, out)
	}
	program := server(t)
	for i := range files {
		files[i]["/pair.yaml"], files[i]["/test/server"] = config, program
		for _, name := range []string{"ca.crt", fmt.Sprintf("%d.crt", i+1), fmt.Sprintf("%d.key", i+1)} {
			files[i]["/keys/"+name] = filepath.Join(keys, name)
		}
	}
	// The second says by a connection to port 81 that it has seen the end: the first to end takes the network along.
	const run = load + `
mkdir /docs /logs; seq 1 400 >/docs/page.html
monmod run --id %[1]d --config /pair.yaml -- /test/server 8080 /docs & pid=$!
%[2]s
wait $pid; code=$?
monmod kmod status
entries=$(cat /sys/kernel/monmod/entries)
if [ "$entries" -lt 50 ] || ls /logs/divergence-* 2>/dev/null; then cat /logs/divergence-*; code=99; fi
%[3]s
exit $code
`
	const visit = `
until grep -q ' 0100007F:1F90 00000000:0000 0A ' /proc/net/tcp || ! kill -0 $pid; do sleep 0.1; done
page=http://127.0.0.1:8080/page.html
curl -sS -m 60 $page | sha256sum; sha256sum </docs/page.html
curl -sS -m 60 -o /dev/null -o /dev/null -o /dev/null -w '%{http_code} %{num_connects}\n' $page $page ${page%page.html}none
kill -TERM $pid`
	options := [2]guest.Options{}
	for i, own := range [2][2]string{
		{visit, "busybox nc -l -p 81 </dev/null"},
		{"", "until busybox nc " + guest.Addresses[0] + " 81 </dev/null; do sleep 0.2; done"},
	} {
		options[i] = guest.Options{Kernel: kernels[i], CPUs: 1, MemoryMB: 768, Files: files[i], Script: fmt.Sprintf(run, i+1, own[0], own[1])}
	}
	r := guest.MustPair(t, options[0], options[1])
	t.Logf("%s\n%s%v", r[0].Output, r[1].Output, r[0].Elapsed)
	if !strings.Contains(string(r[0].Output), "200 1\n200 0\n404 0\n") {
		t.Errorf("the server did not answer: %s", r[0])
	}
	lines := strings.Split(string(r[0].Output), "\n")
	if len(lines) < 2 || lines[0] != lines[1] {
		t.Errorf("the page is another one: %s", r[0])
	}
}
