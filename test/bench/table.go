package main

import (
	"bytes"
	"fmt"

	"github.com/monmod/monmod/test/internal/target"
)

// row is one line of the table.
type row struct {
	what, against, unit string
	how                 target.How
	ratio               ratio
}

// markdown renders the page docs/benchmarks.md.
func markdown(rows []row, o options, machine string) []byte {
	cpus := func(s string) string {
		if s == "" {
			return "all"
		}
		return s
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Benchmarks

Rates of monitored programs as a part of the same program's rate without monitoring, both measured in turns in the same run: 1 would be no cost.
Quote the ratios; the rates are those of one machine on one day. Written by `+"`make bench`"+`; do not edit.
What the kernel module costs is in [benchmarks-kmod.md](benchmarks-kmod.md).

- Machine: %s
- Servers: one process, `+"`wrk -c10 -t1 -d%ds`"+` on the 4 KB page over loopback; CPUs of the server: %s, of the client: %s.
- Each ratio is the median of %d pairs, with the lowest and the highest of them.

| what | compared with | variants | policy | ratio | lowest–highest | plain | monitored | unit |
|---|---|---|---|---|---|---|---|---|
`, machine, int(o.duration.Seconds()), cpus(o.serverCPU), cpus(o.clientCPU), o.pairs)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %.3f | %.3f–%.3f | %.0f | %.0f | %s |\n", r.what, r.against, r.how.Variants, r.how.Policy,
			r.ratio.median, r.ratio.low, r.ratio.high, r.ratio.plain, r.ratio.monitored, r.unit)
	}
	return b.Bytes()
}
