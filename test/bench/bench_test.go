package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

func TestMain(m *testing.M) {
	if err := proc.AdoptOrphans(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestCompare(t *testing.T) {
	var order string
	rates := func(name string, values ...float64) meter {
		return func() (float64, error) {
			order += name
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	r, err := compare(rates("p", 100, 200, 400), rates("m", 50, 20, 100), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := (ratio{median: 0.25, low: 0.1, high: 0.5, plain: 200, monitored: 50}); r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if order != "pmmppm" {
		t.Errorf("measured in the order %s: the first of a pair must alternate", order)
	}
	if _, err := compare(rates("p", 0), rates("m", 1), 1); err == nil {
		t.Error("a rate of 0 is taken for a measurement")
	}
	broken := errors.New("broken")
	if _, err := compare(func() (float64, error) { return 0, broken }, rates("m", 1), 1); !errors.Is(err, broken) {
		t.Errorf("got %v, want the meter's error", err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestParseWrk(t *testing.T) {
	good := "Running 10s test\n  123 requests in 10.00s, 1MB read\nRequests/sec:  12345.67\nTransfer/sec: 1MB\n"
	if rate, bad := parseWrk(good); rate != 12345.67 || bad != "" {
		t.Errorf("got %v and %q", rate, bad)
	}
	failing := "  Socket errors: connect 0, read 3, write 0, timeout 0\n  Non-2xx or 3xx responses: 7\nRequests/sec:  1.00\n"
	if _, bad := parseWrk(failing); !strings.Contains(bad, "Socket errors") {
		t.Errorf("failed requests are overlooked: %q", bad)
	}
	if rate, _ := parseWrk("unable to connect"); rate != 0 {
		t.Errorf("a report without a rate gives %v", rate)
	}
}

// TestPlainSide measures the unmonitored side of each measurement briefly, so that the harness itself is tried in every test run.
func TestPlainSide(t *testing.T) {
	base := scratch.Dir(t)
	if err := servers.WriteDocs(filepath.Join(base, "docs")); err != nil {
		t.Fatal(err)
	}
	for name, server := range known {
		for _, against := range []string{"native", "runc"} {
			if against == "runc" && os.Geteuid() != 0 {
				continue // the bundle is for a runc that root runs
			}
			o := options{against: against, duration: time.Second}
			if rate, err := o.serve(server, base, target.Native); err != nil || rate < 10 {
				t.Errorf("%s, %s: rate %v, %v", name, against, rate, err)
			}
		}
	}
}

func TestPlainCalls(t *testing.T) {
	m, err := newCallMeter(scratch.Dir(t), 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range allCalls {
		if rate, err := m.rate(call, target.Native); err != nil || rate < 1000 {
			t.Errorf("%s: rate %v, %v", call, rate, err)
		}
	}
	if _, err := m.rate("none", target.Native); err == nil {
		t.Error("a call that the program does not know has a rate")
	}
}
