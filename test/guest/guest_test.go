// Package guest has the tests that need another kernel than this system's: what is promised of each kernel of the matrix, and
// of the module in it. Guests are emulated, as many at a time as there are processors: each takes one thread.
package guest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); limit > 0 {
		proc.EndBy(time.Now().Add(limit - 10*time.Second))
	}
	dir, err := os.MkdirTemp("", "mm-")
	if err != nil {
		fmt.Fprintf(os.Stderr, "make a folder for modules: %v\n", err)
		os.Exit(1)
	}
	built.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if left := proc.Orphans(time.Second); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "these processes were left behind: %q\n", left)
		code = max(code, 1)
	}
	os.Exit(code)
}

func needs(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root file systems of guests are made by root")
	}
}

// each runs test with every kernel of the matrix. The newest is skipped where its suite is not served.
func each(t *testing.T, test func(t *testing.T, k guest.Kernel)) {
	t.Helper()
	with(t, kernels(t), test)
}

// most runs test with every kernel but the newest, which has it with MONMOD_SOAK only: emulation is slow.
func most(t *testing.T, test func(t *testing.T, k guest.Kernel)) {
	t.Helper()
	with(t, slices.DeleteFunc(slices.Clone(kernels(t)), func(k guest.Kernel) bool { return k == guest.Newest && !soaks() }), test)
}

func soaks() bool { return os.Getenv("MONMOD_SOAK") != "" }

func with(t *testing.T, these []guest.Kernel, test func(t *testing.T, k guest.Kernel)) {
	t.Helper()
	needs(t)
	t.Parallel()
	for _, k := range these {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			if _, err := guest.Fetch(k); errors.Is(err, guest.ErrNotServed) {
				t.Skip(err)
			}
			test(t, k)
		})
	}
}

// kernels is the matrix, the oldest first.
func kernels(t *testing.T) []guest.Kernel {
	t.Helper()
	chosen, err := guest.Chosen()
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// TestBoots holds the harness itself to what the other tests trust in: the right kernel runs, exit codes, output, files and
// complaints of the kernel arrive.
func TestBoots(t *testing.T) {
	each(t, func(t *testing.T, k guest.Kernel) {
		f, err := guest.Fetch(k)
		if err != nil {
			t.Fatal(err)
		}
		given := filepath.Join(t.TempDir(), "given")
		if err := os.WriteFile(given, []byte("given\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := guest.Run(t.Context(), guest.Options{
			Kernel: k, Files: map[string]string{"/a/b": given}, Drivers: []string{"veth"},
			Script: "uname -r; ip link add name v type veth peer name w; cat /a/b; python3 -c 'import sqlite3; print(7)'; mkdir /out/c; cp /a/b /out/c/d; echo 'BUG: x' >/dev/kmsg; sleep 1000 & false",
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := f.Release + "\ngiven\n7\n"; string(r.Output) != want || r.ExitCode != 1 || string(r.Out["c/d"]) != "given\n" {
			t.Errorf("want exit code 1, output %q and a file c/d: %s\nfiles: %q", want, r, r.Out)
		}
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "BUG: x") {
			t.Errorf("want the complaint of the script and no other: %s", r)
		}
		t.Logf("%s: %v", f.Release, r.Elapsed)
	})
}

// TestModule builds the module for each kernel, without a warning, loads it and takes it out again.
func TestModule(t *testing.T) {
	source := filepath.Join(target.Root(), "kmod")
	each(t, func(t *testing.T, k guest.Kernel) {
		if k.Checkable() {
			if err := guest.CheckModule(k, source); err != nil {
				t.Error(err)
			}
		}
		r := guest.Must(t, guest.Options{
			Kernel: k, Files: map[string]string{"/m": module(t, k)},
			Script: "insmod /m/monmod.ko && lsmod && rmmod monmod && insmod /m/monmod.ko && rmmod monmod",
		})
		if loads := strings.Count(r.Dmesg, "monmod: module loaded"); loads != 2 {
			t.Errorf("want two messages that the module is loaded, got %d: %s", loads, r)
		}
	})
}

// TestBadModules holds builds to complaining: of what sparse alone sees, in a module that gcc builds, and of what gcc sees.
func TestBadModules(t *testing.T) {
	const head = "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"bad\");\n"
	write := func(t *testing.T, code string) string {
		source := t.TempDir()
		for name, text := range map[string]string{"Kbuild": "obj-m := bad.o\nccflags-y += -I$(src)/include\n", "bad.c": head + code} {
			if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return source
	}
	each(t, func(t *testing.T, k guest.Kernel) {
		source := write(t, "#ifndef __CHECKER__\n#if !__has_include(<monmod/start.h>)\n#error no headers\n#endif\n#endif\n"+
			"int get(int __user *p);\nint get(int __user *p) { return *p; }\n")
		if k.Checkable() {
			if err := guest.CheckModule(k, source); err == nil || !strings.Contains(err.Error(), "bad.c:10:") {
				t.Errorf("check a module that reads through a pointer of the user's: %v", err)
			}
		}
		if err := guest.BuildModule(k, source, t.TempDir()); err != nil {
			t.Error(err)
		}
		source = write(t, "static int unused(void) { return 0; }\n")
		if err := guest.BuildModule(k, source, t.TempDir()); err == nil || !strings.Contains(err.Error(), "bad.c:4:") {
			t.Errorf("build a module with a function that nobody calls: %v", err)
		}
	})
}

// TestNotServed asks for kernels that cannot be had: of a suite that there is not, and of a kind that a suite has not.
func TestNotServed(t *testing.T) {
	needs(t)
	for _, k := range []guest.Kernel{
		{Name: "of no suite", Flavour: guest.Newest.Flavour, Suite: "no-such-suite"},
		{Name: "of no kind", Flavour: "no-such-flavour", Suite: guest.Newest.Suite},
	} {
		if _, err := guest.Fetch(k); !errors.Is(err, guest.ErrNotServed) || !strings.Contains(err.Error(), k.Suite) {
			t.Errorf("fetch a kernel %s: %v", k, err)
		}
	}
}

// TestCrash kills a kernel: the test hears of it at once, with what the kernel and the script said last.
func TestCrash(t *testing.T) {
	needs(t)
	r, err := guest.Run(t.Context(), guest.Options{Kernel: guest.Linux612, Script: "echo said before; echo c >/proc/sysrq-trigger; sleep 1000"})
	if err == nil {
		t.Fatalf("a kernel that crashed is no error: %s", r)
	}
	for _, words := range []string{"said before", "sysrq triggered crash", "without saying"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the error lacks %q: %v", words, err)
		}
	}
	if len(r.Problems) == 0 {
		t.Errorf("no problem of a kernel that crashed: %v", err)
	}
}

// TestTimeout has a script that does not end.
func TestTimeout(t *testing.T) {
	needs(t)
	start := time.Now()
	r, err := guest.Run(t.Context(), guest.Options{Kernel: guest.Linux61, Script: "sleep 1000", Timeout: 2 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "deadline") || time.Since(start) > time.Minute {
		t.Errorf("after %v: %v, %s", time.Since(start), err, r)
	}
}

// TestPair fetches a page of one guest from the other, which has another kernel.
func TestPair(t *testing.T) {
	needs(t)
	server := guest.Options{Kernel: guest.Linux61, CPUs: 1, MemoryMB: 512, Script: `set -e
mkdir /www; echo page >/www/index.html
printf 'server.document-root = "/www"\nserver.port = 80\nserver.bind = "%s"\n' ` + guest.Addresses[0] + ` >/lighttpd.conf
lighttpd -f /lighttpd.conf
busybox nc -l -p 81 </dev/null
`}
	client := guest.Options{Kernel: guest.Linux612, CPUs: 1, MemoryMB: 512, Script: `
curl -s --retry 100 --retry-delay 1 --retry-all-errors http://` + guest.Addresses[0] + `/index.html || exit
until busybox nc ` + guest.Addresses[0] + ` 81 </dev/null; do sleep 0.2; done
`}
	if r := guest.MustPair(t, server, client); string(r[1].Output) != "page\n" {
		t.Errorf("the second guest read something else: %s", r[1])
	}
}
