package programs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/monmod/monmod/test/internal/filetree"
	"github.com/monmod/monmod/test/internal/httpcheck"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

// runDeadline is that of a program's whole life. A soak gives more: what is starved on purpose is not what hangs.
var runDeadline = 60 * time.Second

// Deadlines: of a server's start, of one client connection, …
const (
	startDeadline = 20 * time.Second
	driveDeadline = 40 * time.Second
	stopDeadline  = 15 * time.Second
	orphanGrace   = 2 * time.Second
)

// Bench is a workload made ready: its input is filled, it can be run again and again.
type Bench struct {
	Workload
	base   string
	ground Ground
}

// Ready fills the input of w below base, a folder made by package scratch. origin is the address of the tests' web server.
func Ready(w Workload, base, origin string) (*Bench, error) {
	b := &Bench{Workload: w, base: base, ground: Ground{
		In: filepath.Join(base, "in"), Run: filepath.Join(base, "w"), Origin: origin,
	}}
	if err := os.Mkdir(b.ground.In, 0o755); err != nil {
		return nil, fmt.Errorf("make ready %s: %w", w.Name, err)
	}
	if w.Prepare != nil {
		if err := w.Prepare(b.ground); err != nil {
			return nil, fmt.Errorf("make ready %s: %w", w.Name, err)
		}
	}
	return b, nil
}

// Outcome is all that is compared of one run, and what is shown when it differs.
type Outcome struct {
	Status  int
	Stdout  []byte
	Files   []string // of the working directory, at the end
	Answers []string // to the client of a server
	Left    []string // processes and files of monmod's own that were still there afterwards
	Report  string   // of a divergence, as monmod shows it
	Result  proc.Result
	Err     error // the run could not be carried out
}

// Run runs the workload once, in a working directory that is the same path at every run.
func (b *Bench) Run(how target.How) Outcome {
	if err := os.RemoveAll(b.ground.Run); err != nil {
		return Outcome{Err: err}
	}
	if err := errors.Join(os.Mkdir(b.ground.Run, 0o755), os.Symlink(b.ground.In, filepath.Join(b.ground.Run, "in"))); err != nil {
		return Outcome{Err: err}
	}
	if b.Fill != nil {
		if err := b.Fill(b.ground); err != nil {
			return Outcome{Err: err}
		}
	}
	var o Outcome
	switch {
	case b.Serve != nil:
		o = b.runServer(how)
	case b.Inetd != nil:
		o = b.runInetd(how)
	default:
		o = b.runCommand(how)
	}
	if files, err := filetree.Describe(b.ground.Run, b.Times); err != nil {
		o.Err = errors.Join(o.Err, err)
	} else {
		o.Files = files
	}
	o.Report = takeReports(b.base)
	o.Left = append(proc.Orphans(orphanGrace), b.leftFiles()...)
	return o
}

// spec composes what is started, with /dev/null as standard input.
func (b *Bench) spec(how target.How, argv []string) (proc.Spec, error) {
	program, err := target.Lookup(argv[0])
	if err != nil {
		return proc.Spec{}, err
	}
	return proc.Spec{
		Argv: how.Argv(b.base, append([]string{program}, argv[1:]...)...),
		Dir:  b.ground.Run, Env: target.Env(b.base), Deadline: runDeadline,
	}, nil
}

func (b *Bench) runCommand(how target.How) Outcome {
	spec, err := b.spec(how, b.Argv(b.ground))
	if err != nil {
		return Outcome{Err: err}
	}
	if b.Stdin != "" {
		f, err := os.Open(filepath.Join(b.ground.In, b.Stdin))
		if err != nil {
			return Outcome{Err: err}
		}
		defer f.Close()
		spec.Stdin = f
	}
	if b.Into != "" {
		f, err := os.Create(filepath.Join(b.ground.Run, b.Into))
		if err != nil {
			return Outcome{Err: err}
		}
		defer f.Close()
		spec.Stdout = f
	}
	r, err := proc.Run(spec)
	return outcome(r, err)
}

func (b *Bench) runServer(how target.How) Outcome {
	port, err := servers.FreePort()
	if err != nil {
		return Outcome{Err: err}
	}
	// The server's own files lie beside the compared ones: its configuration names the port.
	own := filepath.Join(b.base, "server")
	if err := errors.Join(os.RemoveAll(own), os.Mkdir(own, 0o755)); err != nil {
		return Outcome{Err: err}
	}
	server := b.Serve(b.ground)
	site := servers.Site{Docs: b.ground.In, Run: own, Port: port}
	if err := server.Prepare(site); err != nil {
		return Outcome{Err: err}
	}
	spec, err := b.spec(how, server.Argv(site))
	if err != nil {
		return Outcome{Err: err}
	}
	p, err := proc.Start(spec)
	if err != nil {
		return Outcome{Err: err}
	}
	answers, err := drive(p, site, server)
	// A server that SIGTERM does not end need not use up the whole of its deadline.
	stop := time.AfterFunc(stopDeadline, p.Kill)
	o := outcome(p.Wait(), err)
	stop.Stop()
	o.Answers = answers
	if server.Log != "" && err == nil {
		log, err := sortedLines(filepath.Join(own, server.Log))
		o.Err = errors.Join(o.Err, err)
		o.Answers = append(o.Answers, log...)
	}
	return o
}

// drive visits the server and ends it by SIGTERM, with a connection open where the server keeps connections: some servers
// end with another status then.
func drive(p *proc.Process, site servers.Site, server servers.Server) ([]string, error) {
	plan := visit(site.Addr(), server.Persist)
	err := servers.Listening(site.Port, startDeadline, p.Done())
	var answers []string
	if err == nil {
		answers, err = httpcheck.Visit(plan)
	}
	if err == nil {
		err = servers.Idle(site.Port, driveDeadline, p.Done())
	}
	if err == nil && server.Persist {
		line, held, holdErr := httpcheck.Hold(plan, plan.Requests[0])
		if err = holdErr; err == nil {
			defer func() {
				<-p.Done()
				held.Close()
			}()
			answers = append(answers, line)
		}
	}
	if err != nil {
		p.Kill()
		return answers, err
	}
	return answers, p.Signal(syscall.SIGTERM)
}

// runInetd plays inetd: it accepts, and starts the program anew for each connection.
func (b *Bench) runInetd(how target.How) Outcome {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Outcome{Err: err}
	}
	plan := visit(l.Addr().String(), false)
	// One program after the other, each of them a group of variants of its own: a small crowd will do.
	plan.Crowd = 5
	type visited struct {
		answers []string
		err     error
	}
	over := make(chan visited, 1)
	go func() {
		answers, err := httpcheck.Visit(plan)
		l.Close() // ends the loop below
		over <- visited{answers, err}
	}()
	o := Outcome{}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			o.Err = errors.Join(o.Err, err)
			break
		}
		r, err := b.inetdChild(how, c.(*net.TCPConn))
		next := outcome(r, err)
		next.Answers, next.Err = append(o.Answers, fmt.Sprintf("status %d", next.Status)), errors.Join(o.Err, next.Err)
		o = next
		if next.Err != nil {
			l.Close() // no further connection is served, so that the client ends too
		}
	}
	v := <-over
	o.Answers = append(o.Answers, v.answers...)
	o.Err = errors.Join(o.Err, v.err)
	return o
}

// inetdChild serves one connection and closes it.
func (b *Bench) inetdChild(how target.How, c *net.TCPConn) (proc.Result, error) {
	defer c.Close()
	f, err := c.File()
	if err != nil {
		return proc.Result{}, err
	}
	defer f.Close()
	// File shares its description with c, which the runtime made non-blocking; inetd hands over one that blocks.
	if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
		return proc.Result{}, err
	}
	spec, err := b.spec(how, b.Inetd(b.ground))
	if err != nil {
		return proc.Result{}, err
	}
	spec.Stdin, spec.Stdout = f, f
	return proc.Run(spec)
}

func outcome(r proc.Result, err error) Outcome {
	if err == nil {
		err = r.Err
	}
	if r.Expired {
		err = errors.Join(err, fmt.Errorf("it had not ended after %v", r.Elapsed.Round(time.Millisecond)))
	}
	return Outcome{Status: r.Status, Stdout: r.Stdout, Result: r, Err: err}
}

// leftFiles lists what is no folder below XDG_RUNTIME_DIR: sockets and state of groups that have ended.
func (b *Bench) leftFiles() []string {
	var left []string
	_ = filepath.WalkDir(filepath.Join(b.base, "run"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, "file "+path)
		}
		return nil
	})
	return left
}

func sortedLines(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return sorted(raw), nil
}

func sorted(text []byte) []string {
	var lines []string
	for _, l := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		lines = append(lines, string(l))
	}
	slices.Sort(lines)
	return lines
}

// native runs a command that prepares input and ends with 0.
func native(dir string, argv ...string) error {
	program, err := target.Lookup(argv[0])
	if err != nil {
		return err
	}
	r, err := proc.Run(proc.Spec{Argv: append([]string{program}, argv[1:]...), Dir: dir, Env: target.Env(dir), Deadline: runDeadline})
	if err != nil {
		return err
	}
	if r.Status != 0 {
		return fmt.Errorf("prepare input: %s", r)
	}
	return nil
}
