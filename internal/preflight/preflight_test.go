package preflight

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/elffile/elftest"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// compile builds a C program or library and skips nothing: a test that cannot build proves nothing.
func compile(t *testing.T, to, source string, flags ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("gcc", append(append([]string{"-x", "c", "-", "-x", "none", "-o", to}, flags...), "-Wl,--unresolved-symbols=ignore-all")...)
	c.Stdin = strings.NewReader(source)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", to, err, out)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // setuid too, and whatever the umask is
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

const (
	quiet  = `int main(void){return 0;}`
	forks  = `int fork(void); int main(void){return fork();}`
	loader = "lib64/ld-linux-x86-64.so.2"
)

// fill makes a root that holds one of everything.
func fill(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at(loader), "", 0o755)
	write(t, at("usr/lib/x86_64-linux-gnu/libc.so.6"), "", 0o644)
	link(t, "usr/lib", at("lib"))
	compile(t, at("bin/plain"), quiet)
	compile(t, at("bin/forks"), forks)
	compile(t, at("bin/nopie"), quiet, "-no-pie")
	compile(t, at("bin/static"), quiet, "-static")
	compile(t, at("bin/node"), quiet)
	compile(t, at("bin/tini"), quiet)
	compile(t, at("opt/lib/libhelp.so"), `int pthread_create(void); int help(void){return pthread_create();}`, "-shared", "-fPIC", "-Wl,-soname,libhelp.so")
	compile(t, at("opt/bin/user"), `int help(void); int main(void){return help();}`, at("opt/lib/libhelp.so"), "-Wl,-rpath,$ORIGIN/../lib")
	compile(t, at("bin/lost"), `int help(void); int main(void){return help();}`, at("opt/lib/libhelp.so"))
	for from, to := range map[string]string{"bin/plain": "bin/sh", "bin/static": "bin/busybox"} {
		data, err := os.ReadFile(at(from))
		if err != nil {
			t.Fatal(err)
		}
		write(t, at(to), string(data), 0o755)
	}
	write(t, at("bin/su-plain"), string(mustRead(t, at("bin/plain"))), 0o4755|os.ModeSetuid)
	write(t, at("entry.sh"), "#!/bin/sh\nset -e\nexec \"$@\"\n", 0o755)
	write(t, at("echo.sh"), "#!/bin/sh\nexec 2>&1\necho exec\n", 0o755)
	write(t, at("env.py"), "#!/usr/bin/env python3\n", 0o755)
	write(t, at("lonely"), "#!/bin/none\n", 0o755)
	write(t, at("data"), "words", 0o755)
	for i := range 6 {
		write(t, at("chain"+string(rune('0'+i))), "#!/chain"+string(rune('1'+i))+"\n", 0o755)
	}
	foreign := mustRead(t, at("bin/plain"))
	foreign[18] = 183 // EM_AARCH64
	write(t, at("bin/arm"), string(foreign), 0o755)
	write(t, at("bin/broken"), "\x7fELF"+strings.Repeat("\xff", 100), 0o755)
	link(t, "/bin/plain", at("absolute"))
	link(t, "/../../../../bin/plain", at("upwards"))
	link(t, "loop", at("loop"))
	link(t, "static", at("bin/httpd-of-busybox"))
	link(t, "busybox", at("bin/ash"))
	return dir
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCommands(t *testing.T) {
	dir := fill(t)
	for _, c := range []struct {
		args string
		want []string // severity: words; none: nothing is found
	}{
		{"plain", nil},
		{"/absolute", nil},
		{"/upwards", nil},
		{"forks", []string{"perhaps not: it can start processes (fork)"}},
		{"nopie", []string{"note: it is non-PIE"}},
		{"static", []string{"note: it is static"}},
		{"/opt/bin/user", []string{"note: it can start threads (pthread_create)"}},
		{"lost", []string{"probably not: its library libhelp.so"}},
		{"node", []string{"probably not: node starts threads"}},
		{"tini -- plain", []string{"certainly not: tini starts another program"}},
		{"su-plain", []string{"probably not: it changes its user"}},
		{"sh", []string{"probably not: a shell is its entry point"}},
		{"sh -c plain", []string{"certainly not: a shell is its entry point and executes"}},
		{"sh -c exit", []string{"probably not: a shell is its entry point"}},
		{"sh -ec plain", []string{"certainly not: a shell is its entry point and executes"}},
		{"ash -c plain", []string{"probably not: busybox's shell is its entry point", "note: it is static"}}, // which may be one of its own commands
		{"ash", []string{"probably not: a shell is its entry point", "note: it is static"}},
		{"busybox httpd -i", []string{"note: it is static"}},
		{"/entry.sh plain", []string{"certainly not: a shell is its entry point and executes", "note: it is a script"}},
		{"/echo.sh", []string{"probably not: a shell is its entry point", "note: it is a script"}},
		{"/env.py", []string{"certainly not: its first line"}},
		{"/lonely", []string{"certainly not: its interpreter /bin/none"}},
		{"/chain0", []string{"certainly not: more than 4 scripts"}},
		{"/data", []string{"certainly not: it is neither"}},
		{"arm", []string{"certainly not: it is a program for EM_AARCH64"}},
		{"broken", []string{"certainly not: it is a"}},
		{"missing", []string{"certainly not: there is no such program"}},
		{"/loop", []string{"certainly not: there is no such program"}},
		{"/bin", []string{"certainly not: there is no such program"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			r, err := look(dir, command{strings.Fields(c.args), []string{"PATH=/nowhere:/bin"}, "/"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range r.Findings {
				got = append(got, f.Severity.String()+": "+f.Words)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want) }) {
					t.Errorf("it does not say %q:\n%s", want, strings.Join(got, "\n"))
				}
			}
			if len(c.want) == 0 && len(got) > 0 {
				t.Errorf("it says %q of a program that runs", got)
			}
			if certain := len(c.want) > 0 && strings.HasPrefix(c.want[0], "certainly"); r.Runs() == certain {
				t.Errorf("runs: %v", r.Runs())
			}
		})
	}
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	root := fill(t)
	spec := specs.Spec{Root: &specs.Root{Path: root}, Process: &specs.Process{Args: []string{"forks"}, Env: []string{"PATH=/bin"}}}
	put := func(v any) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "config.json"), string(data), 0o600)
	}
	put(spec)
	r, err := Bundle(dir)
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Path != "/bin/forks" {
		t.Fatalf("%+v, %v", r, err)
	}
	spec.Process = nil
	put(spec)
	if _, err := Bundle(dir); err == nil || !strings.Contains(err.Error(), "names no program") {
		t.Errorf("without a process: %v", err)
	}
	write(t, filepath.Join(dir, "config.json"), "{", 0o600)
	if _, err := Bundle(dir); err == nil {
		t.Error("half a JSON text is taken")
	}
	if _, err := Bundle(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("no bundle: %v", err)
	}
}

// TestGo builds a program of the language that starts threads before main.
func TestGo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n", 0o644)
	build := exec.Command("go", "build", "-o", "program", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	r, err := look(dir, command{args: []string{"/program"}}, nil)
	if err != nil || r.Runs() {
		t.Errorf("a Go program: %+v, %v", r, err)
	}
}

// TestHugeTables: a program or a library whose headers promise tables of 100 GB, in a file that has them as holes, is judged
// with no more memory than another.
func TestHugeTables(t *testing.T) {
	const size = 100 << 30
	dir := t.TempDir()
	write(t, filepath.Join(dir, loader), "", 0o755)
	table := func(name string, kind elf.SectionType) elftest.Section {
		return elftest.Section{Name: name, Type: kind, Link: 1, Size: size}
	}
	for name, sections := range map[string][]elftest.Section{
		"strings": {table(".dynstr", elf.SHT_STRTAB), {Name: ".dynsym", Type: elf.SHT_DYNSYM, Link: 1, Content: make([]byte, 48)}},
		"symbols": {{Name: ".dynstr", Type: elf.SHT_STRTAB, Content: []byte{0}}, table(".dynsym", elf.SHT_DYNSYM)},
		"dynamic": {{Name: ".dynstr", Type: elf.SHT_STRTAB, Content: []byte{0}}, table(".dynamic", elf.SHT_DYNAMIC)},
		"names":   {{Name: ".dynsym", Type: elf.SHT_DYNSYM, Link: 2, Content: make([]byte, 48)}, table(".strtab", elf.SHT_STRTAB)},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(dir, name)
			write(t, program, string(elftest.File{Interpreter: "/" + loader, Sections: sections}.Bytes()), 0o755)
			if err := os.Truncate(program, 2*size); err != nil {
				t.Skipf("no files of %d bytes here: %v", 2*size, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := look(dir, command{args: []string{"/" + name}}, nil)
			runtime.ReadMemStats(&after)
			if err != nil || !r.Runs() || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.Words, "cannot be read") }) {
				t.Errorf("it says %+v, %v", r, err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
				t.Errorf("%d bytes of memory for it", got)
			}
		})
	}
}

func FuzzImage(f *testing.F) {
	self, err := os.Open("/bin/true")
	if err != nil {
		f.Fatal(err)
	}
	defer self.Close()
	head := make([]byte, 8192)
	if _, err := self.ReadAt(head, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Add([]byte("\x7fELF"))
	dir := f.TempDir()
	top, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &looker{root: root{top}, report: &Report{}, seen: map[string]bool{}}
		l.image("/program", bytes.NewReader(data), true)
		interpreter, text := shebang(bytes.NewReader(data))
		if interpreter == "" && text != "" {
			t.Error("a script without interpreter")
		}
	})
}
