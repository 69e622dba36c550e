package runtime

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/monmod/monmod/internal/words"
)

// fail tells the engine why a command failed: one entry in the log file that it
// named, in the form that it asked for, and the same words on stderr. It is the
// only thing ever written there: podman takes a log of two lines for garbage,
// containerd reads the last error in it.
func fail(inv *Invocation, stderr io.Writer, err error) {
	message := words.Message(err.Error()) // docker prints it as it is
	fmt.Fprintln(stderr, message)
	if inv == nil {
		return
	}
	path, ok := inv.Global("log")
	if !ok || path == "" {
		return
	}
	// crun takes a kind before the path.
	if kind, rest, ok := strings.Cut(path, ":"); ok && !strings.Contains(kind, "/") {
		if kind != "file" {
			return
		}
		path = rest
	}
	if err := appendLog(path, entry(inv, message)); err != nil {
		fmt.Fprintf(stderr, "write the log: %s\n", words.Message(err.Error()))
	}
}

func entry(inv *Invocation, message string) []byte {
	now := time.Now().UTC().Format(time.RFC3339)
	if format, _ := inv.Global("log-format"); format != "json" {
		return fmt.Appendf(nil, "time=%q level=error msg=%q\n", now, message)
	}
	data, err := json.Marshal(struct {
		Level   string `json:"level"`
		Message string `json:"msg"`
		Time    string `json:"time"`
	}{"error", message, now})
	if err != nil {
		return nil
	}
	return append(data, '\n')
}

func appendLog(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(line)
	return err
}
