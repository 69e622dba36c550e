package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// fileSize is more bytes than can be read one by one during a measurement. The file is one hole.
const fileSize = 1 << 30

// allCalls names every call that the C program knows.
var allCalls = []string{"getppid", "read-zero-512", "read-file-1", "sched_yield"}

// measureCalls compares how often per second a program can make one system call. Containers make no difference to it, so it is
// always monmod run against native.
func measureCalls(o options, base string) ([]row, error) {
	if len(o.calls) == 0 {
		return nil, nil
	}
	m, err := newCallMeter(base, o.callTime)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, call := range o.calls {
		for _, policy := range o.policies {
			how := target.How{Variants: o.variants, Policy: policy}
			r, err := compare(
				func() (float64, error) { return m.rate(call, target.Native) },
				func() (float64, error) { return m.rate(call, how) }, o.pairs)
			if err != nil {
				return rows, fmt.Errorf("measure %s, %s: %w", call, how, err)
			}
			rows = append(rows, row{what: call, against: "native", unit: "calls/s", how: how, ratio: r})
			fmt.Fprintf(os.Stderr, "bench: %s %s: %.3f of native\n", call, how, r.median)
		}
	}
	return rows, nil
}

// callMeter is the program that makes the calls, and what it makes them on.
type callMeter struct {
	base, program, file string
	length              time.Duration
}

func newCallMeter(base string, length time.Duration) (*callMeter, error) {
	program, err := cprog.Glibc.Compile(filepath.Join(target.Root(), "test", "bench", "c", "calls.c"), base)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(base, "hole")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return nil, err
	}
	return &callMeter{base, program, file, length}, os.Truncate(file, fileSize)
}

// rate makes one measurement and returns calls per second.
func (m *callMeter) rate(call string, how target.How) (float64, error) {
	argv := how.Argv(m.base, m.program, call, fmt.Sprint(m.length.Milliseconds()), m.file)
	r, err := proc.Run(proc.Spec{Argv: argv, Dir: m.base, Env: target.Env(m.base), Deadline: m.length + time.Minute})
	if err != nil {
		return 0, err
	}
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(r.Stdout)), 64)
	if err != nil || r.Status != 0 {
		return 0, fmt.Errorf("the program that makes the calls failed: %s", r)
	}
	return rate, nil
}
