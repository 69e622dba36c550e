package guest

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed initramfs.sh
var initramfsScript []byte

// bootDrivers are what a guest needs before it has its disks, and the network card, which the tests' images hold no module for.
var bootDrivers = []string{"virtio_pci", "virtio_blk", "ext4", "overlay", "virtio_console", "virtio_net"}

// initramfs returns the path of the first file system of a guest with kernel f.
func initramfs(f *Fetched) (string, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%q", initramfsScript, bootDrivers))
	return cached(fmt.Sprintf("initramfs-%s-%x", f.Release, sum[:6]), func(path string) error {
		tree := path + "-tree"
		for _, dir := range []string{"bin", "drivers", "proc", "sys", "dev", "lower", "upper", "root"} {
			if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
				return err
			}
		}
		busybox, err := os.ReadFile("/bin/busybox")
		if err != nil {
			return fmt.Errorf("%w: install busybox-static", err)
		}
		drivers, err := f.drivers(bootDrivers)
		if err != nil {
			return err
		}
		files := []driver{{"init", initramfsScript}, {"bin/busybox", busybox}}
		for i, d := range drivers {
			files = append(files, driver{fmt.Sprintf("drivers/%03d-%s.ko", i, d.name), d.data})
		}
		var names strings.Builder
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(tree, file.name), file.data, 0o755); err != nil {
				return err
			}
		}
		err = filepath.WalkDir(tree, func(p string, _ os.DirEntry, err error) error {
			if rel, _ := filepath.Rel(tree, p); err == nil && rel != "." {
				names.WriteString(rel + "\n")
			}
			return err
		})
		if err != nil {
			return err
		}
		archive, err := command(tree, []byte(names.String()), "cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0")
		if err != nil {
			return err
		}
		return os.WriteFile(path, archive, 0o644) // not packed: unpacking is emulated, reading is not
	})
}
