// Command kmod measures in guests what interposition by the kernel module costs, beside that by Syscall User Dispatch, and
// writes docs/benchmarks-kmod.md. The guests' clock counts instructions: figures repeat, and stand for no processor's time.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

var calls = []string{"getppid", "read-zero-512", "read-file-1", "sched_yield"}

// mechanism is a way in, as c/interpose.c and as the page call it.
type mechanism struct{ name, title string }

var mechanisms = []mechanism{
	{"native", "native"},
	{"sud", "`sud`"},
	{"kmod-none", "`kmod`, unguarded"},
	{"kmod-token", "`kmod`, gates guarded by a token"},
	{"kmod-pages", "`kmod`, guarded by a token and by hiding 18 pages"},
	{"kmod-key", "`kmod`, gates and memory guarded by a protection key"},
	{"beside", "unmonitored, beside armed processes"},
}

var (
	backends = []string{"sud", "kmod"}
	policies = []string{"full", "socket_rw"}
)

// script measures everything: lines "interpose MECHANISM CALL INSTRUCTIONS" and "monitor BACKEND POLICY CALL RATE".
const script = `set -eo pipefail
export PATH=/src/build:$PATH MONMOD_BUILD=/src/build HOME=/root XDG_RUNTIME_DIR=/tmp/r XDG_STATE_HOME=/tmp/s
mkdir -p /tmp/r; truncate -s 1G /tmp/file
once() { local n; n=$(/bench/interpose $1 $2 /tmp/file); echo "interpose $1 $2 $n"; }
for c in %[1]s; do once native $c; done
monmod kmod load /m/monmod.ko
for c in %[1]s; do for m in sud kmod-none kmod-token kmod-pages kmod-key beside; do once $m $c; done; done
for c in %[1]s; do
	n=$(/bench/calls $c %[2]d /tmp/file)
	echo "monitor native - $c $n"
	for p in %[3]s; do for b in %[4]s; do
		n=$(monmod run --variants 2 --policy $p --backend $b -- /bench/calls $c %[2]d /tmp/file)
		echo "monitor $b $p $c $n"
	done; done
done
`

// results are figures by the words of their lines.
type results map[string]float64

func (r results) interpose(m, call string) float64 { return r["interpose "+m+" "+call] }
func (r results) monitor(backend, policy, call string) float64 {
	return r["monitor "+backend+" "+policy+" "+call]
}

// parse reads what the script printed, which must be complete.
func parse(output string) (results, error) {
	r := results{}
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "interpose" && words[0] != "monitor" {
			continue
		}
		last := len(words) - 1
		v, err := strconv.ParseFloat(words[last], 64)
		if err != nil || v <= 0 {
			return nil, fmt.Errorf("%q is no measurement", strings.TrimSpace(line))
		}
		r[strings.Join(words[:last], " ")] = v
	}
	want := len(calls) * (len(mechanisms) + 1 + len(backends)*len(policies))
	if len(r) != want {
		return nil, fmt.Errorf("%d figures of %d: %q", len(r), want, slices.Sorted(maps.Keys(r)))
	}
	return r, nil
}

func main() {
	out := flag.String("out", "", "file for the page, from the tree's top folder; empty for standard output alone")
	length := flag.Duration("call-time", 100*time.Millisecond, "length of one measurement of a monitored program, by the guest's clock")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *length); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, length time.Duration) error {
	if flag.NArg() > 0 || length < 10*time.Millisecond {
		return fmt.Errorf("arguments %q, measurements of %v: want none, and 10ms at least", flag.Args(), length)
	}
	var page bytes.Buffer
	page.WriteString(head)
	for _, k := range guest.Kernels {
		f, err := guest.Fetch(k)
		if errors.Is(err, guest.ErrNotServed) {
			fmt.Fprintln(os.Stderr, "bench: left out:", err)
			continue
		}
		if err != nil {
			return err
		}
		r, err := measure(ctx, k, length)
		if err != nil {
			return fmt.Errorf("measure with kernel %s: %w", k, err)
		}
		section(&page, f.Release, r)
	}
	os.Stdout.Write(page.Bytes())
	if out == "" {
		return nil
	}
	if !filepath.IsAbs(out) {
		out = filepath.Join(target.Root(), out)
	}
	if err := os.WriteFile(out, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// measure boots a kernel and takes all figures there.
func measure(ctx context.Context, k guest.Kernel, length time.Duration) (results, error) {
	built := []string{"monmod", "libmonmod.so"}
	if err := target.CheckBuilt(built...); err != nil {
		return nil, err
	}
	dir, err := scratch.New()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := guest.BuildModule(k, filepath.Join(target.Root(), "kmod"), dir); err != nil {
		return nil, err
	}
	files := map[string]string{"/m": dir}
	for _, name := range built {
		files["/src/build/"+name] = target.Built(name)
	}
	for _, name := range []string{"interpose", "calls"} {
		program, err := cprog.GlibcStatic.Compile(filepath.Join(target.Root(), "test", "bench", "c", name+".c"), dir)
		if err != nil {
			return nil, err
		}
		files["/bench/"+name] = program
	}
	r, err := guest.Run(ctx, guest.Options{
		Kernel: k, Files: files, CPUs: 1, Counting: true, Timeout: 20 * time.Minute,
		Script: fmt.Sprintf(script, strings.Join(calls, " "), length.Milliseconds(), strings.Join(policies, " "), strings.Join(backends, " ")),
	})
	if err != nil {
		return nil, err
	}
	if r.ExitCode != 0 || len(r.Problems) > 0 {
		return nil, fmt.Errorf("the script failed, or the kernel complained: %s", r)
	}
	return parse(string(r.Output))
}
