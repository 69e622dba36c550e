// Package scratch gives tests folders with short names that every user may enter: a unix socket fits in them, and a program
// that runs as nobody finds its files.
package scratch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// New makes a folder, with the subfolders run (mode 0700) and state that package target's Env names, and returns its path.
func New() (string, error) {
	dir, err := os.MkdirTemp("", "mm-")
	if err != nil {
		return "", fmt.Errorf("make a folder for a test: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	for _, sub := range []string{"run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Dir makes a folder as New does and removes it at the test's end.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove a test's folder: %v", err)
		}
	})
	return dir
}
