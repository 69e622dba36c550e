package main

import (
	"bytes"
	"fmt"
	"strings"
)

const head = `# Benchmarks of the kernel module

What a system call costs that is interposed, in a guest whose clock counts instructions (QEMU, ` + "`-icount shift=0,sleep=off -smp 1`" + `). That says nothing of how
long single instructions take on a processor: a switch of address spaces, an exception and XSAVE count as one each, which flatters signals more than
the module. Written by ` + "`make bench-guest`" + `; do not edit. Times of whole programs are in [benchmarks.md](benchmarks.md).

**Interposition alone**: one process arms itself, and its monitor's side does nothing but keep all general registers, make the call at its gate and
restore them (test/bench/c/interpose.c). How many times native it takes (native = 1) and, in brackets, instructions per call: the fewest of 20 rounds of 100 calls.
The original system measured 2.4–3.0 without and 2.7–3.3 with protection of the monitor, in time on a processor.

**The whole monitor**: calls per second of ` + "`monmod run --variants 2`" + ` with either back end, both variants on the one CPU, as the ratio kmod / sud.
These move by some percent from run to run.
`

// section writes what one kernel gave.
func section(b *bytes.Buffer, release string, r results) {
	fmt.Fprintf(b, "\n## Kernel %s\n\n### Interposition alone\n\n| | %s |\n|---|%s\n", release, strings.Join(calls, " | "), strings.Repeat("---|", len(calls)))
	for _, m := range mechanisms {
		fmt.Fprintf(b, "| %s |", m.title)
		for _, call := range calls {
			v := r.interpose(m.name, call)
			if m.name == "native" {
				fmt.Fprintf(b, " 1 (%.0f) |", v)
			} else {
				fmt.Fprintf(b, " %.2f (%.0f) |", v/r.interpose("native", call), v)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n### The whole monitor, two variants\n\n| call | policy | kmod / sud | sud / native | kmod / native |\n|---|---|---|---|---|\n")
	for _, call := range calls {
		for _, policy := range policies {
			native, sud, kmod := r.monitor("native", "-", call), r.monitor("sud", policy, call), r.monitor("kmod", policy, call)
			fmt.Fprintf(b, "| %s | %s | %.2f | %.4f | %.4f |\n", call, policy, kmod/sud, sud/native, kmod/native)
		}
	}
}
