package runtime

import (
	"errors"
	"strings"
)

// programError is a fault of the container's program, which engines tell by
// the words in it: exit code 127 or 126.
type programError struct{ error }

func (e programError) Unwrap() error { return e.error }

// otherWords replaces what engines take for a fault of the program.
var otherWords = strings.NewReplacer(
	"executable file not found", "program not found",
	"no such file or directory", "it does not exist",
	"permission denied", "access is refused",
	"operation not permitted", "the kernel does not allow it",
	"not a directory", "a part of the path is no folder",
)

// engineWords renders an error for an engine. Only a programError may use the
// words by which docker and podman choose an exit code: a library that is
// missing on the host is not a missing program.
func engineWords(err error) string {
	if p := (programError{}); errors.As(err, &p) {
		return err.Error()
	}
	return otherWords.Replace(err.Error())
}
