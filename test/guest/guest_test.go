// Package guest has the tests that need another kernel than this system's: what is promised of each kernel of the matrix, and
// of the module in it. Guests are emulated, one after the other.
package guest

import (
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
	code := m.Run()
	if left := proc.Orphans(time.Second); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "these processes were left behind: %q\n", left)
		code = max(code, 1)
	}
	os.Exit(code)
}

// each runs test with every kernel of the matrix.
func each(t *testing.T, test func(t *testing.T, k guest.Kernel)) {
	if os.Geteuid() != 0 {
		t.Skip("root file systems of guests are made by root")
	}
	for _, k := range guest.Kernels {
		t.Run(k.String(), func(t *testing.T) { test(t, k) })
	}
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
			Kernel: k, Files: map[string]string{"/a/b": given},
			Script: "uname -r; cat /a/b; mkdir /out/c; cp /a/b /out/c/d; echo 'BUG: x' >/dev/kmsg; sleep 1000 & false",
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := f.Release + "\ngiven\n"; string(r.Output) != want || r.ExitCode != 1 || string(r.Out["c/d"]) != "given\n" {
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
	if _, err := os.Stat(filepath.Join(source, "Kbuild")); err != nil {
		t.Skip("this tree has no module")
	}
	each(t, func(t *testing.T, k guest.Kernel) {
		dir := t.TempDir()
		if err := guest.CheckModule(k, source); err != nil {
			t.Error(err)
		}
		if err := guest.BuildModule(k, source, dir); err != nil {
			t.Fatal(err)
		}
		r := guest.Must(t, guest.Options{
			Kernel: k, Files: map[string]string{"/m": dir},
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
		if err := guest.CheckModule(k, source); err == nil || !strings.Contains(err.Error(), "bad.c:10:") {
			t.Errorf("check a module that reads through a pointer of the user's: %v", err)
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

// TestPrograms runs some of what guests have, each of which says that the image lacks nothing it needs.
func TestPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root file systems of guests are made by root")
	}
	r := guest.Must(t, guest.Options{Kernel: guest.Linux61, Script: `set -e
bash --version; busybox true; echo 2+3 | bc; awk 'BEGIN { print 7 }'; perl -e 'print "perl\n"'; python3 -c 'import json, socket, sqlite3; print("python")'
sqlite3 :memory: 'select 11'; curl --version; strace -c true 2>&1; runc --version; nginx -V 2>&1; lighttpd -v; redis-server --version; ps; ip addr
`})
	if lines := strings.Split(string(r.Output), "\n"); !slices.Contains(lines, "11") || !slices.Contains(lines, "python") {
		t.Error(r)
	}
}
