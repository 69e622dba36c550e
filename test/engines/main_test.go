package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/dockerd"
	"github.com/monmod/monmod/internal/ociimage"
	"github.com/monmod/monmod/test/internal/target"
)

// insideVariable tells the process inside the namespaces from the one that makes them, and names its folder.
const insideVariable = "MONMOD_TEST_ENGINES"

// operatorDir is where group files and the operator's file lie.
const operatorDir = "/etc/monmod"

// tests is what all tests share.
var tests struct {
	dir     string // of the tests, on a file system of its own
	runtime string // monmod-runtime
	archive string // the image, as engines load it
	layout  ociimage.Layout
	docker  *dockerd.Daemon
	podman  podman
	runc    *runc
}

func TestMain(m *testing.M) {
	dir := os.Getenv(insideVariable)
	if dir == "" {
		os.Exit(outside())
	}
	code, err := inside(m, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// outside runs this program again in namespaces of its own and returns its exit code.
func outside() int {
	fail := func(err error) int {
		fmt.Fprintf(os.Stderr, "make the tests' own namespaces: %v\n", err)
		return 1
	}
	if os.Geteuid() != 0 {
		return fail(errors.New("containers need root: run this with sudo"))
	}
	dir, err := os.MkdirTemp("", "mm-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	for _, place := range []string{operatorDir, "/var/log/monmod"} {
		if err := os.Mkdir(place, 0o755); err == nil {
			defer os.Remove(place) // empty still, unless somebody else uses it now
		}
	}
	// The signal at the parent's death is tied to the thread that started the child.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideVariable+"="+dir, "TMPDIR="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL, // it is the first of its PID namespace: all others die with it
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return fail(err)
	}
	return cmd.ProcessState.ExitCode()
}

// inside prepares what the tests share, runs them, and looks for what they left.
func inside(m *testing.M, dir string) (code int, err error) {
	os.Unsetenv(insideVariable)
	if err := furnish(dir); err != nil {
		return 1, fmt.Errorf("furnish the tests' own namespaces: %w", err)
	}
	if err := target.CheckBuilt("monmod", "monmod-runtime", "libmonmod.so"); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tests.dir, tests.runtime = dir, target.Built("monmod-runtime")
	said := watchLogs()
	defer func() { err = errors.Join(err, said.close()) }() // when all engines have ended
	if err := makeImage(ctx); err != nil {
		return 1, err
	}
	if tests.docker, err = dockerd.Start(ctx, map[string]string{"monmod": tests.runtime}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, tests.podman.close(), tests.docker.Stop(), leftovers()) }()
	if err := tests.docker.Load(ctx, tests.archive); err != nil {
		return 1, err
	}
	if tests.podman, err = newPodman(); err != nil {
		return 1, err
	}
	tests.runc = &runc{root: filepath.Join(dir, "runc")}
	return m.Run(), nil
}

// furnish mounts what is the tests' own and brings the loopback up.
func furnish(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from the host: %w", err)
	}
	for _, place := range []string{dir, "/run", "/dev/shm", operatorDir, "/var/log/monmod"} {
		if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount a tmpfs at %s: %w", place, err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("bring the loopback up: %w", err)
	}
	return nil
}

// leftovers names what is left when the engines have ended.
func leftovers() error {
	var left []string
	for _, pattern := range []string{control.ContainersDir() + "/*", control.FollowersRoot() + "/*", control.StateDir() + "/peers/*", operatorDir + "/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	left = append(left, processes(5*time.Second)...)
	// podman lays its storage over itself while one of its commands runs; of commands that end at the same moment, none may undo it
	_ = unix.Unmount(filepath.Join(tests.dir, "podman/root/overlay"), 0)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, tests.dir+"/") || strings.Contains(line, "monmod/") {
			left = append(left, line)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	return nil
}

// processes are those that still live in this PID namespace after the given time. The dead ones, which fell to this process,
// are reaped on the way.
func processes(patience time.Duration) []string {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var left []string
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, stat := range stats {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			if err != nil || pid == os.Getpid() {
				continue
			}
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			if text, err := os.ReadFile(stat); err == nil {
				command, _ := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
				left = append(left, fmt.Sprintf("process %s running %q", strings.TrimSpace(string(text)), command))
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}
