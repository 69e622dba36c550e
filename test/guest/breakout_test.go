package guest

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// breakouts are what c/breakout.c comes to with Syscall User Dispatch, which is no boundary, and with the module; "" is not run, "…" is anything.
var breakouts = []struct{ name, sud, kmod string }{
	{"gate", "gate: through", "… made a system call at the monitor's gate without being the monitor…exit 70"},
	{"store", "store: through", "store: signal 11, closed"},
	{"return", "return: through", "… made a system call at the monitor's gate without being the monitor…exit 70"},
	{"frame", "", "frame: closed"},
	{"wrpkru", "", "… the monitor itself faulted … exit 70"},
	{"read", "read: Bad address, Bad address, Bad address, set", "read: Bad address, Bad address, Bad address, set"},
	{"int3", "exit 139", "exit 139"},
	{"compat", "… the program ran 32-bit code…exit 70", "… the program ran 32-bit code…exit 70"},
	{"rseq", "rseq: Function not implemented", "rseq: Function not implemented"},
}

// TestBreakouts has a program under the real monitor turn on it, with the library's addresses known.
func TestBreakouts(t *testing.T) {
	program := filepath.Join(t.TempDir(), "breakout")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, "c/breakout.c").CombinedOutput(); err != nil {
		t.Fatalf("build c/breakout.c: %v\n%s", err, out)
	}
	where := libraryPlaces(t)
	var script, want strings.Builder
	script.WriteString(load + "export XDG_STATE_HOME=/tmp/state\n")
	run := func(backend, name, result string) {
		if result == "" {
			return
		}
		fmt.Fprintf(&script, "echo \"%[1]s %[2]s: $(monmod run --variants 2 --backend %[1]s -- /c/breakout %[2]s %[3]s 2>&1 || echo exit $?)\" | tr '\\n' ' '; echo\n",
			backend, name, where)
		fmt.Fprintf(&want, "%s %s: %s\n", backend, name, result)
	}
	for _, b := range breakouts {
		run("sud", b.name, b.sud)
		run("kmod", b.name, b.kmod)
	}
	eachGuard(t, func(t *testing.T, k guest.Kernel, boot string) {
		files := project(t, k)
		files["/c/breakout"] = program
		r := guest.Must(t, guest.Options{Kernel: k, Files: files, MemoryMB: 1024, Append: boot, Script: script.String()})
		for line := range strings.Lines(want.String()) {
			if boot != "" && strings.HasPrefix(line, "kmod") { // no keys and no such instructions; a frame with keys some kernels refuse
				line = strings.Replace(strings.Replace(line, "frame: closed", "frame: …closed", 1), "closed", "no keys", 1)
			}
			parts := strings.Split(strings.TrimSpace(line), "…")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			if !regexp.MustCompile("(?m)^" + strings.Join(parts, ".*") + " *$").Match(r.Output) {
				t.Errorf("want the line %s", line)
			}
		}
		if t.Failed() {
			t.Logf("%s", r)
		}
	})
}

// libraryPlaces are the numbers that c/breakout.c wants, in its order.
func libraryPlaces(t *testing.T) string {
	t.Helper()
	f, err := elf.Open(target.Built("libmonmod.so"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]uint64{}
	for _, s := range symbols {
		at[s.Name] = s.Value
	}
	for _, name := range []string{"mm_gate", "mm_return", "mm_key_out", "mm_image_end"} {
		if _, ok := at[name]; !ok {
			t.Fatalf("libmonmod.so has no symbol %s", name)
		}
	}
	// mm_key_out begins with xor, xor, mov, in nine bytes; behind the image come a guard page and the process block (layout.c)
	return fmt.Sprintf("%x %x %x %x", at["mm_gate"], at["mm_return"], at["mm_key_out"]+9, at["mm_image_end"]+0x1000)
}
