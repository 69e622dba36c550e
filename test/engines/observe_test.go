package engines

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/supervisor"
	"github.com/monmod/monmod/test/internal/target"
)

// ports are given out once each: no container waits for another's port to be free again.
var ports atomic.Int32

// newPort returns a port of the tests' own loopback.
func newPort() int { return 8000 + int(ports.Add(1)) }

func port(n int) string { return "PORT=" + strconv.Itoa(n) }

// fetch gets the page, waiting until the server listens, and compares every byte.
func fetch(t *testing.T, port int) {
	t.Helper()
	if why := tryFetch(port, endLimit); why != "" {
		t.Fatalf("fetch the page from port %d: %s\n%s", port, why, logs(t))
	}
}

// tryFetch says why the page does not come within the limit; "" if it does.
func tryFetch(port int, limit time.Duration) string {
	end := time.Now().Add(limit)
	for {
		// A connection of its own for each, as clients make them.
		client := http.Client{Timeout: max(time.Until(end), time.Millisecond), Transport: &http.Transport{DisableKeepAlives: true}}
		got, err := client.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/")
		if err != nil {
			if time.Now().After(end) {
				return err.Error()
			}
			time.Sleep(20 * time.Millisecond)
			continue
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		switch {
		case err != nil:
			return err.Error()
		case got.StatusCode != http.StatusOK || string(body) != page:
			return got.Status + " with " + strconv.Itoa(len(body)) + " bytes"
		}
		return ""
	}
}

// groups are those that run, by name.
func groups(t *testing.T, name string) []supervisor.Status {
	t.Helper()
	var all, named []supervisor.Status
	if err := json.Unmarshal([]byte(must(t, exec.Command(target.Built("monmod"), "ps", "--json"))), &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if g.Group == name {
			named = append(named, g)
		}
	}
	return named
}

// compared waits until the followers of a group have compared at least least calls each, and returns the supervisors' word.
func compared(t *testing.T, group string, least uint64) {
	t.Helper()
	await(t, "calls compared in group "+group, func() bool {
		followers := 0
		for _, g := range groups(t, group) {
			for _, v := range g.Variants {
				if v.Role == "follower" && v.Compared >= least {
					followers++
				}
			}
		}
		return followers > 0
	})
}

// events are the events of a group so far.
func events(t *testing.T, group string) []supervisor.Entry {
	t.Helper()
	var all []supervisor.Entry
	collect := func(e supervisor.Entry) error { all = append(all, e); return nil }
	bad := func(err error) { t.Error(err) }
	err := supervisor.NewEventReader(filepath.Join("/var/log/monmod", group)).Read(collect, bad)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // before the first event there is no folder
		t.Fatal(err)
	}
	return all
}

// eventually waits for an event of a kind that says text.
func eventually(t *testing.T, group, kind, text string) {
	t.Helper()
	await(t, kind+" event saying "+strconv.Quote(text)+" in group "+group, func() bool {
		for _, e := range events(t, group) {
			if e.Kind == kind && strings.Contains(e.Text, text) {
				return true
			}
		}
		return false
	})
}

// noReports fails where a divergence was reported for a group.
func noReports(t *testing.T, group string) {
	t.Helper()
	if found, _ := filepath.Glob(filepath.Join("/var/log/monmod", group, "divergence-*")); len(found) > 0 {
		text, _ := exec.Command(target.Built("monmod"), "report", found[0]).CombinedOutput()
		t.Errorf("group %s diverged:\n%s", group, text)
	}
}

// logs is the end of what supervisors and low-level runtimes have written for containers of the test's engine, for the message
// of a failure. Docker's and podman's IDs say nothing: those count while their containers are there.
func logs(t *testing.T) string {
	var b strings.Builder
	for _, pattern := range []string{"/run/monmod/containers/*/" + control.LogFile, "/run/monmod/containers/*/*/*.log", "/var/log/monmod/*/events*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			name := strings.Split(path, "/")[4]
			text, err := os.ReadFile(path)
			if err != nil || len(text) == 0 || !ofTest(t, name) && strings.HasPrefix(path, "/var") {
				continue
			}
			b.WriteString("--- " + path + "\n" + string(text[max(0, len(text)-2000):]))
		}
	}
	return b.String()
}

// ofTest says whether a name has the form that this test's names have: mm-TEST-ENGINE and more.
func ofTest(t *testing.T, name string) bool {
	words := strings.Split(t.Name(), "/")
	return len(words) > 1 && strings.Contains(name, words[1]) && strings.Contains(strings.ToLower(words[0]), strings.Split(name, "-")[1])
}

// groupOf is the name that a group has which the container's ID names.
func groupOf(t *testing.T, e engine, id string) string {
	t.Helper()
	switch e := e.(type) {
	case docker:
		id = e.inspect(t, id, "{{.Id}}")
	case podman:
		id = strings.TrimSpace(must(t, e.client("inspect", "--format", "{{.Id}}", id)))
	}
	if len(id) == 64 {
		return id[:12]
	}
	return id
}
