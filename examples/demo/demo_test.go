package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const demoLimit = 2 * time.Minute

var engines = []string{"runc", "docker"}

// tidy gives the demo a temporary folder of its own, short enough for unix sockets, which has to be empty again at the end, and
// looks for what it left elsewhere.
func tidy(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	before := logsOfTheDemo(t)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("the demo left %v in its folder (%v)", left, err)
		}
		if lines := processesOf(t, dir); len(lines) > 0 {
			t.Errorf("the demo left processes: %q", lines)
		}
		if after := logsOfTheDemo(t); after > before {
			t.Errorf("the demo left %d bytes of events in %s", after-before, logs)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
}

// logsOfTheDemo is how many bytes the files of events have that name its vulnerable server.
func logsOfTheDemo(t *testing.T) (size int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(logs, "*", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "/usr/sbin/"+vulnerableName) {
			size += len(text)
		}
	}
	return size
}

// processesOf lists the command lines that name dir.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), dir) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

// comparedNothing and comparedSome are answers of monmod ps --json.
const (
	comparedNothing = `[]`
	comparedSome    = `[{"group":"g","program":"/usr/sbin/lighttpd","variants":[{"id":2,"role":"follower","compared":900}]}]`
)

// unmonitored is a folder of built files whose runtime is plain runc and whose monmod gives the answer whatever it is asked:
// what a broken monmod that monitors nothing would be.
func unmonitored(t *testing.T, answer string) string {
	t.Helper()
	dir := t.TempDir()
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(runc, filepath.Join(dir, "monmod-runtime")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"monmod": "#!/bin/sh\necho '" + answer + "'\n", "libmonmod.so": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDemo(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			tidy(t)
			ctx, cancel := context.WithTimeout(context.Background(), demoLimit)
			defer cancel()
			said := listen(t)
			if err := run(ctx, engine, "../../build"); err != nil {
				t.Fatal(err)
			}
			text := withoutCall(said())
			for _, line := range sampleReport(t) {
				if !strings.Contains(text, withoutCall(line)) {
					t.Errorf("README.md shows %q in the demo's report, and the demo does not:\n%s", line, text)
				}
			}
		})
	}
}

// callNumber is the number of the call in a report. It depends on the processor: the C library's loader looks for its libraries in
// folders of the processor's own first (ld.so(8), hwcaps).
var callNumber = regexp.MustCompile(`\bat call [1-9][0-9]*\b`)

func withoutCall(text string) string { return callNumber.ReplaceAllString(text, "at call N") }

// listen keeps what the demo prints, until the function is called that gives it.
func listen(t *testing.T) (said func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdout
	os.Stdout = file
	t.Cleanup(func() {
		os.Stdout = before
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// sampleReport is what README.md shows of the demo's report, line by line, up to where it says that something was left out.
func sampleReport(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, found := strings.Cut(string(text), "\nA report of the demo's attack, shortened:\n")
	if !found {
		t.Fatal("README.md shows no report of the demo any more: this test checks nothing")
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimLeft(sample, "\n"), "\n") {
		line, indented := strings.CutPrefix(line, "    ")
		if line != "" && !indented {
			break
		}
		line, _, _ = strings.Cut(line, "…")
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) < 5 {
		t.Fatalf("README.md shows %q of the demo's report", lines)
	}
	return lines
}

// TestCountsAddUp reads the numbers of a variant as a person does: the parts of its calls make the whole, and so do the classes.
func TestCountsAddUp(t *testing.T) {
	var groups []group
	if err := json.Unmarshal([]byte(`[{"variants": [{"counters": {"calls": 326, "local": 13, "compared": 309, "exempt": 3, "by_class": {"leader": 323, "local": 3}}}]}]`), &groups); err != nil {
		t.Fatal(err)
	}
	said := listen(t)
	show(groups)
	text := said()
	sums := regexp.MustCompile(`(?m)326 calls: ([^;]*);|arguments: (.*)$`).FindAllStringSubmatch(text, -1)
	if len(sums) != 2 {
		t.Errorf("%d sums:\n%s", len(sums), text)
	}
	for _, parts := range sums {
		sum := 0
		for _, number := range regexp.MustCompile(`\d+`).FindAllString(parts[1]+parts[2], -1) {
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != 326 {
			t.Errorf("%d, not 326: %s", sum, parts[0])
		}
	}
}

// TestSaysWhenNothingIsMonitored makes sure that the demo cannot succeed where nothing is monitored.
func TestSaysWhenNothingIsMonitored(t *testing.T) {
	for _, c := range []struct{ engine, answer, want string }{
		{"runc", comparedNothing, "0 calls of lighttpd were cross-checked"},
		{"runc", comparedSome, "NOT stopped"},
		{"docker", comparedSome, "NOT stopped"},
	} {
		t.Run(c.engine+" "+c.want, func(t *testing.T) {
			tidy(t)
			ctx, cancel := context.WithTimeout(context.Background(), demoLimit)
			defer cancel()
			if err := run(ctx, c.engine, unmonitored(t, c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// TestInterrupted interrupts the demo at several of its steps; tidy looks for what is left.
func TestInterrupted(t *testing.T) {
	build := unmonitored(t, comparedSome)
	for _, engine := range engines {
		for _, after := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond} {
			t.Run(engine+" "+after.String(), func(t *testing.T) {
				tidy(t)
				ctx, cancel := context.WithTimeout(context.Background(), after)
				defer cancel()
				if err := run(ctx, engine, build); err == nil {
					t.Fatal("the demo succeeded although it was interrupted and nothing was monitored")
				}
			})
		}
	}
}

// TestReaderGone: nobody reads what the demo prints from its second step on.
func TestReaderGone(t *testing.T) {
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	build := unmonitored(t, comparedSome)
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			tidy(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), demoLimit)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "--engine", engine, "--build", build)
			cmd.Stdout = w
			var said strings.Builder
			cmd.Stderr = &said
			err = cmd.Start()
			_ = w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 10)); n == 0 {
				t.Errorf("the demo prints nothing: %v", err)
			}
			_ = r.Close()
			if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "demo: interrupted: ") {
				t.Errorf("%v: %q", cmd.ProcessState, said.String())
			}
		})
	}
}

func TestNamesAllThatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := check("docker", t.TempDir())
	if err == nil {
		t.Fatal("nothing is installed and built, and the demo would start")
	}
	for _, want := range []string{"monmod-runtime", "make build", "apt-get install lighttpd", "apt-get install docker.io", "apt-get install skopeo"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	if _, err := newEngine(context.Background(), "podman", "", ""); err == nil || !strings.Contains(err.Error(), "runc or docker") {
		t.Errorf("an unknown engine: %v", err)
	}
}
