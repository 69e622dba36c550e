package guest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// clients builds the programs of c/ and returns them as files of a guest.
func clients(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"life", "watch", "attack", "arguments"} {
		out := filepath.Join(dir, name)
		text, err := exec.Command("gcc", "-static", "-no-pie", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
			"-I"+filepath.Join(target.Root(), "include"), "-o", out, filepath.Join("c", name+".c")).CombinedOutput()
		if err != nil {
			t.Fatalf("build c/%s.c: %v\n%s", name, err, text)
		}
	}
	files["/c"] = dir
	return files
}

// life are the checks of c/life.c.
var life = []string{"registers", "numbers", "forked", "threads", "vforked", "strays", "executed", "dropped", "closed", "late", "namespace",
	"switches", "signalled", "sud"}

// watch are those of c/watch.c.
var watch = []string{"traced", "attached", "watched", "profiled"}

// attacks are those of c/attack.c, with what they come to by who makes them: a program that is not armed, one whose gates are
// open to everyone, one whose gates want a token, one whose monitor's memory is hidden besides, and one with a key on it.
var attacks = []struct{ name, unarmed, none, token, pages, key string }{
	{"gate", "", "through", "ended by 137, gate", "ended by 137, gate", "ended by 137, gate"},
	{"store", "through", "", "through", "ended by 139", "ended by 139"},
	{"middle", "", "through", "ended by 137, gate", "ended by 137, gate", ""},
	{"handler", "", "ended by 137, signal", "ended by 137, signal", "ended by 137, signal", ""},
	{"int80", "through", "ended by 137, compat", "ended by 137, compat", "", ""},
	{"vsyscall", "through", "ended by 137, vsyscall", "ended by 137, vsyscall", "", ""},
	{"whole", "through", "", "ended by 137, unmapped", "ended by 137, unmapped", ""},
	{"over", "through", "", "ended by 137, unmapped", "ended by 137, unmapped", ""},
	{"keep", "through", "", "ended by 1", "", ""},
	{"dont", "through", "", "ended by 1, child, of another", "ended by 1, child, of another", ""},
	{"second", "", "", "through", "through", "ended by 139"},
	{"uring", "through", "ended by 137, gate", "ended by 137, gate", "ended by 137, gate", "ended by 137, gate"},
	{"refused",
		"munmap done, fixed done, mprotect part done, pkey_mprotect done, dontneed done, pageout done, mem done, writev done, " +
			"mremap part done, double done, mprotect done, mremap done, through",
		"",
		"munmap EPERM, fixed EPERM, mprotect part EPERM, pkey_mprotect EPERM, dontneed EINVAL, pageout EINVAL, mem EIO, writev EFAULT, " +
			"mremap part EPERM, double EFAULT, mprotect EPERM, mremap EPERM, map again EBUSY, arm again EALREADY, through", "", ""},
}

// TestClients has the module serve a client that is not the library: what it promises to armed programs, what it does about those
// that break out, and what it answers to nonsense. The vsyscall page is there in another way on each kernel.
func TestClients(t *testing.T) {
	each(t, func(t *testing.T, k guest.Kernel) {
		var script, want strings.Builder
		script.WriteString("insmod /m/monmod.ko\nrun() { echo \"$*: $(timeout -s KILL 200 /c/\"$@\" 2>&1; code=$?; [ $code = 0 ] || echo \"exit code $code\")\"; }\n")
		run := func(result, format string, args ...any) {
			line := fmt.Sprintf(format, args...)
			script.WriteString("run " + line + "\n")
			want.WriteString(strings.TrimSuffix(line+": "+result, " ") + "\n")
		}
		for _, name := range life {
			run("", "life %s", name)
		}
		for _, name := range watch {
			run("", "watch %s", name)
		}
		script.WriteString(`echo "inside: $(unshare --pid --fork /c/life inside 2>&1)$?"
strace -f -o /out/traced /c/life numbers >/dev/null; echo "strace $?"
` + busy)
		want.WriteString("inside: 0\nstrace 1\n" + busyWant)
		for _, a := range attacks {
			for _, by := range []struct{ who, result string }{
				{"unarmed", a.unarmed}, {"none", a.none}, {"token", a.token}, {"pages", a.pages}, {"key", a.key},
			} {
				if by.result != "" {
					run(by.result, "attack %s %s", a.name, by.who)
				}
			}
		}
		run("ok", "arguments bad")
		run("ok", "arguments random %d", time.Now().UnixNano())
		script.WriteString("run arguments bomb | sed 's/[0-9]* at most: //'\n")
		want.WriteString("arguments bomb: ok\n")
		script.WriteString("echo 1 >/sys/kernel/tracing/events/syscalls/enable\n")
		for _, name := range []string{"registers", "forked", "signalled"} {
			run("", "life %s", name)
		}
		script.WriteString("echo 0 >/sys/kernel/tracing/events/syscalls/enable; cat /sys/kernel/monmod/armed; rmmod monmod && echo unloaded\n")
		want.WriteString("0\nunloaded\n")

		page := map[guest.Kernel]string{guest.Linux61: "vsyscall=xonly", guest.Linux612: "vsyscall=emulate", guest.Newest: "vsyscall=xonly", guest.Sanitized: "vsyscall=xonly"}[k]
		r := guest.Must(t, guest.Options{
			Kernel: k, Files: clients(t, map[string]string{"/m": module(t, k)}), Append: page, Script: script.String(), Timeout: 6 * time.Minute,
		})
		got := strings.Split(strings.TrimSpace(string(r.Output)), "\n")
		for i := range got {
			got[i] = strings.TrimRight(got[i], " ")
		}
		for _, line := range strings.Split(strings.TrimSpace(want.String()), "\n") {
			if !slices.Contains(got, line) {
				t.Errorf("want the line\n%s", line)
			}
		}
		if t.Failed() {
			t.Logf("%s", r)
		}
		t.Logf("%v", r.Elapsed)
	})
}

// busy has a program armed while rmmod, ps and strace of another are tried.
const busy = `/c/life sleeper & sleeper=$!
for ((n = 0; n < 100; n++)); do [ "$(cat /sys/kernel/monmod/armed)" = 0 ] || break; sleep 0.1; done
rmmod monmod 2>/dev/null; echo "busy: rmmod $?"
echo "busy: $(ps -C life -o comm= | sort -u | tr -d '\n')"
strace -f -o /out/strace true; echo "busy: strace $? $(grep -c execve /out/strace)"
kill -9 $sleeper; wait $sleeper 2>/dev/null
for ((n = 0; n < 100; n++)); do rmmod monmod 2>/dev/null && break; sleep 0.1; done; insmod /m/monmod.ko; echo "busy: again"
`

const busyWant = "busy: rmmod 1\nbusy: life\nbusy: strace 0 1\nbusy: again\n"

// TestLoads takes the module in and out again, many times, while programs run: in groups that use it whenever it is there, and alone.
// A group may find that a module which was there when it looked is gone (exit code 78); no other failure is expected.
func TestLoads(t *testing.T) {
	times := 15
	if soaks() {
		times = 100
	}
	most(t, func(t *testing.T, k guest.Kernel) {
		r := guest.Must(t, guest.Options{
			Kernel: k, Files: project(t, k), MemoryMB: 2048, Script: fmt.Sprintf("times=%d\n", times) + loads, Timeout: 8 * time.Minute,
		})
		if out := string(r.Output); !strings.Contains(out, fmt.Sprintf("loaded %d times\n", times)) || strings.Contains(out, "wrong: ") {
			t.Errorf("%s", r)
		}
		t.Logf("%s%v", r.Output, r.Elapsed)
	})
}

const loads = `export PATH=/src/build:$PATH MONMOD_BUILD=/src/build; cd /tmp
seq 10000 >data; want=$(sha256sum data)
groups() {
	while [ ! -e stop ]; do
		for backend in auto sud; do
			got=$(monmod run --variants 2 --backend $backend -- sha256sum data 2>words)
			code=$?
			if [ $backend$code = auto78 ] && grep -q "module is not loaded" words; then
				echo "gone when it was wanted"
			elif [ $code != 0 ] || [ "$got" != "$want" ]; then
				echo "wrong: backend $backend, exit code $code, $got"; cat words
			fi
			echo >>runs
		done
	done
}
alone() {
	while [ ! -e stop ]; do
		[ "$(sha256sum data)" = "$want" ] || echo "wrong: sum of a program alone"
	done
}
groups & alone &
used=0
for ((n = 0; n < times; n++)); do
	insmod /m/monmod.ko || exit
	for ((i = 0; i < 600; i++)); do
		rmmod monmod 2>/dev/null && break
		used=$((used + 1)); sleep 0.1
	done
done
touch stop; wait
echo "loaded $n times"
echo "was in use $used times; $(wc -l <runs) groups"
lsmod | grep monmod
exit 0
`
