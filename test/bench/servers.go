package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

// Times that are no part of a measurement.
const (
	startTime = 30 * time.Second
	stopTime  = 15 * time.Second
	warmUp    = time.Second
)

var known = map[string]servers.Server{"lighttpd": servers.Lighttpd, "nginx": servers.Nginx}

// measureServers compares each server's requests per second for the small page.
func measureServers(o options, base string) ([]row, error) {
	docs := filepath.Join(base, "docs")
	if err := servers.WriteDocs(docs); err != nil {
		return nil, err
	}
	var rows []row
	for _, name := range o.servers {
		server, ok := known[name]
		if !ok {
			return rows, fmt.Errorf("measure server %q: it must be lighttpd or nginx", name)
		}
		for _, policy := range o.policies {
			how := target.How{Variants: o.variants, Policy: policy}
			r, err := compare(
				func() (float64, error) { return o.serve(server, base, target.Native) },
				func() (float64, error) { return o.serve(server, base, how) }, o.pairs)
			if err != nil {
				return rows, fmt.Errorf("measure %s, %s: %w", name, how, err)
			}
			rows = append(rows, row{what: name + ", 4 KB page", against: o.against, unit: "requests/s", how: how, ratio: r})
			fmt.Fprintf(os.Stderr, "bench: %s %s: %.3f of %s\n", name, how, r.median, o.against)
		}
	}
	return rows, nil
}

// serve runs the server once under wrk and returns requests per second.
func (o options) serve(server servers.Server, base string, how target.How) (float64, error) {
	port, err := servers.FreePort()
	if err != nil {
		return 0, err
	}
	site := servers.Site{Docs: filepath.Join(base, "docs"), Run: filepath.Join(base, "site"), Port: port}
	if err := os.RemoveAll(site.Run); err != nil {
		return 0, err
	}
	if err := os.Mkdir(site.Run, 0o755); err != nil {
		return 0, err
	}
	if err := server.Prepare(site); err != nil {
		return 0, err
	}
	start := proc.Spec{
		Dir: site.Run, Env: target.Env(base), Argv: how.Argv(base, server.Argv(site)...),
		Deadline: startTime + warmUp + o.duration + time.Minute,
	}
	if o.against == "runc" {
		c, err := newContainer(base, server.Argv(site), how)
		if err != nil {
			return 0, err
		}
		defer c.remove()
		start.Argv = c.argv()
	}
	start.Argv = pinned(o.serverCPU, start.Argv)
	p, err := proc.Start(start)
	if err != nil {
		return 0, err
	}
	defer func() { p.Kill(); p.Wait(); proc.Orphans(stopTime) }()
	if err := servers.Listening(port, startTime, p.Done()); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, ended(p))
	}
	url := fmt.Sprintf("http://%s/%s", site.Addr(), servers.SmallPage)
	if _, err := o.wrk(url, warmUp); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, ended(p))
	}
	rate, err := o.wrk(url, o.duration)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, ended(p))
	}
	// A server that was lost in the middle of the load has no rate, even if wrk reports one.
	select {
	case <-p.Done():
		return 0, fmt.Errorf("the server ended under load: %s", p.Wait())
	default:
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	stop := time.AfterFunc(stopTime, p.Kill)
	defer stop.Stop()
	if r := p.Wait(); r.Status == 70 || r.Status == 128+9 {
		return 0, fmt.Errorf("the server did not end well: %s", r)
	}
	return rate, nil
}

// ended kills a server that failed and returns what it said.
func ended(p *proc.Process) proc.Result {
	p.Kill()
	return p.Wait()
}

var (
	requestRate = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	badAnswers  = regexp.MustCompile(`(?m)^\s*(Non-2xx|Socket errors).*`)
)

func (o options) wrk(url string, length time.Duration) (float64, error) {
	wrk, err := target.Lookup("wrk")
	if err != nil {
		return 0, err
	}
	r, err := proc.Run(proc.Spec{
		Argv: pinned(o.clientCPU, []string{wrk, "-c10", "-t1", fmt.Sprintf("-d%ds", int(length.Seconds())), url}),
		Dir:  "/", Deadline: length + 30*time.Second,
	})
	if err != nil {
		return 0, err
	}
	rate, bad := parseWrk(string(r.Stdout))
	if r.Status != 0 || rate == 0 || bad != "" {
		return 0, fmt.Errorf("load the server: %s %s", bad, r)
	}
	return rate, nil
}

// parseWrk returns the requests per second of wrk's report, 0 where there are none, and its line about failed requests.
func parseWrk(report string) (rate float64, bad string) {
	if m := requestRate.FindStringSubmatch(report); m != nil {
		rate, _ = strconv.ParseFloat(m[1], 64)
	}
	return rate, badAnswers.FindString(report)
}

func pinned(cpus string, argv []string) []string {
	if cpus == "" {
		return argv
	}
	return append([]string{"/usr/bin/taskset", "-c", cpus}, argv...)
}
