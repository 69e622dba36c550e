package programs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/monmod/monmod/test/internal/target"
)

// Journal keeps how every run of a soak ended, one file per workload and load, so that an interrupted soak goes on where it
// was. Its folder is named after the built files: runs of different builds are never counted together.
type Journal struct{ dir string }

// OpenJournal makes the folder of the present build's journal below the build folder.
func OpenJournal() (Journal, error) {
	sum := sha256.New()
	for _, name := range []string{"monmod", "libmonmod.so"} {
		f, err := os.Open(target.Built(name))
		if err != nil {
			return Journal{}, fmt.Errorf("name the journal of a soak: %w", err)
		}
		_, err = io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return Journal{}, fmt.Errorf("name the journal of a soak: %w", err)
		}
	}
	dir := target.Built(filepath.Join("soak", fmt.Sprintf("%.8x", sum.Sum(nil))))
	return Journal{dir}, os.MkdirAll(dir, 0o755)
}

func (j Journal) path(workload, load string) string {
	return filepath.Join(j.dir, strings.ReplaceAll(workload, " ", "_")+"."+soakName(load))
}

// Add appends one run: number of variants, policy and verdict.
func (j Journal) Add(c Cell, v Verdict) error {
	f, err := os.OpenFile(j.path(c.Workload, c.Load), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("write the journal of a soak: %w", err)
	}
	_, err = fmt.Fprintf(f, "%d %s %s\n", c.How.Variants, c.How.Policy, v)
	return errors.Join(err, f.Close())
}

// Read adds the runs of one workload under one load to r. No file is no run.
func (j Journal) Read(workload, load string, r *Results) error {
	path := j.path(workload, load)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal of a soak: %w", err)
	}
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		how, v, err := parseRun(string(line))
		if err != nil {
			return fmt.Errorf("read the journal of a soak: %s:%d: %w; remove the file to run this workload anew", path, n, err)
		}
		r.Add(Cell{workload, how, load}, v)
	}
	return nil
}

func parseRun(line string) (target.How, Verdict, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 || !strings.HasSuffix(line, "\n") {
		return target.How{}, 0, fmt.Errorf("%q is not variants, policy and verdict", line)
	}
	variants, err := strconv.Atoi(fields[0])
	if err != nil {
		return target.How{}, 0, err
	}
	for v := Same; v <= Diverged; v++ {
		if v.String() == fields[2] {
			return target.How{Variants: variants, Policy: fields[1]}, v, nil
		}
	}
	return target.How{}, 0, fmt.Errorf("%q is no verdict", fields[2])
}

func soakName(load string) string {
	if load == "" {
		return "quiet"
	}
	return "loaded"
}
