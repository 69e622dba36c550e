// Package servers holds the web servers that tests and benchmarks run, each with a configuration of its own that neither
// forks nor starts threads. It prepares and composes; it starts nothing.
package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/monmod/monmod/test/internal/filetree"
)

// Names and sizes of the pages that every site serves.
const (
	SmallPage = "page4k.html"
	LargePage = "page10m.bin"
	SmallSize = 4 << 10
	LargeSize = 10 << 20
)

// Site is one server's place: what it serves, where it keeps its configuration and logs, its port on 127.0.0.1.
type Site struct {
	Docs string
	Run  string
	Port int
}

// Addr returns the address that the server listens on.
func (s Site) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// Server is one kind of web server.
type Server struct {
	Name    string
	Config  func(Site) string // text of <Run>/server.conf; nil where there is none
	Argv    func(Site) []string
	Log     string // access log below Run, "" where there is none
	Persist bool   // connections are kept open between requests
}

// Prepare writes the server's configuration.
func (s Server) Prepare(site Site) error {
	if s.Config == nil {
		return nil
	}
	if err := os.WriteFile(conf(site), []byte(s.Config(site)), 0o644); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", s.Name, err)
	}
	return nil
}

func conf(site Site) string { return filepath.Join(site.Run, "server.conf") }

// Lighttpd is lighttpd as a single process without modules.
var Lighttpd = Server{
	Name: "lighttpd", Persist: true, Log: "access.log",
	Config: func(s Site) string {
		return fmt.Sprintf(`server.modules = ( "mod_accesslog" )
server.document-root = %q
server.bind = "127.0.0.1"
server.port = %d
server.errorlog = %q
accesslog.filename = %q
accesslog.format = "%%r %%s %%b"
server.max-keep-alive-requests = 100000
server.max-worker = 0
mimetype.assign = ( ".html" => "text/html", ".bin" => "application/octet-stream" )
`, s.Docs, s.Port, filepath.Join(s.Run, "error.log"), filepath.Join(s.Run, "access.log"))
	},
	Argv: func(s Site) []string { return []string{"/usr/sbin/lighttpd", "-D", "-f", conf(s)} },
}

// Nginx is nginx as a single process.
var Nginx = Server{
	Name: "nginx", Persist: true, Log: "access.log",
	Config: func(s Site) string {
		var temps strings.Builder
		for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&temps, "  %s_temp_path %s;\n", name, filepath.Join(s.Run, name))
		}
		return fmt.Sprintf(`daemon off;
master_process off;
pid %s;
error_log stderr warn;
events { worker_connections 512; }
http {
  types { text/html html; application/octet-stream bin; }
  sendfile on;
  keepalive_requests 100000;
  log_format plain '$request $status $body_bytes_sent';
  access_log %s plain;
%s  server { listen 127.0.0.1:%d; root %s; }
}
`, filepath.Join(s.Run, "nginx.pid"), filepath.Join(s.Run, "access.log"), temps.String(), s.Port, s.Docs)
	},
	Argv: func(s Site) []string {
		return []string{"/usr/sbin/nginx", "-e", "stderr", "-p", s.Run, "-c", conf(s)}
	},
}

// Python is the standard library's server, one connection after the other.
var Python = Server{
	Name: "python-http.server",
	Config: func(s Site) string {
		return fmt.Sprintf(`import functools, http.server
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
http.server.HTTPServer.request_queue_size = 128
handler = functools.partial(Quiet, directory=%q)
http.server.HTTPServer(("127.0.0.1", %d), handler).serve_forever()
`, s.Docs, s.Port)
	},
	Argv: func(s Site) []string { return []string{"/usr/bin/python3", conf(s)} },
}

// C returns the tests' own server, as the program built at path: one poll loop, connections kept open.
func C(name, path string) Server {
	return Server{
		Name: name, Persist: true,
		Argv: func(s Site) []string { return []string{path, fmt.Sprint(s.Port), s.Docs} },
	}
}

// WriteDocs fills dir with what every site serves.
func WriteDocs(dir string) error {
	small := append([]byte("<!doctype html>\n"), filetree.Text(41, SmallSize-16)...)
	if err := filetree.WriteFile(filepath.Join(dir, SmallPage), small); err != nil {
		return fmt.Errorf("write the pages: %w", err)
	}
	if err := filetree.WriteFile(filepath.Join(dir, LargePage), filetree.Bytes(42, LargeSize)); err != nil {
		return fmt.Errorf("write the pages: %w", err)
	}
	return nil
}

// held keeps other processes of these tests from the ports that FreePort has returned, as long as this one lives.
var held struct {
	sync.Mutex
	names []net.Listener
}

// FreePort returns a port of 127.0.0.1 that nobody takes before the server does: no other caller of it, and no connection, since
// those begin above (ip_local_port_range).
func FreePort() (int, error) {
	held.Lock()
	defer held.Unlock()
	const first, ports, tries = 12000, 20000, 100
	var last error
	for range tries {
		port := first + rand.N(ports)
		name, err := net.Listen("unix", fmt.Sprintf("@monmod-test-port-%d", port))
		if err != nil {
			last = err
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			last = errors.Join(err, name.Close())
			continue
		}
		held.names = append(held.names, name)
		return port, nil
	}
	return 0, fmt.Errorf("look for a free port: %w", last)
}
