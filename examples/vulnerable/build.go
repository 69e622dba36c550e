// Package vulnerable builds the small vulnerable server that the attack suite and the demo attack. The server is C
// (in server/); only how it is built lives here, the exploits are in package exploit.
package vulnerable

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed server/server.c
var source []byte

//go:embed server/Makefile
var makefile []byte

// Programs are the two builds of the server, as absolute paths.
type Programs struct {
	PIE   string // the target: every variant has its code elsewhere
	NoPIE string // the control: every variant has its code at the same addresses
}

// Build compiles the server into dir, which must exist, with make and gcc.
func Build(ctx context.Context, dir string) (Programs, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Programs{}, fmt.Errorf("building the vulnerable server: %w", err)
	}
	for name, content := range map[string][]byte{"server.c": source, "Makefile": makefile} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return Programs{}, fmt.Errorf("building the vulnerable server: %w", err)
		}
	}
	if out, err := exec.CommandContext(ctx, "make", "-C", dir, "all").CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("building the vulnerable server (needs make, gcc and libc6-dev): %w\n%s", err, out)
	}
	return Programs{
		PIE:   filepath.Join(dir, "vulnerable-server"),
		NoPIE: filepath.Join(dir, "vulnerable-server-nopie"),
	}, nil
}
