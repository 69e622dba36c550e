package engines

import (
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/target"
)

// Groups of two containers on one host, each with files of its own. Only the leader has a network.

// quickPeers is what most pairs add to their group file.
const quickPeers = "peer_timeout: 1s\n"

// pairFile makes the group file of two containers, with more lines of it.
func pairFile(t *testing.T, group, more string) string {
	return operate(t, group+".yaml", "leader: 1\nvariants:\n  - id: 1\n  - id: 2\nfs: own\nstart_timeout: 20s\n"+more)
}

// pair starts both containers of a group, in the order that is given, and returns their IDs in the order of the group.
func pair(t *testing.T, e engine, group string, s spec, order ...int) (leader, follower string) {
	t.Helper()
	return pairOf(t, e, group, quickPeers, s, order...)
}

// pairOf is pair with more lines of the group file.
func pairOf(t *testing.T, e engine, group, more string, s spec, order ...int) (leader, follower string) {
	t.Helper()
	file := pairFile(t, group, more)
	ids := map[int]string{}
	for _, id := range order {
		one := s
		one.id, one.hostNet = group+"-"+string(rune('0'+id)), s.hostNet && id == 1
		one.asks = map[string]string{"id": string(rune('0' + id)), "config": file}
		maps.Copy(one.asks, s.asks)
		ids[id] = started(t, e, one)
	}
	return ids[1], ids[2]
}

// ends waits for both ends and wants their exit codes.
func ends(t *testing.T, e engine, group string, codes ...int) {
	t.Helper()
	for i, want := range codes {
		id := group + "-" + string(rune('1'+i))
		if code := e.wait(t, id); code != want {
			t.Errorf("%s ended with %d, want %d:\n%s\n%s", id, code, want, e.output(t, id), logs(t))
		}
		e.remove(t, id)
	}
}

// TestPair: two containers, started in either order; each is paused, and the follower's is what is stopped: it ends the group
// in good order.
func TestPair(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		for name, order := range map[string][]int{"leader-first": {1, 2}, "follower-first": {2, 1}} {
			t.Run(name, func(t *testing.T) {
				group, n := "mm-pair-"+e.name()+"-"+name, newPort()
				leader, follower := pair(t, e, group, spec{hostNet: true, user: "33:33", env: []string{port(n)}}, order...)
				for range 3 {
					fetch(t, n)
				}
				for _, id := range []string{leader, follower} {
					e.pause(t, id)
					if why := tryFetch(n, 300*time.Millisecond); why == "" {
						t.Errorf("the server answers while %s is paused", id)
					}
					time.Sleep(2 * time.Second) // longer than a peer may be silent, which its supervisor is not
					e.resume(t, id)
					fetch(t, n)
				}
				compared(t, group, 30)
				e.stop(t, follower, 10*time.Second)
				ends(t, e, group, 0, 0)
				noReports(t, group)
			})
		}
	})
}

// TestPairPausedForLong: the time in which the follower's container is paused is none in which the leader waits too long for it.
func TestPairPausedForLong(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		group, n := "mm-pairpausedforlong-"+e.name(), newPort()
		_, follower := pairOf(t, e, group, "lag: 1s\nlag_wall: 5s\n", spec{hostNet: true, env: []string{port(n)}}, 1, 2)
		fetch(t, n)
		e.pause(t, follower)
		if why := tryFetch(n, 300*time.Millisecond); why == "" {
			t.Errorf("the server answers while %s is paused", follower)
		}
		time.Sleep(8 * time.Second)
		states := map[int]string{}
		for _, g := range groups(t, group) {
			for _, v := range g.Variants {
				if v.PID != 0 {
					states[v.ID] = v.State
				}
			}
		}
		if states[1] != "running" || states[2] != "stopped" {
			t.Errorf("while %s is paused, the variants are said to be %v", follower, states)
		}
		e.resume(t, follower)
		fetch(t, n)
		e.stop(t, follower, 10*time.Second)
		ends(t, e, group, 0, 0)
		noReports(t, group)
	})
}

// TestPairEnvironment: what the containers have of their own (host name, files that the engine makes, variables) is the
// leader's in both.
func TestPairEnvironment(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		group := "mm-pairenvironment-" + e.name()
		pair(t, e, group, spec{args: []string{"/usr/bin/env"}}, 1, 2)
		out := ""
		for i, id := range []string{group + "-1", group + "-2"} {
			if code := e.wait(t, id); code != 0 {
				t.Errorf("%s ended with %d\n%s", id, code, logs(t))
			}
			if i == 0 {
				out = e.output(t, id)
			} else if got := e.output(t, id); got != "" {
				t.Errorf("the follower wrote %q", got)
			}
		}
		if !strings.Contains(out, "COLOUR=grey\n") || strings.Contains(out, "MONMOD") {
			t.Errorf("the leader's environment:\n%s", out)
		}
		noReports(t, group)
	})
}

// TestPairDiffers: a data file that differs is a divergence, and nothing of it is written.
func TestPairDiffers(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		group := "mm-pairdiffers-" + e.name()
		file := pairFile(t, group, quickPeers)
		for i, asks := range []map[string]string{{"id": "1", "config": file}, {"id": "2", "config": file}} {
			s := spec{id: group + "-" + asks["id"], args: []string{"/usr/bin/cat", "/data/file"}, asks: asks, data: []string{"one\n", "two\n"}[i]}
			started(t, e, s)
		}
		ends(t, e, group, 70, 70)
		found, _ := filepath.Glob(filepath.Join("/var/log/monmod", group, "divergence-*"))
		if len(found) != 2 {
			t.Fatalf("the supervisors wrote the reports %q, want one each", found)
		}
		for _, path := range found {
			if text := must(t, exec.Command(target.Built("monmod"), "report", path)); !strings.Contains(text, "/data/file") {
				t.Errorf("the report does not name the file:\n%s", text)
			}
		}
	})
}

// TestPairKilled: when an engine kills or removes the follower's container, the leader has lost a peer, and nobody has diverged.
func TestPairKilled(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		for name, act := range map[string]func(id string){
			"kill":   func(id string) { e.kill(t, id, "KILL") },
			"remove": func(id string) { e.remove(t, id) },
		} {
			t.Run(name, func(t *testing.T) {
				group, n := "mm-pairkilled-"+e.name()+"-"+name, newPort()
				leader, follower := pair(t, e, group, spec{hostNet: true, user: "33:33", env: []string{port(n)}}, 1, 2)
				fetch(t, n)
				act(follower)
				began := time.Now()
				if code, took := e.wait(t, leader), time.Since(began); code != 69 || took > 2*time.Second {
					t.Errorf("the leader ended with %d after %v, want 69\n%s", code, took, logs(t))
				}
				eventually(t, group, "ending", "the engine killed the container of variant 2")
				noReports(t, group)
			})
		}
	})
}

// TestPairAlone: a variant whose peer does not come ends with 69 and says so.
func TestPairAlone(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		group := "mm-pairalone-" + e.name()
		file := operate(t, group+".yaml", "leader: 1\nvariants:\n  - id: 1\n  - id: 2\nfs: own\nstart_timeout: 2s\n")
		id := started(t, e, spec{id: group + "-1", args: []string{"/usr/bin/env"}, asks: map[string]string{"id": "1", "config": file}})
		if code := e.wait(t, id); code != 69 {
			t.Errorf("ended with %d, want 69\n%s", code, logs(t))
		}
		if out := e.output(t, id); !strings.Contains(out, "no session within 2s with variant 2") {
			t.Errorf("the container says %q", out)
		}
		eventually(t, group, "not_started", "variant 2")
	})
}
