package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
)

// Options say what a guest is and does. Only Kernel and Script are required.
type Options struct {
	Kernel   Kernel
	Files    map[string]string // what of this system it has: absolute path there, file or folder here
	Drivers  []string          // modules of the kernel's own to load beforehand, such as veth
	Script   string            // run by bash as root, in /
	CPUs     int               // 0: 2
	MemoryMB int               // 0: 1024
	Append   string            // more for the kernel's command line
	QEMU     []string          // more arguments for QEMU
	Counting bool              // the guest's clock counts instructions, one a nanosecond: costs repeat. CPUs must be 1
	Timeout  time.Duration     // for boot and script; 0: 5 minutes, an emulated machine on a busy one is slow
}

// Result is what came of a guest that ran its script to the end.
type Result struct {
	Output   []byte            // of the script, both streams
	ExitCode int               // of the script
	Console  string            // of the kernel while it ran
	Dmesg    string            // the kernel's messages at the end
	Out      map[string][]byte // the regular files below /out at the end, by their paths there
	Problems []string          // lines of Console and Dmesg that are complaints of the kernel
	Elapsed  time.Duration
}

// String shows all that a failed test needs.
func (r Result) String() string {
	return fmt.Sprintf("exit code %d after %v\n--- problems\n%s\n--- output\n%s\n--- dmesg\n%s",
		r.ExitCode, r.Elapsed.Round(time.Millisecond), strings.Join(r.Problems, "\n"), tail(string(r.Output), 200), tail(r.Dmesg, 60))
}

// card is a guest's network card: its arguments to QEMU, its address with the network's length, and what to wait for before the
// guest starts. The zero card is none.
type card struct {
	qemu    []string
	address string
	ready   func(ctx context.Context) error
}

// Run boots a guest, runs its script and waits for its end. A script that fails is no error, nor are complaints of the kernel:
// they are in the result. A guest that does not come to its end is one.
func Run(ctx context.Context, o Options) (Result, error) {
	return run(ctx, o, card{})
}

func run(ctx context.Context, o Options, net card) (Result, error) {
	f, err := Fetch(o.Kernel)
	if err != nil {
		return Result{}, err
	}
	first, err := initramfs(f)
	if err != nil {
		return Result{}, err
	}
	root, err := image()
	if err != nil {
		return Result{}, err
	}
	dir, err := scratch.New()
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	b := boot{kernel: f, initramfs: first, root: root, dir: dir}
	if err := writeDisk(b.path("disk"), f, o, net.address); err != nil {
		return Result{}, fmt.Errorf("make a disk for a guest: %w", err)
	}
	if net.ready != nil {
		if err := net.ready(ctx); err != nil {
			return Result{}, err
		}
	}
	ended, err := b.start(ctx, o, net)
	if err != nil {
		return Result{}, fmt.Errorf("boot kernel %s: %w", o.Kernel, err)
	}
	r, err := b.result()
	r.Elapsed = ended.Elapsed
	if err != nil {
		return r, fmt.Errorf("run a script with kernel %s: %w\n%s\n--- console\n%s\n--- output\n%s", o.Kernel,
			errors.Join(ctx.Err(), err), ended, tail(r.Console, 60), tail(string(r.Output), 40))
	}
	return r, nil
}

// boot is one guest and the folder of its files.
type boot struct {
	kernel          *Fetched
	initramfs, root string
	dir             string
}

func (b *boot) path(name string) string { return filepath.Join(b.dir, name) }

// start runs QEMU to its end. It dies with the thread that started it, so that it does not outlive the test: the thread is kept
// until then.
func (b *boot) start(ctx context.Context, o Options, net card) (proc.Result, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.Kernel == Sanitized {
		o.Timeout *= sanitizedTimes
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := proc.Start(proc.Spec{
		Argv: b.argv(o, net), Dir: b.dir, Env: []string{"PATH=/usr/bin:/bin", "HOME=" + b.dir}, Deadline: o.Timeout,
		Attr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return proc.Result{}, fmt.Errorf("%w: install qemu-system-x86", err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	return p.Wait(), nil
}

// argv is QEMU's command line. One thread emulates all processors, by turns: those that run in parallel sometimes execute a breakpoint
// which another has just taken out of the kernel's code (static keys, tracepoints), and a kernel ends by that. The clock is said to be reliable because reading another one is a system call, and watchdogs
// are off because what they see is that this machine is busy. The first oops ends the guest.
func (b *boot) argv(o Options, net card) []string {
	cpus, memory := o.CPUs, o.MemoryMB
	if cpus == 0 {
		cpus = 2
	}
	if memory == 0 {
		memory = 1024
	}
	var more string
	if o.Kernel == Sanitized {
		memory = memory*2 + 512
		more = "pci=noacpi " // ACPI gives up reading its own table of interrupts after 30 seconds for each disk; these use none of it
	}
	line := "console=ttyS0 loglevel=5 panic=-1 oops=panic tsc=reliable no_timer_check nowatchdog " +
		"rcupdate.rcu_cpu_stall_suppress=1 random.trust_cpu=on net.ifnames=0 " + more + o.Append
	argv := []string{
		"/usr/bin/qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "file:console",
		"-kernel", b.kernel.Image(), "-initrd", b.initramfs, "-append", line,
		"-drive", "file=" + b.root + ",if=none,id=root,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=root",
		"-drive", "file=disk,if=none,id=files,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=files",
		"-device", "virtio-serial-pci",
		"-chardev", "file,path=output,id=output", "-device", "virtserialport,chardev=output,name=output",
		"-chardev", "file,path=archive,id=archive", "-device", "virtserialport,chardev=archive,name=archive",
	}
	if o.Counting {
		argv = append(argv, "-icount", "shift=0,sleep=off")
	}
	return append(append(argv, net.qemu...), o.QEMU...)
}

var exitLine = regexp.MustCompile(`(?m)^RC=(\d+)$`)

// result reads what the guest left. Where it left no exit code the error says so, and the result has what there is.
func (b *boot) result() (Result, error) {
	var r Result
	console, _ := os.ReadFile(b.path("console")) // QEMU may have failed before it made any of them: then the code is missing
	r.Output, _ = os.ReadFile(b.path("output"))
	r.Console = strings.ReplaceAll(string(console), "\r", "")
	r.Problems = problems(r.Console)
	codes := exitLine.FindAllStringSubmatch(r.Console, -1)
	if len(codes) == 0 {
		return r, errors.New("the guest ended without saying how its script ended")
	}
	r.ExitCode, _ = strconv.Atoi(codes[len(codes)-1][1]) // digits
	files, err := readArchive(b.path("archive"))
	if err != nil {
		return r, fmt.Errorf("read the files that the guest sent: %w", err)
	}
	r.Out = map[string][]byte{}
	for name, content := range files {
		if rest, ok := strings.CutPrefix(name, "out/"); ok {
			r.Out[rest] = content
		}
	}
	r.Dmesg = string(files[".guest/dmesg"])
	r.Problems = problems(r.Console, r.Dmesg)
	return r, nil
}
