package attacks

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/examples/vulnerable/exploit"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

const (
	startLimit = 20 * time.Second
	endLimit   = 10 * time.Second
	liveLimit  = time.Minute
)

// server is the vulnerable server, running natively or as the variants of a group.
type server struct {
	*proc.Process
	program string
	address string // host:port, from the server's own first line
	secret  string // content of its secret file
	dir     string // scratch folder: secret file, group file, and in logs/ what the group writes
}

var listening = regexp.MustCompile(`(?m)^listening on (127\.0\.0\.1:[0-9]+)$`)

// start runs program in the given way and waits until it says where it listens. It is killed at the test's end, should it
// still run.
func start(t *testing.T, how target.How, program string) *server {
	t.Helper()
	dir := scratch.Dir(t)
	s := &server{program: program, dir: dir, secret: "secret-of-" + filepath.Base(dir)}
	secretFile := filepath.Join(s.dir, "secret")
	if err := os.WriteFile(secretFile, []byte(s.secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := []string{program, "-s", secretFile}
	if how.Variants > 0 {
		if err := target.CheckBuilt("monmod", "libmonmod.so"); err != nil {
			t.Fatal(err)
		}
		argv = s.monitored(t, how, argv)
	}
	p, err := proc.Start(proc.Spec{Argv: argv, Dir: s.dir, Env: target.Env(s.dir), Deadline: liveLimit})
	if err != nil {
		t.Fatal(err)
	}
	s.Process = p
	t.Cleanup(func() {
		p.Kill()
		p.Wait()
	})
	if err := p.WaitOutput(startLimit, listening.Match); err != nil {
		t.Fatal(err)
	}
	s.address = string(listening.FindSubmatch(p.Output())[1])
	return s
}

// monitored composes the command line of monmod, with a group file that keeps reports and events in the test's own folder.
func (s *server) monitored(t *testing.T, how target.How, program []string) []string {
	t.Helper()
	var group strings.Builder
	fmt.Fprintf(&group, "leader: 1\nlogs: %s\nvariants:\n", s.logs())
	for id := range how.Variants {
		fmt.Fprintf(&group, "  - id: %d\n", id+1)
	}
	file := filepath.Join(s.dir, "group.yaml")
	if err := os.WriteFile(file, []byte(group.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := []string{target.Built("monmod"), "run", "--variants", strconv.Itoa(how.Variants), "--policy", how.Policy, "--config", file, "--"}
	return append(argv, program...)
}

func (s *server) logs() string { return filepath.Join(s.dir, "logs") }

// aim reads the addresses of the process to attack: the leader, where the server is monitored.
func (s *server) aim(t *testing.T) *exploit.Target {
	t.Helper()
	leader, err := exploit.FindServer(s.address, s.program)
	if err != nil {
		t.Fatal(err)
	}
	aimed, err := exploit.ReadTarget(leader, s.program)
	if err != nil {
		t.Fatal(err)
	}
	return aimed
}

// end waits until the server has ended by itself, as an attacked one does, and ends it where it does not.
func (s *server) end() proc.Result {
	select {
	case <-s.Done():
	case <-time.After(endLimit):
		s.Kill()
	}
	return s.Wait()
}

// stop asks the server to end and returns its exit code. A server that ends by itself is one that the attack brought down.
func (s *server) stop() int {
	_ = s.Signal(syscall.SIGTERM)
	return s.end().Status
}

// divergence is what the tests read of a report, by the names that its JSON form promises to everyone.
type divergence struct {
	ExitCode int    `json:"exit_code"`
	Headline string `json:"headline"`
	Policy   string `json:"policy"`
	Leader   struct {
		Call struct {
			Name string `json:"name"`
		} `json:"call"`
	} `json:"leader"`
}

// reports are the reports of divergences that the group wrote.
func (s *server) reports(t *testing.T) []divergence {
	t.Helper()
	var reports []divergence
	for _, file := range s.written(t, ".json") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r divergence
		if err := json.Unmarshal(content, &r); err != nil {
			t.Fatalf("reading the report %s: %v", file, err)
		}
		reports = append(reports, r)
	}
	return reports
}

// written are the files below the group's log folder whose names end so.
func (s *server) written(t *testing.T, suffix string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(s.logs(), func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

// talk sends the requests to the server at address and returns its answers.
func talk(t *testing.T, address, requests string) string {
	t.Helper()
	connection, err := net.DialTimeout("tcp", address, attackLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(attackLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, requests); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(connection)
	if err != nil {
		t.Fatalf("reading the answers, after %q: %v", answers, err)
	}
	return string(answers)
}
