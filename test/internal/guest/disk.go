package guest

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init.sh
var initScript []byte

// writeDisk writes the archive that a guest finds as its second disk: the files of o, its script and what runs that.
func writeDisk(path string, f *Fetched, o Options, address string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := tar.NewWriter(file)
	drivers, err := f.drivers(o.Drivers)
	if err != nil {
		return err
	}
	own := []driver{{"init", initScript}, {"script", []byte(o.Script)}, {"address", []byte(address)}}
	for i, d := range drivers {
		own = append(own, driver{fmt.Sprintf("drivers/%03d-%s.ko", i, d.name), d.data})
	}
	for _, d := range own {
		if err := add(w, &tar.Header{Name: ".guest/" + d.name, Mode: 0o755, Size: int64(len(d.data))}, bytes.NewReader(d.data)); err != nil {
			return err
		}
	}
	var places []string
	for place := range o.Files {
		places = append(places, place)
	}
	slices.Sort(places)
	for _, place := range places {
		if err := addTree(w, place, o.Files[place]); err != nil {
			return fmt.Errorf("give %s to a guest as %s: %w", o.Files[place], place, err)
		}
	}
	return w.Close()
}

// addTree adds a file or folder. Links are followed where they are what the caller named, and kept below it.
func addTree(w *tar.Writer, place, host string) error {
	host, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(host, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, path)
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Name = strings.TrimPrefix(filepath.Join(place, rel), "/")
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		if !info.Mode().IsRegular() {
			return add(w, header, nil)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		return add(w, header, in)
	})
}

func add(w *tar.Writer, header *tar.Header, content io.Reader) error {
	if err := w.WriteHeader(header); err != nil || content == nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}

// readArchive returns the regular files of what a guest sent.
func readArchive(path string) (map[string][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found := map[string][]byte{}
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		found[header.Name] = content
	}
}
