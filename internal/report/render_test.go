package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/monmod/monmod/internal/abi"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// sample is a report of two variants about call 1834 without calls.
func sample(reason Reason) *Report {
	at := time.Date(2026, 3, 1, 12, 30, 0, 250_000_000, time.UTC)
	return &Report{
		Time: at, MonmodVersion: "0.1.0", Kernel: "6.1.0-18-amd64", Group: "web", Policy: "full", Backend: "sud", OnDivergence: "kill",
		Response: GroupEnded, ExitCode: 70, Reason: reason, Program: "/usr/sbin/lighttpd",
		Args: []string{"-D", "-f", "/etc/my site.conf"}, Variant: 2, Seq: 1834,
		Leader: Side{Variant: 1}, Other: Side{Variant: 2},
		Events: []Event{{Time: at.Add(-time.Minute), Kind: "started", Text: "2 variants run"}},
		Variants: []Variant{
			{ID: 1, Role: "leader", PID: 4711, Host: "alpha", Bases: Bases{Program: 0x555500000000}, Ended: "ended by its supervisor"},
			{ID: 2, Role: "follower", PID: 4712, Host: "alpha", Bases: Bases{Program: 0x7a0000000000}, Ended: "ended by its supervisor"},
		},
	}
}

func roundTrip(t testing.TB, r *Report) {
	t.Helper()
	r.Conclude()
	if err := r.bound().Validate(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r.bound())
	if err != nil {
		t.Fatal(err)
	}
	back, err := parse(data)
	if err != nil {
		t.Fatalf("a report that was written cannot be read: %v", err)
	}
	var a, b bytes.Buffer
	if Render(&a, r, 80, false) != nil || Render(&b, back, 80, false) != nil || a.String() != b.String() {
		t.Fatalf("read back it is another:\n%s\n%s", a.String(), b.String())
	}
}

// TestFirstArgument: the arguments of a report are those behind the program's name, and a redacted one keeps none of them.
func TestFirstArgument(t *testing.T) {
	r := sample(OtherData)
	r.Args = []string{"--password=secret"}
	show := func() string {
		var b bytes.Buffer
		if err := Render(&b, r, 80, false); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if text := show(); !strings.Contains(text, "/usr/sbin/lighttpd --password=secret\n") {
		t.Errorf("the only argument is not shown:\n%s", text)
	}
	r.Redact()
	if text := show(); strings.Contains(text, "secret") || !strings.Contains(text, `"(1 redacted)"`) {
		t.Errorf("the only argument is not taken out:\n%s", text)
	}
}

func TestGolden(t *testing.T) {
	history := func(n int) []Call {
		var calls []Call
		for i := range n {
			calls = append(calls, *decoded(t, called(t, "read", uint64(1834-n+i), value(0, 9), pointer(1), value(2, 4096))))
		}
		return calls
	}
	writes := func(s string) *Call {
		return decoded(t, called(t, "write", 1834, value(0, 4), text(1, s), value(2, uint64(len(s)))))
	}
	for _, test := range []struct {
		name string
		make func() *Report
	}{
		{"other_argument", func() *Report {
			r := sample(OtherArgument)
			r.Leader.Call, r.Other.Call = writes("HTTP/1.1 200 OK\r\n"), writes("HTTP/1.1 500 No\r\n")
			r.Leader.Before, r.Other.Before = history(12), history(12)
			r.Leader.Backtrace = []Frame{
				{Address: 0x7f01, Module: "libc.so.6", Symbol: "write", Offset: 0x14, File: "write.c", Line: 26},
				{Address: 0x5555, Module: "lighttpd", Symbol: "network_write", Offset: 0x90}, {Address: 0x1234, Module: "lighttpd", Offset: 0x34}}
			r.Other.Backtrace = []Frame{{Address: 0x7f02, Module: "libc.so.6", Symbol: "write", Offset: 0x14}, {Address: 0x41414141}}
			return r
		}},
		{"other_argument_long", func() *Report {
			r := sample(OtherArgument)
			head := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConten"
			long := func(sum byte) *Call {
				return decoded(t, called(t, "sendto", 1834, value(0, 4), digest(1, sum, 10485760, head), value(2, 10485760), value(3, 0x4000)))
			}
			r.Leader.Call, r.Other.Call = long(1), long(2)
			r.Other.Missing = "the process was gone before its map could be read"
			return r
		}},
		{"other_call", func() *Report {
			r := sample(OtherCall)
			r.Leader.Call = writes("hello\n")
			r.Other.Call = decoded(t, called(t, "execve", 1834, text(0, "/bin/sh\x00")))
			r.Leader.Before, r.Other.Before = history(3), history(2)
			return r
		}},
		{"fault_alone", func() *Report {
			r := sample(OtherKind)
			r.Leader.Call = writes("hello\n")
			r.Other.Call = decoded(t, rec(abi.RecFault, 0, 11, 1834, nil, value(6, 0x55550000)))
			r.Other.Backtrace = []Frame{{Address: 0x41414141}}
			values := [18]uint64{0, 1, 1<<64 - 14, 6: 0x7ffd12345700, 7: 0x7ffd12345600, 16: 0x41414141, 17: 0x10246}
			other := registersOf(&values)
			values[16] = 0x7f0000114000
			leader := registersOf(&values)
			r.Leader.Registers, r.Other.Registers = &leader, &other
			return r
		}},
		{"other_result", func() *Report {
			r := sample(OtherResult)
			r.Leader.Call, r.Other.Call = decoded(t, gave(t, "read", 1834, 12)), decoded(t, gave(t, "read", 1834, -9))
			whole := *decoded(t, called(t, "read", 1834, value(0, 9), pointer(1), value(2, 4096)))
			r.Leader.Before, r.Other.Before = append(history(1), whole), append(history(1), whole)
			return r
		}},
		{"other_data", func() *Report {
			r := sample(OtherData)
			r.Subject, r.Response, r.ExitCode, r.OnDivergence = "/srv/www/index.html", Recorded, 0, "audit"
			return r
		}},
		{"not_arrived", func() *Report {
			r := sample(Late)
			r.Leader.Call = writes("hello\n")
			r.Detail = "it used 10 s of CPU time without arriving"
			return r
		}},
		{"leader_not_arrived", func() *Report {
			r := sample(Late)
			r.Variant, r.Other.Call = 1, writes("hello\n")
			return r
		}},
		{"refused", func() *Report {
			r := sample(Refused)
			r.Variant, r.Subject, r.Other = 1, "fork", Side{}
			r.Detail = "processes are not monitored in this version"
			return r
		}},
		{"taken", func() *Report {
			r := sample(Taken)
			r.Subject = "7"
			r.Leader.Call = decoded(t, gave(t, "openat", 1834, 7))
			return r
		}},
		{"other_code", func() *Report {
			r := sample(OtherCode)
			r.Subject = "/lib/x86_64-linux-gnu/libssl.so.3"
			return r
		}},
		{"exempt", func() *Report {
			r := sample(OtherCall)
			r.Policy, r.Leader.Call, r.Other.Call = "socket_rw", writes("x"), decoded(t, called(t, "getpid", 1834))
			r.Leader.Call.Exempt = true
			return r
		}},
		{"redacted", func() *Report {
			r := sample(OtherArgument)
			r.Leader.Call = decoded(t, called(t, "write", 1834, value(0, 4), digest(1, 1, 100, "password=hunter2")))
			r.Other.Call = decoded(t, called(t, "write", 1834, value(0, 4), digest(1, 2, 100, "password=hunter3")))
			r.Leader.Registers = &Registers{RAX: 0xdeadbeef, RIP: 0x7f01, RSP: 0x7ffd, RBP: 1}
			r.Redact()
			return r
		}},
		{"hostile", func() *Report {
			r := sample(OtherCode)
			r.Subject, r.Program, r.Args = "/tmp/\x1b]0;owned\x07\u202egnp.so", "\x1b[2J", []string{"\xff\nroot#"}
			r.Other.Backtrace = []Frame{{Address: 1, Module: "\x1b[1mx", Symbol: "\r\n"}}
			return r
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.make()
			roundTrip(t, r)
			var out bytes.Buffer
			if err := Render(&out, r, 80, false); err != nil {
				t.Fatal(err)
			}
			for _, width := range []int{1, 40, 80, 200} {
				var narrow bytes.Buffer
				if err := Render(&narrow, r, width, false); err != nil {
					t.Fatal(err)
				}
				for _, line := range strings.Split(narrow.String(), "\n") {
					if n := utf8.RuneCountInString(line); n > max(width, leastWidth) {
						t.Errorf("width %d: a line of %d columns: %s", width, n, line)
					}
				}
			}
			if strings.ContainsAny(out.String(), "\x1b\r\x07\u202e") {
				t.Errorf("something for the terminal got through: %q", out.String())
			}
			golden(t, test.name+".txt", out.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestColour(t *testing.T) {
	r := sample(OtherCall)
	r.Leader.Call, r.Other.Call = decoded(t, called(t, "getpid", 1834)), decoded(t, called(t, "dup", 1834, value(0, 1)))
	var out bytes.Buffer
	if err := Render(&out, r, 0, true); err != nil || !strings.HasPrefix(out.String(), string(bold)+"variant 2") {
		t.Fatalf("%v\n%q", err, out.String())
	}
}

// A lost peer is an event: nobody did anything different.
func TestPeerLostIsAnEvent(t *testing.T) {
	if err := (&Report{Reason: "peer_lost"}).Validate(); err == nil || !strings.Contains(err.Error(), "a lost peer is an event") {
		t.Errorf("got %v", err)
	}
	e := Event{Time: time.Date(2026, 3, 1, 1, 2, 3, 0, time.UTC), Kind: "peer_lost", Variant: 2, Text: "silent for 3 s\x1b[2J"}
	if got, want := RenderEvent(&e), `2026-03-01T01:02:03Z peer_lost: variant 2: silent for 3 s\x1b[2J`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e.Text = "variant 2 (follower, process 7) was ended by signal 9 (SIGKILL)"
	if got, want := RenderEvent(&e), "2026-03-01T01:02:03Z peer_lost: "+e.Text; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
