package control

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Names of files inside a container's folder.
const (
	PlanFile   = "plan.json"
	SocketFile = "control.sock"
	LogFile    = "log"
	// DevDir is bound at /dev/monmod inside the variant. It holds the mount
	// point of the library and the socket on which the library says hello.
	DevDir = "dev"
	// HelloFile is the socket of the library inside DevDir.
	HelloFile = "sock"
	// LibraryFile is the mount point of the library inside DevDir.
	LibraryFile = "libmonmod.so"
)

// StateDir is where running groups keep their state: /run/monmod for root,
// $XDG_RUNTIME_DIR/monmod (or a folder of the user's own below the temporary
// folder) for everyone else.
func StateDir() string {
	if os.Geteuid() == 0 {
		return "/run/monmod"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "monmod")
	}
	return filepath.Join(os.TempDir(), "monmod-"+strconv.Itoa(os.Geteuid()))
}

// ContainersDir holds one folder per monitored container.
func ContainersDir() string { return filepath.Join(StateDir(), "containers") }

// ContainerDir is the folder of one monitored container. id must be valid.
func ContainerDir(id string) string { return filepath.Join(ContainersDir(), id) }

// FollowersRoot is the state folder of the low-level runtime for followers
// that are derived from one bundle, apart from every engine's own.
func FollowersRoot() string { return filepath.Join(StateDir(), "runc") }

// What runc takes as an ID, and no longer than a file name with its suffixes.
var idPattern = regexp.MustCompile(`^[\w+.-]{1,200}$`)

// CheckID reports whether id can name a container: it becomes a folder's name.
func CheckID(id string) error {
	if !idPattern.MatchString(id) || id == "." || id == ".." {
		return fmt.Errorf("container ID %q: use 1 to 200 letters, digits and any of \"_+-.\"", id)
	}
	return nil
}
