package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// project is what a guest gets: the module for its kernel, the built project in /src/build, and the tests' own files.
func project(t *testing.T, k guest.Kernel) map[string]string {
	t.Helper()
	if err := target.CheckBuilt("monmod", "monmod-runtime", "libmonmod.so"); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"/m": module(t, k)}
	for _, name := range []string{"monmod", "monmod-runtime", "libmonmod.so"} {
		files["/src/build/"+name] = target.Built(name)
	}
	return files
}

// load is the beginning of a script that wants the module.
const load = "export PATH=/src/build:$PATH MONMOD_BUILD=/src/build; set -e; monmod kmod load /m/monmod.ko; set +e\n"

// tests builds the tests of a package as a program for the guest, which runs them in the package's own folder.
func tests(t *testing.T, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg)+".test")
	cmd := exec.Command("go", "test", "-c", "-o", out, "./"+pkg)
	cmd.Dir, cmd.Env = target.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tests of %s: %v\n%s", pkg, err, text)
	}
	return out
}

// TestConformance runs the conformance suite with the module as the back end: every case of each program in one process, built
// in all four ways, and what is refused or ends the program.
func TestConformance(t *testing.T) {
	needs(t)
	suite := tests(t, "test/conformance")
	build := exec.Command(suite, "-test.run", "^TestPrograms$")
	build.Dir = filepath.Join(target.Root(), "test/conformance")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	eachGuard(t, func(t *testing.T, k guest.Kernel, boot string) {
		files := project(t, k)
		files["/src/go.mod"] = filepath.Join(target.Root(), "go.mod")
		files["/src/test/conformance/c"] = filepath.Join(target.Root(), "test/conformance/c")
		files["/src/build/conformance"] = filepath.Join(target.Root(), "build/conformance")
		files["/src/test/conformance/suite"] = suite
		r := guest.Must(t, guest.Options{
			Kernel: k, Files: files, MemoryMB: 2048, Append: boot, Timeout: 8 * time.Minute,
			Script: load + patience(k) + "cd /src/test/conformance; ./suite -test.v -test.parallel 3 -test.run '" + conformance(k == kernels(t)[0] && boot == "") + "' >/out/log 2>&1; code=$?; grep -v -e '^=== ' -e '--- PASS' /out/log; monmod kmod status; [ $(cat /sys/kernel/monmod/entries) -gt 5000 ] || { echo 'the suite did not run by the module'; code=1; }; exit $code",
		})
		t.Logf("%s%v", r.Output, r.Elapsed)
		passed := strings.Count(string(r.Out["log"]), "--- PASS: ")
		if passed < 20 {
			t.Errorf("only %d tests passed:\n%s", passed, r.Out["log"])
		}
	})
}

// eachGuard runs test with every kernel where the processor has protection keys, and with the oldest where it has none. With
// MONMOD_SOAK every kernel has both.
func eachGuard(t *testing.T, test func(t *testing.T, k guest.Kernel, boot string)) {
	t.Helper()
	oldest := kernels(t)[0]
	each(t, func(t *testing.T, k guest.Kernel) {
		guard := func(name, boot string) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, k, boot)
			})
		}
		guard("key", "")
		if k == oldest || soaks() {
			guard("pages", "nopku")
		}
	})
}

// patience is how long a case may take in a kernel that looks at every access.
func patience(k guest.Kernel) string {
	if k == guest.Sanitized {
		return "export MONMOD_PATIENCE=20m; "
	}
	return ""
}

// conformance says which tests of the suite run: a sample, which is larger with the oldest kernel, or with MONMOD_SOAK all.
func conformance(oldest bool) string {
	const ends = "|TestEnds/.*/by_(int80|fork|exec|thread)"
	switch {
	case soaks():
		return "TestConformance|TestRefused|TestEnds"
	case oldest:
		return "TestConformance/^(glibc-static|musl)$/" + ends
	default:
		return "TestConformance/^musl$/" + ends
	}
}
