package library

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/abi"
)

// A fuzz target of c/ and the inputs that it starts from, beside those of testdata/<name>, which once broke something.
var targets = []struct {
	name  string
	seeds func() [][]byte
}{
	{"fuzz_stream", streams},
	{"fuzz_start", starts},
	{"fuzz_code", codes},
}

// TestFuzz runs each target of the sanitizer build for a few seconds; MONMOD_FUZZ=10m makes it as long as that.
func TestFuzz(t *testing.T) {
	length := 5 * time.Second
	if s := os.Getenv("MONMOD_FUZZ"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < time.Second {
			t.Fatalf("MONMOD_FUZZ=%s: not a duration of a second or more, as in 90s or 10m", s)
		}
		length = d
	}
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			corpus, artifacts := t.TempDir(), t.TempDir()
			for i, seed := range target.seeds() {
				if err := os.WriteFile(filepath.Join(corpus, fmt.Sprintf("seed-%d", i)), seed, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{fmt.Sprintf("-max_total_time=%d", length/time.Second), "-max_len=8192", "-timeout=20", "-rss_limit_mb=2048",
				"-artifact_prefix=" + artifacts + "/", corpus}
			if once, err := filepath.Abs(filepath.Join("testdata", target.name)); err == nil && exists(once) {
				args = append(args, once)
			}
			ctx, cancel := context.WithTimeout(context.Background(), length+patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, filepath.Join(built, target.name), args...)
			cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				found, _ := filepath.Glob(filepath.Join(artifacts, "*"))
				for _, f := range found {
					input, _ := os.ReadFile(f)
					t.Errorf("the input, for testdata/%s: %x", target.name, input)
				}
				text := out.Bytes()
				t.Fatalf("%v\n%s", err, text[max(0, len(text)-6000):])
			}
			t.Logf("%s", regexp.MustCompile(`(?m)^#\d+\s+DONE.*$`).Find(out.Bytes()))
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The calls of c/fuzz_stream.c; a seed for each: the record that it agrees with, and a result behind it.
const streamCalls = 27

func streams() [][]byte {
	const agree, header, result, signal, data, ahead = 1, 2, 2 << 4, 4 << 4, 3 << 4, 8
	step := func(call, flags byte, body []byte) []byte {
		b := []byte{call, flags, byte(len(body)), byte(len(body) >> 8), 64, 0, 0, 0}
		return append(b, body...)
	}
	record := func(body ...byte) []byte { return append(make([]byte, 32), body...) }
	reply := func(ret int64, outs ...[]byte) []byte {
		b := binary.LittleEndian.AppendUint64(record(), uint64(ret))
		b = append(b, make([]byte, 16)...)
		b = append(b, 1, 0, byte(len(outs)), 0, 0, 0, 0, 0)
		b = append(b, make([]byte, 16)...)
		for i, o := range outs {
			b = binary.LittleEndian.AppendUint32(b, uint32(i))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(o)))
			b = binary.LittleEndian.AppendUint64(b, uint64(len(o)))
			b = append(b, o...)
			b = append(b, make([]byte, -len(o)&7)...)
		}
		return b
	}
	var seeds [][]byte
	for call := range byte(streamCalls) {
		for _, body := range [][]byte{reply(0), reply(-11), reply(16, make([]byte, 16)), reply(1, make([]byte, 12)), reply(9),
			reply(0, make([]byte, 144)), reply(0, make([]byte, 8)), reply(0, make([]byte, 4)), reply(2, make([]byte, 40), make([]byte, 64))} {
			seeds = append(seeds, append([]byte{0}, step(call, agree|header|result, body)...))
		}
	}
	info := make([]byte, 128)
	interrupted := record(info...)
	interrupted[6] = 10
	seeds = append(seeds,
		append([]byte{0}, append(step(24, agree|header|result, reply(0)), step(17, header|signal, interrupted)...)...),
		append([]byte{2}, append(step(0, agree|header|result|ahead, reply(100)), step(0, header|data, record(make([]byte, 104)...))...)...))
	return seeds
}

// A start message that holds, every section of a start state, and a program of two segments.
func starts() [][]byte {
	var state []byte
	var file bytes.Buffer
	section := func(tag uint32, body []byte) { state = abi.AppendSection(state, tag, body) }
	section(abi.SecArgv, []byte("/bin/program\x00arg\x00"))
	section(abi.SecEnvp, []byte("PATH=/bin:/usr/bin\x00A=b\x00"))
	section(abi.SecCwd, []byte("/tmp"))
	section(abi.SecFds, make([]byte, 32))
	section(abi.SecLimits, make([]byte, 256))
	section(abi.SecProcess, make([]byte, 32))
	section(abi.SecPolicy, make([]byte, 200))
	section(abi.SecRules, []byte("\xff\xff\x01\x01\x04\x00\x00\x00/etc\x00\x00\x00\x00"))
	section(abi.SecMounts, make([]byte, 32))
	state = abi.AppendEnd(state)

	header := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1}, Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64),
		Phoff: 64, Phentsize: 56, Phnum: 3, Entry: 0x1000}
	binary.Write(&file, binary.LittleEndian, header)
	binary.Write(&file, binary.LittleEndian, []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: 0x200, Memsz: 0x200},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: 0x100, Vaddr: 0x3100, Filesz: 0x80, Memsz: 0x2000},
		{Type: uint32(elf.PT_INTERP), Off: 0x180, Filesz: 8, Memsz: 8},
	})
	file.Write(make([]byte, 0x200-file.Len()))

	start := make([]byte, binary.Size(abi.Start{}))
	var seeds [][]byte
	for _, role := range []byte{1, 2} {
		start[0], start[12] = role, 1
		binary.LittleEndian.PutUint32(start[16:], abi.RingMin)
		for _, script := range []string{"", "#!/bin/program -x\n"} {
			seed := []byte{5, byte(len(state)), byte(len(state) >> 8), 0}
			seed = append(append(seed, start...), state...)
			if script != "" {
				seed = append(seed, script...)
			} else {
				seed = append(seed, file.Bytes()...)
			}
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// codes are small libraries whose code holds bytes that open a protection key, with where their code begins.
func codes() [][]byte {
	var seeds [][]byte
	for _, body := range []string{
		".byte 0x41, 0xc1, 0xc0, 0x0f, 0x01, 0xef", // rol $15, %r8d; add %ebp, %edi
		".byte 0x48, 0x8d, 0x05, 0x0f, 0xae, 0x28, 0x00",
		".byte 0xe9, 0x0f, 0xae, 0x2f, 0x00",
		"mov $0xee, %eax; xor %edx, %edx; xrstor 0x40(%rsp)",
		"xor %ecx, %ecx; xor %edx, %edx; wrpkru",
	} {
		file, err := assemble(".text\n.globl f\nf: .cfi_startproc\ntest %edi, %edi\njz 1f\n" + body + "\n1: ret\n.cfi_endproc\n")
		if err != nil {
			panic(err)
		}
		text, err := elf.NewFile(bytes.NewReader(file))
		if err != nil {
			panic(err)
		}
		at := text.Section(".text").Offset / 16
		seeds = append(seeds, append([]byte{byte(at), byte(at >> 8)}, file...))
	}
	return seeds
}

// assemble makes a small shared library of a text.
func assemble(text string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "monmod-assemble-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	so := filepath.Join(dir, "so")
	gcc := exec.Command("gcc", "-x", "assembler", "-", "-shared", "-nostdlib", "-s", "-Wl,-z,noseparate-code,-z,norelro,--hash-style=sysv,--build-id=none", "-o", so)
	gcc.Stdin = strings.NewReader(text)
	if out, err := gcc.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("assemble: %w\n%s", err, out)
	}
	return os.ReadFile(so)
}
