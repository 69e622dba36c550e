// Command generate writes the Go twins of the headers in include/monmod. The list of structures and constants is taken from
// the headers themselves, their layout and values from the C compiler (go tool cgo -godefs); here only names are made Go's.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// headers in the order of their inclusion.
var headers = []string{"monmod/arena.h", "monmod/record.h", "monmod/start.h", "monmod/kmod.h"}

var (
	comment  = regexp.MustCompile(`(?s)/\*.*?\*/`)
	structs  = regexp.MustCompile(`(?sm)^struct (mm_\w+) \{\n(.*?)^\};`)
	defines  = regexp.MustCompile(`(?m)^#define (MM_\w+) \S`)
	enums    = regexp.MustCompile(`(?s)enum \w+ \{(.*?)\}`)
	enumName = regexp.MustCompile(`(MM_\w+)\s*=`)
	members  = regexp.MustCompile(`(?m)^\t(?:struct )?\w+ ([^;]+);`)
	member   = regexp.MustCompile(`^\w+`)
	twin     = regexp.MustCompile(`(?sm)^type (\w+) struct \{\n(.*?)^\}`)
	field    = regexp.MustCompile(`(?m)^\t\w+`)
)

func main() {
	include := flag.String("headers", "include", "folder that holds monmod/*.h")
	out := flag.String("out", "-", "file to write, - for standard output")
	flag.Parse()
	if err := run(*include, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(include, out string) error {
	include, err := filepath.Abs(include)
	if err != nil {
		return err
	}
	text, err := readHeaders(include)
	if err != nil {
		return err
	}
	raw, err := godefs(include, cgoInput(text))
	if err != nil {
		return err
	}
	twins, err := rename(raw, fields(text))
	if err != nil {
		return err
	}
	if out == "-" {
		_, err = os.Stdout.Write(twins)
		return err
	}
	return os.WriteFile(out, twins, 0o644)
}

// readHeaders is the text of all headers without comments.
func readHeaders(include string) ([]byte, error) {
	var text []byte
	for _, h := range headers {
		b, err := os.ReadFile(filepath.Join(include, h))
		if err != nil {
			return nil, fmt.Errorf("read a header: %w", err)
		}
		text = append(text, comment.ReplaceAll(b, nil)...)
	}
	return text, nil
}

// fields are the names of each structure's members in Go, by the structure's name in Go.
func fields(text []byte) map[string][]string {
	out := make(map[string][]string)
	for _, s := range structs.FindAllSubmatch(text, -1) {
		var names []string
		for _, m := range members.FindAllSubmatch(s[2], -1) {
			for _, one := range strings.Split(string(m[1]), ",") {
				names = append(names, camel(member.FindString(strings.TrimSpace(one))))
			}
		}
		out[typeName(string(s[1]))] = names
	}
	return out
}

// cgoInput names every structure, #define with a value and enumerator of the headers.
func cgoInput(text []byte) []byte {
	var in bytes.Buffer
	in.WriteString("package abi\n\n/*\n")
	for _, h := range headers {
		fmt.Fprintf(&in, "#include <%s>\n", h)
	}
	in.WriteString("*/\nimport \"C\"\n\n")
	for _, m := range structs.FindAllSubmatch(text, -1) {
		fmt.Fprintf(&in, "type %s C.struct_%s\n", typeName(string(m[1])), m[1])
	}
	constant := func(name []byte) { fmt.Fprintf(&in, "const %s = C.%s\n", camel(string(name[len("MM_"):])), name) }
	for _, m := range defines.FindAllSubmatch(text, -1) {
		constant(m[1])
	}
	for _, body := range enums.FindAllSubmatch(text, -1) {
		for _, m := range enumName.FindAllSubmatch(body[1], -1) {
			constant(m[1])
		}
	}
	return in.Bytes()
}

func godefs(include string, input []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "monmod-abi-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "input.go"), input, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "tool", "cgo", "-godefs", "-objdir", filepath.Join(dir, "obj"), "--", "-I"+include, "input.go")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "GOARCH=amd64")
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool cgo -godefs (it needs a C compiler): %w", err)
	}
	_, body, found := bytes.Cut(raw, []byte("package abi\n"))
	if !found {
		return nil, fmt.Errorf("go tool cgo -godefs wrote no package clause")
	}
	return append([]byte("// Code generated from include/monmod by generate; DO NOT EDIT.\n\npackage abi\n"), body...), nil
}

// rename gives the members their own names back, which cgo shortens where they share a prefix, and formats.
func rename(raw []byte, names map[string][]string) ([]byte, error) {
	var wrong error
	raw = twin.ReplaceAllFunc(raw, func(decl []byte) []byte {
		m := twin.FindSubmatch(decl)
		own, i := names[string(m[1])], 0
		decl = field.ReplaceAllFunc(decl, func([]byte) []byte {
			if i++; i > len(own) {
				return []byte("\t_")
			}
			return []byte("\t" + own[i-1])
		})
		if i != len(own) {
			wrong = fmt.Errorf("%s has %d members in the header and %d in the compiler's layout: is there hidden padding", m[1], len(own), i)
		}
		return decl
	})
	if wrong != nil {
		return nil, wrong
	}
	return format.Source(raw)
}

// typeName drops mm_ and, where something follows it, msg_: the names of the constants have that already.
func typeName(c string) string {
	name := strings.TrimPrefix(c, "mm_")
	return camel(strings.TrimPrefix(name, "msg_"))
}

// camel turns a_b and A_B into AB; a name that is camel case already stays.
func camel(c string) string {
	var out strings.Builder
	for _, word := range strings.Split(c, "_") {
		if word == "" {
			continue
		}
		if strings.ToUpper(word) == word {
			word = strings.ToLower(word)
		}
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}
