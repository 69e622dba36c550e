package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolderOfLogs: doctor says whether reports can be kept, without making anything, and programs can be run where not.
func TestFolderOfLogs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir   string
		holds bool
		words string
	}{
		{dir, true, dir},
		{filepath.Join(dir, "not/yet"), true, filepath.Join(dir, "not/yet")},
		{file, false, file + ": not a directory"},
		{filepath.Join(file, "below"), false, "not a directory"},
		{filepath.Join(closed, "not/yet"), os.Geteuid() == 0, closed}, // mode bits do not keep root out
	} {
		f := writable(Finding{Name: "logs"}, c.dir)
		if f.Holds != c.holds || !f.Spare || !strings.Contains(f.Words, c.words) || !c.holds && !strings.Contains(f.Words, "--logs") {
			t.Errorf("%s: %+v", c.dir, f)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("looking made something: %v (%v)", left, err)
	}
	found := false
	for _, f := range Diagnose() {
		found = found || f.Name == "logs"
	}
	if !found {
		t.Error("doctor does not look at the folder of logs")
	}
}
