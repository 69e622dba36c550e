package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monmod/monmod/internal/ociimage"
)

const (
	variants = 2
	pageSize = 4 << 10
	pages    = 50 // fetched from the web server

	statusLimit = 5 * time.Second
)

// lighttpdConf starts nothing but the server itself: Debian's own configuration runs shell scripts, which fork.
const lighttpdConf = `server.document-root = "/srv/www"
server.bind = "127.0.0.1"
server.port = env.PORT
server.modules = ( "mod_indexfile" )
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8" )
`

func page() string {
	const head, tail = "<!doctype html>\n<title>monmod</title>\n<p>", "</p>\n"
	words := strings.Repeat("Every system call of this server was cross-checked. ", pageSize)
	return head + words[:pageSize-len(head)-len(tail)] + tail
}

func webImage() ociimage.Image {
	return ociimage.Image{
		Name:       "demo-web:1",
		Packages:   []string{"lighttpd"},
		Files:      map[string]string{"/etc/web/lighttpd.conf": lighttpdConf, "/srv/www/index.html": page()},
		Entrypoint: []string{"/usr/sbin/lighttpd", "-D", "-f", "/etc/web/lighttpd.conf"},
		Env:        []string{"PORT=8080"},
		User:       "33:33",
	}
}

// serve runs Debian's lighttpd as variants, fetches pages and shows what was cross-checked.
func (d *demo) serve(ctx context.Context) (err error) {
	say("1. Debian's lighttpd, as %d variants under %s", variants, d.engine.name())
	port, err := freePort()
	if err != nil {
		return err
	}
	server, err := d.start(ctx, container{
		id: "monmod-demo-web", image: webImage(), variants: variants,
		env: map[string]string{"PORT": strconv.Itoa(port)}, program: "lighttpd", port: port,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	if err := fetch(ctx, "http://"+server.address()+"/"); err != nil {
		return err
	}
	return d.showCrossChecked(ctx, server.program)
}

// fetch gets the page with curl, many times on one connection, and compares every byte.
func fetch(ctx context.Context, url string) error {
	arguments := []string{"--silent", "--show-error", "--fail", "--max-time", "30"}
	for range pages {
		arguments = append(arguments, url)
	}
	cmd := exec.CommandContext(ctx, "curl", arguments...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	got, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("fetching %s with curl: %w\n%s", url, err, complaint.Bytes())
	}
	if string(got) != strings.Repeat(page(), pages) {
		return fmt.Errorf("fetching %s %d times with curl: %d bytes came, and not those of the page", url, pages, len(got))
	}
	tell("curl fetched the page of %d bytes %d times; every byte is right", pageSize, pages)
	return nil
}

// group is what the demo shows of a group, by the names that monmod ps --json gives it.
type group struct {
	Group     string `json:"group"`
	Policy    string `json:"policy"`
	Backend   string `json:"backend"`
	Program   string `json:"program"`
	Published uint64 `json:"published_bytes"`
	Variants  []struct {
		ID       int    `json:"id"`
		Role     string `json:"role"`
		State    string `json:"state"`
		Compared uint64 `json:"compared"`
		Done     uint64 `json:"done"`
		Counters struct {
			Calls         uint64            `json:"calls"`
			Local         uint64            `json:"local"`
			Compared      uint64            `json:"compared"`
			Exempt        uint64            `json:"exempt"`
			BytesCompared uint64            `json:"bytes_compared"`
			BytesSent     uint64            `json:"bytes_replicated"`
			Waits         uint64            `json:"waits"`
			ByClass       map[string]uint64 `json:"by_class"`
		} `json:"counters"`
	} `json:"variants"`
}

// showCrossChecked prints what has been cross-checked in the groups that run the program. A page takes a read and a write at
// least: when fewer calls than that were compared, some page was served without.
func (d *demo) showCrossChecked(ctx context.Context, program string) error {
	say("What was cross-checked")
	for limit := time.Now().Add(statusLimit); ; time.Sleep(100 * time.Millisecond) {
		groups, err := d.groups(ctx, program)
		if err != nil {
			return err
		}
		var compared uint64
		for _, g := range groups {
			for _, v := range g.Variants {
				compared = max(compared, v.Compared)
			}
		}
		if compared >= 2*pages {
			show(groups)
			return nil
		}
		// A supervisor tells its numbers once in a while.
		if time.Now().After(limit) {
			show(groups)
			return fmt.Errorf("%d calls of %s were cross-checked, which is too few for %d pages: see monmod ps --json", compared, program, pages)
		}
	}
}

// groups are those that run the program.
func (d *demo) groups(ctx context.Context, program string) ([]group, error) {
	out, err := exec.CommandContext(ctx, d.monmod, "ps", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("asking monmod for the groups that run: monmod ps --json: %w", err)
	}
	var groups []group
	if err := json.Unmarshal(out, &groups); err != nil {
		return nil, fmt.Errorf("reading what monmod ps --json printed: %w\n%s", err, out)
	}
	return slices.DeleteFunc(groups, func(g group) bool { return filepath.Base(g.Program) != program }), nil
}

func show(groups []group) {
	for _, g := range groups {
		tell("group %s, policy %s, back end %s: %d bytes of records from the leader", g.Group, g.Policy, g.Backend, g.Published)
		for _, v := range g.Variants {
			c := v.Counters
			line := fmt.Sprintf("%d calls: %d cross-checked, %d by each for itself, %d exempt by the policy", c.Calls, c.Compared, c.Local, c.Exempt)
			if rest := int64(c.Calls - c.Compared - c.Local - c.Exempt); rest > 0 { // counted when it ends, or never where the table does not have it
				line += fmt.Sprintf(", %d under way or unknown", rest)
			}
			tell("variant %d, %s, %s: %s; %d bytes compared, %d replicated, %d waits", v.ID, v.Role, v.State, line, c.BytesCompared, c.BytesSent, c.Waits)
			classes := make([]string, 0, len(c.ByClass))
			for _, name := range slices.Sorted(maps.Keys(c.ByClass)) {
				classes = append(classes, fmt.Sprintf("%s %d", name, c.ByClass[name]))
			}
			// The class is the call's row in the table. A call of another row can be each variant's own by its arguments, as mmap of
			// no file is, so that local is less here than above.
			tell("  the same by class in docs/syscalls.md, before a look at their arguments: %s", strings.Join(classes, ", "))
		}
	}
}
