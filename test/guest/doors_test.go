package guest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
)

// doorways are what c/doors.c prints with `guard: weak`, where each way opens the monitor's key, and with `guard: full`.
var doorways = []struct{ name, weak, full string }{
	{"count", "wrpkru some, xrstor unchecked", "wrpkru none, xrstor checked"},
	{"pkey_set", "open", "signal 4, closed"},
	{"xrstor", "open", "signal 4, closed"},
	{"written", "Success, Success, gives 7, open", "Permission denied, Success, gives 7, Permission denied"},
}

// TestDoorsToTheKey jumps to the instructions of a process that open protection keys.
func TestDoorsToTheKey(t *testing.T) {
	program := filepath.Join(t.TempDir(), "doors")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, "c/doors.c").CombinedOutput(); err != nil {
		t.Fatalf("build c/doors.c: %v\n%s", err, out)
	}
	var script, want strings.Builder
	script.WriteString(load)
	for _, guard := range []string{"weak", "full"} {
		script.WriteString("printf 'leader: 1\\nvariants: [{id: 1}, {id: 2}]\\nbackend: kmod\\nguard: " + guard + "\\n' >/tmp/" + guard + ".yaml\n")
		for _, d := range doorways {
			script.WriteString("monmod run --config /tmp/" + guard + ".yaml -- /c/doors " + d.name + " | sed 's/^/" + guard + " /'\n")
			want.WriteString(guard + " " + d.name + ": " + map[string]string{"weak": d.weak, "full": d.full}[guard] + "\n")
		}
	}
	each(t, func(t *testing.T, k guest.Kernel) {
		files := project(t, k)
		files["/c/doors"] = program
		r := guest.Must(t, guest.Options{Kernel: k, Files: files, MemoryMB: 1024, Script: script.String()})
		for line := range strings.Lines(want.String()) {
			if !strings.Contains(string(r.Output), line) {
				t.Errorf("want the line %s", line)
			}
		}
		if t.Failed() {
			t.Logf("%s", r)
		}
	})
}
