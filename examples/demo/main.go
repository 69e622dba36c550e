// Command demo shows monmod at work: a web server out of a Debian package that runs as two cross-checked variants, and an
// attack on a vulnerable server that works unmonitored and is stopped when monitored. It needs root and the built files, and
// cleans up after itself, whether it succeeds, fails or is interrupted.
//
//	demo [--engine runc|docker] [--build DIR]
//
// What is shown lives here; how images are made and Docker is run lives in internal/, the exploit beside its server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	engineName := flag.String("engine", "runc", "what starts the containers: runc or docker")
	build := flag.String("build", "build", "folder of monmod, monmod-runtime and libmonmod.so")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q: see demo --help\n", flag.Arg(0))
		os.Exit(64)
	}
	// SIGPIPE too: whoever reads what it prints may have seen enough, and it would be ended without cleaning up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, *engineName, *build); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("interrupted: %w", err)
		}
		fmt.Fprintf(os.Stderr, "\ndemo: %s\n", strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
}

// logs is where every group of root's has its folder of reports and events.
const logs = "/var/log/monmod"

// demo is what all parts of the demonstration share.
type demo struct {
	dir    string // removed at the end
	logs   string // of the demo's one group, removed at the end
	monmod string // absolute path of the program
	engine engine
}

func run(ctx context.Context, engineName, build string) (err error) {
	d := demo{}
	if build, err = filepath.Abs(build); err != nil {
		return err
	}
	if err := check(engineName, build); err != nil {
		return err
	}
	d.monmod = filepath.Join(build, "monmod")
	// An attacked server that dies leaves no core file.
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("switching core files off: %w", err)
	}
	if d.dir, err = os.MkdirTemp("", "mm-demo-"); err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	d.logs = filepath.Join(logs, filepath.Base(d.dir))
	_, before := os.Stat(logs)
	defer func() {
		err = errors.Join(err, os.RemoveAll(d.logs))
		if errors.Is(before, os.ErrNotExist) {
			_ = os.Remove(logs) // another group may have come into it
		}
	}()

	if d.engine, err = newEngine(ctx, engineName, d.dir, filepath.Join(build, "monmod-runtime")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.engine.close()) }()

	if err := d.serve(ctx); err != nil {
		return fmt.Errorf("showing a web server: %w", err)
	}
	if err := d.attack(ctx); err != nil {
		return fmt.Errorf("showing an attack: %w", err)
	}
	say("Done. Everything that the demo started has ended and is removed.")
	return nil
}

// check looks for everything that the demo needs, and names all that is missing at once.
func check(engineName, build string) error {
	if os.Geteuid() != 0 {
		return errors.New("it starts containers, which needs root: run it with sudo")
	}
	var missing []string
	for _, file := range []string{"monmod", "monmod-runtime", "libmonmod.so"} {
		if _, err := os.Stat(filepath.Join(build, file)); err != nil {
			missing = append(missing, filepath.Join(build, file)+" (run make build)")
		}
	}
	packages := map[string]string{"runc": "runc", "umoci": "umoci", "curl": "curl", "gcc": "gcc", "make": "make", "lighttpd": "lighttpd"}
	if engineName == "docker" {
		packages["skopeo"], packages["dockerd"], packages["containerd"] = "skopeo", "docker.io", "containerd"
	}
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (apt-get install %s)", program, name))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("it lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

// say prints the heading of a step.
func say(format string, values ...any) {
	fmt.Printf("\n== "+format+"\n", values...)
}

// tell prints one fact of a step.
func tell(format string, values ...any) {
	fmt.Printf("  "+format+"\n", values...)
}
