package library

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared is a shared object of this machine that can be executed, as the library is.
const shared = "/bin/true"

// TestCheck: what is whole is taken, and what is cut off anywhere, damaged or something else is not, in words.
func TestCheck(t *testing.T) {
	whole, err := os.ReadFile(shared)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(shared); err != nil {
		t.Fatalf("a shared object that is whole: %v", err)
	}
	changed := func(change func([]byte)) []byte {
		b := bytes.Clone(whole)
		change(b)
		return b
	}
	// Without its table of sections, as a stripped library could be, only the segments say how long it is.
	sectionless := changed(func(b []byte) { clear(b[40:48]); clear(b[58:64]) })
	if err := Check(put(t, sectionless)); err != nil {
		t.Fatalf("a shared object without sections: %v", err)
	}
	for name, b := range map[string][]byte{
		"empty":                    nil,
		"a text":                   []byte("#!/bin/sh\n"),
		"a header's beginning":     whole[:40],
		"a header alone":           whole[:64],
		"half of it":               whole[:len(whole)/2],
		"all but the last byte":    whole[:len(whole)-1],
		"half of it, no sections":  sectionless[:len(whole)/2],
		"zeroes":                   make([]byte, len(whole)),
		"another processor":        changed(func(b []byte) { binary.LittleEndian.PutUint16(b[18:], uint16(elf.EM_AARCH64)) }),
		"no shared object":         changed(func(b []byte) { binary.LittleEndian.PutUint16(b[16:], uint16(elf.ET_REL)) }),
		"entered where nothing is": changed(func(b []byte) { binary.LittleEndian.PutUint64(b[24:], 1<<40) }),
	} {
		path := put(t, b)
		if err := Check(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "install it again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none"), os.DevNull} {
		if err := Check(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
}

func put(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libmonmod.so")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
