// Package filetree generates trees of files that are the same at every run and describes trees so that two can be compared.
package filetree

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// epoch is the time stamp of everything generated.
var epoch = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

// words make text that compresses, sorts and splits as text does.
var words = []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"}

// Text returns size bytes of text, the same for the same seed.
func Text(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 0, size+32)
	for len(out) < size {
		out = fmt.Appendf(out, "%d %s %s %d\n", r.IntN(1_000_000), words[r.IntN(len(words))], words[r.IntN(len(words))], r.IntN(1000))
	}
	return out[:size]
}

// Bytes returns size bytes that do not compress, the same for the same seed.
func Bytes(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// WriteFile writes a file with the generator's time stamp.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, epoch, epoch)
}

// Generate fills dir with dirs folders of files text files each (up to 8 KiB), and with an empty file, a sparse one, links of
// both kinds and a name that is not plain ASCII.
func Generate(dir string, dirs, files int) error {
	for d := range dirs {
		for f := range files {
			seed := uint64(d*files + f)
			size := 1 + int(seed*2654435761%8192)
			if err := WriteFile(filepath.Join(dir, fmt.Sprintf("d%03d/f%03d.txt", d, f)), Text(seed, size)); err != nil {
				return fmt.Errorf("generate tree %s: %w", dir, err)
			}
		}
	}
	odd := filepath.Join(dir, "odd")
	steps := []func() error{
		func() error { return WriteFile(filepath.Join(odd, "empty"), nil) },
		func() error { return WriteFile(filepath.Join(odd, "größe 1"), []byte("text\n")) },
		func() error { return WriteFile(filepath.Join(odd, "sparse"), []byte("head\n")) },
		func() error { return os.Truncate(filepath.Join(odd, "sparse"), 1<<20) },
		func() error { return os.Chtimes(filepath.Join(odd, "sparse"), epoch, epoch) },
		func() error { return os.Link(filepath.Join(odd, "sparse"), filepath.Join(odd, "hard")) },
		func() error { return os.Symlink("../d000/f000.txt", filepath.Join(odd, "soft")) },
		func() error { return os.Symlink("nowhere", filepath.Join(odd, "dangling")) },
		func() error { return os.Chmod(filepath.Join(odd, "empty"), 0o640) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("generate tree %s: %w", dir, err)
		}
	}
	return nil
}

// Describe returns a line for each entry below dir, in the order of names: path, mode, size, content's digest or link's target,
// and with times the time of last change of what is not a folder.
func Describe(dir string, times bool) ([]string, error) {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v", rel, info.Mode())
		switch {
		case info.Mode().IsRegular():
			sum, err := digest(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d bytes %s", info.Size(), sum)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		if times && info.Mode().IsRegular() {
			line += " " + info.ModTime().UTC().Format(time.RFC3339)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("describe tree %s: %w", dir, err)
	}
	return lines, nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}
