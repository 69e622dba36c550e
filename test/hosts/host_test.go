package hosts

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

const (
	deadline = 40 * time.Second // of everything that is started
	soon     = 15 * time.Second // for what does not depend on a deadline of monmod's own
	leaderIP = "10.77.0.1"
)

// monmod is the program under test.
var monmod = target.Built("monmod")

// host is one host of a test: a namespace of each kind that hosts have of their own.
type host struct {
	id     int
	netns  string // name; "": this machine's own
	dir    string // its state, its reports and its group file
	files  string // its own copy of what all hosts see at world.files
	etc    string // its own /etc/hosts
	state  string // its own /run/monmod
	config string
	common string // text of config that all hosts have
	extra  string // commands that change its mounts further
}

// world is the hosts of one test and what they have in common.
type world struct {
	t     *testing.T
	base  string // below it everything lies
	files string // where every host sees its own files
	hosts []*host
}

// network is how the variants of a group reach each other.
type network int

const (
	unixSockets network = iota
	tcp
	tcp6
)

// newWorld makes two hosts. Variant 1, the leader, lives on the first. group are further lines of the group file.
func newWorld(t *testing.T, net network, group ...string) *world {
	t.Helper()
	return newWorldOf(t, 2, net, group...)
}

func newWorldOf(t *testing.T, hosts int, net network, group ...string) *world {
	t.Helper()
	base := scratch.Dir(t)
	w := &world{t: t, base: base, files: filepath.Join(base, "files")}
	w.mkdir(w.files)
	for id := 1; id <= hosts; id++ {
		h := &host{id: id, dir: scratch.Dir(t)}
		h.files, h.etc = filepath.Join(h.dir, "files"), filepath.Join(h.dir, "hosts")
		h.state = filepath.Join(h.dir, "run")
		if net == unixSockets {
			h.state = filepath.Join(base, "run")
		}
		w.mkdir(h.files)
		w.write(h.etc, fmt.Sprintf("127.0.0.1 localhost\n# host %d\n", id))
		w.hosts = append(w.hosts, h)
	}
	var variants string
	for _, h := range w.hosts {
		address := ""
		if net != unixSockets {
			address = ", address: " + h.address(net)
		}
		variants += fmt.Sprintf("  - {id: %d%s}\n", h.id, address)
	}
	if net != unixSockets {
		w.link(net)
	}
	for _, h := range w.hosts {
		w.mkdir(h.logs())
		w.configure(h, "group: hosts\nleader: 1\nfs: own\nvariants:\n"+variants+strings.Join(group, "\n")+"\n")
	}
	if net != unixSockets {
		w.keys(w.hosts[0].config, w.hosts...)
	}
	t.Cleanup(func() {
		for _, h := range w.hosts {
			if left := h.left(); len(left) > 0 {
				t.Errorf("host %d was left with %q", h.id, left)
			}
		}
	})
	return w
}

// configure writes a host's group file: what the group has in common, and where this host keeps keys and reports.
func (w *world) configure(h *host, common string) {
	w.t.Helper()
	h.common, h.config = common, filepath.Join(h.dir, "hosts.yaml")
	w.write(h.config, fmt.Sprintf("%skeys: %s\nlogs: %s\n", common, filepath.Join(h.dir, "keys"), h.logs()))
}

func (h *host) logs() string { return filepath.Join(h.dir, "logs") }

// keys makes keys for a group and gives each host its own.
func (w *world) keys(config string, to ...*host) {
	w.t.Helper()
	out := filepath.Join(w.base, "keys")
	w.must(os.RemoveAll(out))
	w.native(monmod, "keygen", "--config", config, "--out", out)
	for _, h := range to {
		dir := filepath.Join(h.dir, "keys")
		w.must(os.RemoveAll(dir))
		w.must(os.Mkdir(dir, 0o700))
		for _, name := range []string{"ca.crt", fmt.Sprintf("%d.crt", h.id), fmt.Sprintf("%d.key", h.id)} {
			data, err := os.ReadFile(filepath.Join(out, name))
			w.must(err)
			w.must(os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
	}
}

// address is a host's own.
func (h *host) address(net network) string {
	if net == tcp6 {
		return fmt.Sprintf("fd77::%d", h.id)
	}
	return fmt.Sprintf("10.77.0.%d", h.id)
}

// link joins the hosts: the first has a bridge, to which every other one has a cable, v2, v3 … at its own end.
func (w *world) link(net network) {
	w.t.Helper()
	for _, h := range w.hosts {
		h.netns = fmt.Sprintf("mmhost%d.%d", os.Getpid(), h.id)
		w.native("ip", "netns", "add", h.netns)
		w.t.Cleanup(func() { w.native("ip", "netns", "del", h.netns) })
		w.native("ip", "-n", h.netns, "link", "set", "lo", "up")
	}
	first := w.hosts[0].netns
	w.native("ip", "-n", first, "link", "add", "v1", "type", "bridge")
	for _, h := range w.hosts {
		dev := fmt.Sprintf("v%d", h.id)
		if h.id > 1 {
			end := fmt.Sprintf("to%d", h.id)
			w.native("ip", "-n", first, "link", "add", end, "type", "veth", "peer", "name", dev, "netns", h.netns)
			w.native("ip", "-n", first, "link", "set", end, "master", "v1", "up")
		}
		if net == tcp6 {
			w.native("ip", "-n", h.netns, "addr", "add", h.address(net)+"/64", "dev", dev, "nodad")
		} else {
			w.native("ip", "-n", h.netns, "addr", "add", h.address(net)+"/24", "dev", dev)
		}
		w.native("ip", "-n", h.netns, "link", "set", dev, "up")
	}
}

// spec composes a program that runs on the host, natively.
func (w *world) spec(h *host, argv ...string) proc.Spec {
	w.t.Helper()
	program, err := target.Lookup(argv[0])
	w.must(err)
	mounts := fmt.Sprintf("mkdir -p /run/monmod; mount --bind %s /run/monmod; mount --bind %s %s; mount --bind %s /etc/hosts; %s hostname host%d; cd %s; exec \"$0\" \"$@\"",
		h.state, h.files, w.files, h.etc, h.extra, h.id, w.files)
	inner := append([]string{"unshare", "--mount", "--uts", "--propagation", "private", "sh", "-ec", mounts, program}, argv[1:]...)
	if h.netns != "" {
		inner = append([]string{"nsenter", "--net=/run/netns/" + h.netns}, inner...)
	}
	first, err := target.Lookup(inner[0])
	w.must(err)
	return proc.Spec{Argv: append([]string{first}, inner[1:]...), Dir: "/", Env: target.Env(h.dir), Deadline: deadline,
		Attr: &syscall.SysProcAttr{Setsid: true}} // hosts do not share the terminal of who tests
}

// start runs a program on the host as its variant of the group.
func (w *world) start(h *host, program ...string) *proc.Process {
	w.t.Helper()
	return w.startSpec(w.spec(h, append([]string{monmod, "run", "--id", strconv.Itoa(h.id), "--config", h.config, "--"}, program...)...))
}

func (w *world) startSpec(spec proc.Spec) *proc.Process {
	w.t.Helper()
	p, err := proc.Start(spec)
	w.must(err)
	w.t.Cleanup(func() {
		p.Kill()
		p.Wait()
	})
	return p
}

// run runs a program as the group and returns how it went on each host, the leader's first.
func (w *world) run(program ...string) []proc.Result {
	w.t.Helper()
	var ps []*proc.Process
	for _, h := range w.hosts {
		ps = append(ps, w.start(h, program...))
	}
	var out []proc.Result
	for _, p := range ps {
		out = append(out, p.Wait())
	}
	return out
}

// each does something on every host.
func (w *world) each(f func(h *host)) {
	for _, h := range w.hosts {
		f(h)
	}
}

// file writes a file into a host's own copy.
func (w *world) file(h *host, name, text string) { w.write(filepath.Join(h.files, name), text) }

// seen is the path by which programs of every host see a file.
func (w *world) seen(name string) string { return filepath.Join(w.files, name) }

// native runs something that must work.
func (w *world) native(argv ...string) proc.Result {
	w.t.Helper()
	program, err := target.Lookup(argv[0])
	w.must(err)
	r, err := proc.Run(proc.Spec{Argv: append([]string{program}, argv[1:]...), Dir: "/", Env: target.Env(w.base), Deadline: deadline})
	w.must(err)
	if r.Status != 0 {
		w.t.Fatal(r)
	}
	return r
}

// inside calls f in a host's network.
func (h *host) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+h.netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// report is the text of the host's last report, "" without one.
func (w *world) report(h *host) string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(h.logs(), "divergence-*.json"))
	w.must(err)
	if len(found) == 0 {
		return ""
	}
	return string(w.native(monmod, "report", found[len(found)-1]).Stdout)
}

// left lists what a group must not leave behind on a host.
func (h *host) left() []string {
	var left []string
	_ = filepath.WalkDir(h.state, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, path)
		}
		return nil
	})
	return left
}

// children are the processes whose parent is pid.
func children(pid int) []int {
	var out []int
	entries, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, e := range entries {
		b, _ := os.ReadFile(e)
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// want checks how a program ended.
func want(t *testing.T, who string, r proc.Result, status int, words ...string) {
	t.Helper()
	if r.Err != nil || r.Expired || r.Status != status {
		t.Errorf("%s: want status %d: %s", who, status, r)
		return
	}
	for _, word := range words {
		if !strings.Contains(string(r.Stderr), word) {
			t.Errorf("%s: its message lacks %q: %s", who, word, r)
		}
	}
}

func (w *world) write(path, text string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(text), 0o644))
	stamp := time.Unix(1600000000, 0)
	w.must(os.Chtimes(path, stamp, stamp))
}

func (w *world) mkdir(path string) {
	w.t.Helper()
	w.must(os.MkdirAll(path, 0o755))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// needs skips a test that this user cannot run.
func needs(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces are made by root")
	}
}

func TestMain(m *testing.M) {
	if err := target.CheckBuilt("monmod", "libmonmod.so"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if left := proc.Orphans(time.Second); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "these processes were left behind: %q\n", left)
		code = max(code, 1)
	}
	os.Exit(code)
}
