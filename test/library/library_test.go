// Package library tests the C of preload/ by itself: built with sanitizers into programs of its own and driven from here, and
// the file that is installed, looked at from outside. What needs a supervisor or a running group lives elsewhere.
package library

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dchest/siphash"
)

const root = "../.."

// Every test of the C programs says something when it fails; one that hangs is ended.
const patience = 2 * time.Minute

var sanitize = []string{
	"-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
	// x86 allows both, and the library relies on it: unaligned words, and copies of no bytes from nowhere.
	"-fno-sanitize=alignment,nonnull-attribute",
}

// str.c defines what the sanitizers watch in everything else, so here it has names of its own.
var renamed = []string{"memcpy", "memmove", "memset", "memcmp", "strlen"}

// built is where TestMain has put the programs.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "monmod-library-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := build(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		built = dir
		return m.Run()
	}())
}

// build compiles the library's files and the programs around them, two files at a time.
func build(dir string) error {
	library, err := filepath.Glob(filepath.Join(root, "preload", "*.[cS]"))
	if err != nil {
		return err
	}
	programs, err := filepath.Glob("c/*.c")
	if err != nil {
		return err
	}
	flags := append([]string{"-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer",
		"-fsanitize=fuzzer-no-link", "-I" + root + "/include", "-I" + root + "/preload", "-c"}, sanitize...)
	object := func(source string) string {
		return filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(source, root+"/"), "/", "_")+".o")
	}
	sources := append(append([]string{}, library...), programs...)
	results := make(chan error)
	turns := make(chan struct{}, 2)
	for _, source := range sources {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			args := append([]string{}, flags...)
			switch filepath.Base(source) {
			case "str.c":
				args = append(args, "-fno-builtin")
				for _, name := range renamed {
					args = append(args, "-D"+name+"=str_"+name)
				}
			case "entry.S", "gate.S": // the harness stands in front of these
				args = append(args, "-Dmm_copy=real_copy", "-Dmm_gate=real_gate", "-Dmm_app_gate=real_app_gate")
			}
			if strings.HasPrefix(source, root) {
				args = append(args, "-ffreestanding")
			}
			results <- clang(append(args, source, "-o", object(source))...)
		}()
	}
	for range sources {
		if e := <-results; e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	common := []string{object("c/harness.c")}
	for _, source := range library {
		common = append(common, object(source))
	}
	unit := append([]string{"-o", filepath.Join(dir, "unit")}, common...)
	for _, source := range programs {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		switch {
		case strings.HasPrefix(name, "unit"):
			unit = append(unit, object(source))
		case strings.HasPrefix(name, "fuzz_"):
			args := append([]string{"-fsanitize=fuzzer", object(source), "-o", filepath.Join(dir, name)}, common...)
			if err := clang(append(args, sanitize...)...); err != nil {
				return err
			}
		}
	}
	return clang(append(unit, sanitize...)...)
}

func clang(args ...string) error {
	if out, err := exec.Command("clang", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("clang %s: %w\n%s(missing files: scripts/deps installs clang with its sanitizers)", strings.Join(args, " "), err, out)
	}
	return nil
}

// run runs one of the programs and returns what it wrote.
func run(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(built, name), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Dir = t.TempDir()
	if len(args) == 1 && args[0] == "code-same-results" {
		doors(t, cmd.Dir)
	}
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0", "UBSAN_OPTIONS=print_stacktrace=1")
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), msg.Bytes())
	}
	return out.Bytes()
}

// TestUnits runs the tests in c/unit_*.c, each in a process of its own.
func TestUnits(t *testing.T) {
	names := strings.Fields(string(run(t, nil, "unit", "list")))
	if len(names) < 30 {
		t.Fatalf("only %d tests are listed", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { run(t, nil, "unit", name) })
	}
}

// The first and the last of the 64 vectors of SipHash's authors for 128 bits: key 00…0f, data 00, 01, 02 … of that length.
var vectors = map[int]string{
	0:  "a3817f04ba25a8e66df67214c7550293",
	63: "5150d1772f50834a503e069a973fbd7c",
}

// TestSipHash compares digests with another implementation: every length around the words, every way of cutting it in two.
func TestSipHash(t *testing.T) {
	type want struct{ line, digest string }
	var wants []want
	var in bytes.Buffer
	add := func(k0, k1 uint64, cut int, data []byte, digest string) {
		line := fmt.Sprintf("%x %x %d %x\n", k0, k1, cut, data)
		in.WriteString(line)
		wants = append(wants, want{line, digest})
	}
	count := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i)
		}
		return b
	}
	for n, digest := range vectors {
		add(0x0706050403020100, 0x0f0e0d0c0b0a0908, n/2, count(n), digest)
	}
	r := rand.New(rand.NewPCG(1, 2))
	other := func(k0, k1 uint64, cut int, data []byte) {
		h0, h1 := siphash.Hash128(k0, k1, data)
		digest := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, h0), h1)
		add(k0, k1, cut, data, hex.EncodeToString(digest))
	}
	for n := range 40 {
		for cut := 0; cut <= n; cut++ {
			data := count(n)
			r.Shuffle(n, func(i, j int) { data[i], data[j] = data[j], data[i] })
			other(r.Uint64(), r.Uint64(), cut, data)
		}
	}
	for _, n := range []int{255, 256, 257, 4095, 16384} {
		other(r.Uint64(), r.Uint64(), n/3, count(n))
	}
	got := strings.Fields(string(run(t, in.Bytes(), "unit", "digest")))
	if len(got) != len(wants) {
		t.Fatalf("%d digests for %d lines", len(got), len(wants))
	}
	for i, w := range wants {
		if got[i] != w.digest {
			t.Errorf("%.60s: got %s, want %s", w.line, got[i], w.digest)
		}
	}
}
