package runtime

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/monmod/monmod/internal/version"
)

// version prints the low-level runtime's version with this program's own behind the first line. Engines take the first line for
// the runtime's, and dockerd the last one that holds the word "version", so neither is touched.
func (w *wrapper) version(inv *Invocation) error {
	out, err := runLowLevel(w.lowLevel, inv.Args...)
	if err != nil {
		return err
	}
	first, rest, ok := bytes.Cut(out, []byte("\n"))
	if !ok {
		return errors.New("the low-level runtime printed no line")
	}
	_, err = fmt.Fprintf(w.stdout, "%s\nmonmod-runtime: %s\n%s", first, version.Number, rest)
	return err
}

// asksVersion reports whether a command line does nothing but ask for the version.
func (i *Invocation) asksVersion() bool {
	_, asked := i.global["version"]
	_, help := i.global["help"]
	return asked && !help && i.Command == "" && i.Doubt == ""
}
