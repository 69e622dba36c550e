package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/monmod/monmod/internal/ociimage"
)

// imageName is the one image of the tests: a web server, and small programs beside it.
const imageName = "mm-engines:1"

// lighttpdConf starts nothing but the server itself: Debian's own configuration runs shell scripts, which fork.
const lighttpdConf = `server.document-root = "/srv/www"
server.bind = "127.0.0.1"
server.port = env.PORT
server.upload-dirs = ( "/tmp" )
server.modules = ( "mod_indexfile" )
index-file.names = ( "index.html" )
`

var page = strings.Repeat("Every call of this server was cross-checked.\n", 91)

// makeImage writes the image's layout and archive.
func makeImage(ctx context.Context) (err error) {
	programs := map[string]string{"/bin/busybox": "/usr/bin/busybox"}
	for _, name := range []string{"cat", "echo", "env", "false", "id", "pwd", "sleep", "touch", "uname"} {
		programs["/usr/bin/"+name] = "/usr/bin/" + name
	}
	image := ociimage.Image{
		Name:     imageName,
		Packages: []string{"lighttpd"},
		Programs: programs,
		Files: map[string]string{
			"/etc/web/lighttpd.conf": lighttpdConf,
			"/srv/www/index.html":    page,
			"/etc/plain":             "no program\n",
		},
		Command: []string{"/usr/sbin/lighttpd", "-D", "-f", "/etc/web/lighttpd.conf"},
		Env:     []string{"PORT=8080", "COLOUR=grey"},
	}
	dir := filepath.Join(tests.dir, "image")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if tests.layout, err = image.Write(ctx, dir); err != nil {
		return err
	}
	tests.archive = filepath.Join(dir, "image.tar")
	if err := tests.layout.Archive(ctx, imageName, tests.archive); err != nil {
		return fmt.Errorf("make the tests' image: %w", err)
	}
	return nil
}
