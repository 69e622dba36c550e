package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Where the boot protocol keeps the size of the set-up code, and where after it the compressed kernel lies.
const (
	setupSectors  = 0x1f1
	payloadOffset = 0x248
	payloadLength = 0x24c
)

// packers are the programs that unpack kernels and modules, by how packed files begin.
var packers = []struct {
	magic string
	argv  []string
}{
	{"\x1f\x8b", []string{"gzip", "-dc"}},
	{"\xfd7zXZ", []string{"xz", "-dc"}},
	{"\x28\xb5\x2f\xfd", []string{"zstd", "-dc"}},
	{"\x02\x21\x4c\x18", []string{"lz4", "-dc"}},
}

// uncompressed takes the ELF file out of a kernel's boot image. QEMU boots that directly; the image's own decompressor would
// take seconds of emulation.
func uncompressed(image []byte) ([]byte, error) {
	if len(image) < 1024 || string(image[0x202:0x206]) != "HdrS" {
		start := image[:min(8, len(image))]
		return nil, fmt.Errorf("find a kernel in a boot image that has no header HdrS and begins with %x", start)
	}
	from := (int(image[setupSectors]) + 1) * 512
	from += int(binary.LittleEndian.Uint32(image[payloadOffset:]))
	length := int(binary.LittleEndian.Uint32(image[payloadLength:]))
	if length < 8 || from+length > len(image) {
		return nil, fmt.Errorf("find a kernel in a boot image of %d bytes, whose header has it at %d with %d bytes", len(image), from, length)
	}
	packed := image[from : from+length]
	if !bytes.HasPrefix(packed, []byte(packers[0].magic)) {
		packed = packed[:length-4] // the unpacked size, which only gzip has in its own format
	}
	kernel, err := unpacked(packed)
	if err == nil && !bytes.HasPrefix(kernel, []byte("\x7fELF")) {
		err = fmt.Errorf("the unpacked kernel is no ELF file, it begins with %x", kernel[:min(8, len(kernel))])
	}
	return kernel, err
}

// unpacked returns the content of a file packed in a known way, or data itself.
func unpacked(data []byte) ([]byte, error) {
	for _, p := range packers {
		if bytes.HasPrefix(data, []byte(p.magic)) {
			return command("/", data, p.argv...)
		}
	}
	return data, nil
}
