package hosts

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/servers"
)

// A server that listens at a unix socket makes its file, changes its mode and removes it in the end, on every host.
func TestUnixSocketOfAServer(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, limits...)
	site := servers.Site{Docs: w.seen("docs"), Run: w.seen("run"), Port: 8080}
	config := servers.Nginx.Config(site)
	listen := fmt.Sprintf("listen 127.0.0.1:%d;", site.Port)
	if !strings.Contains(config, listen) {
		t.Fatalf("no %q in %s", listen, config)
	}
	config = strings.Replace(config, listen, "listen unix:"+w.seen("run/socket")+";", 1)
	socket := func(h *host) string { return filepath.Join(h.files, "run/socket") }
	w.each(func(h *host) {
		w.must(servers.WriteDocs(filepath.Join(h.files, "docs")))
		w.file(h, "run/server.conf", config)
	})
	argv := servers.Nginx.Argv(site)
	ps := [2]*proc.Process{w.start(w.hosts[0], argv...), w.start(w.hosts[1], argv...)}
	client := http.Client{Timeout: soon, Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.DialTimeout("unix", socket(w.hosts[0]), time.Second)
	}}}
	get := func() (int, error) {
		r, err := client.Get("http://server/" + servers.SmallPage)
		if err != nil {
			return 0, err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		return len(b), err
	}
	for end := time.Now().Add(soon); ; time.Sleep(50 * time.Millisecond) {
		n, err := get()
		if err == nil && n == servers.SmallSize {
			break
		}
		if time.Now().After(end) {
			t.Errorf("the server does not answer at its socket: %d bytes, %v", n, err)
			break
		}
	}
	w.each(func(h *host) {
		if st, err := os.Lstat(socket(h)); err != nil || st.Mode() != os.ModeSocket|0o666 {
			t.Errorf("host %d: the server's socket: %v, %v", h.id, st, err)
		}
	})
	client.CloseIdleConnections()
	w.must(ps[0].Signal(syscall.SIGTERM))
	for i, p := range ps {
		want(t, fmt.Sprintf("host %d", i+1), p.Wait(), 0)
		if _, err := os.Lstat(socket(w.hosts[i])); !os.IsNotExist(err) {
			t.Errorf("host %d: the server has left its socket: %v", i+1, err)
		}
	}
	if t.Failed() {
		t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
	}
}

// The folder of a socket may have a name that each host has drawn for itself.
func TestSocketInADrawnFolder(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	program, err := cprog.Glibc.Compile("c/drawn.c", w.base)
	w.must(err)
	for i, r := range w.run(program) {
		want(t, fmt.Sprintf("host %d", i+1), r, 0)
		if i == 0 && string(r.Stdout) != "140600\n" {
			t.Errorf("the leader's output is %q", r.Stdout)
		}
		if left := describe(t, w.hosts[i]); len(left) > 0 {
			t.Errorf("host %d is left with %q", i+1, left)
		}
	}
	if t.Failed() {
		t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
	}
}
