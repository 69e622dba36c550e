// Command gen writes what the table of system calls is turned into: the library's C tables and docs/syscalls.md.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/syscalls"
)

func main() {
	table := flag.String("table", "", "C header to write")
	docs := flag.String("docs", "", "Markdown page to write")
	flag.Parse()
	for path, text := range map[string][]byte{*table: cTables(), *docs: markdown()} {
		if path == "" {
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			log.Fatalf("writing generated file %s: %v", path, err)
		}
	}
}

var kindC = []string{"NONE", "U64", "INT", "FD", "DIRFD", "PTR", "SKIP", "PATH", "IN", "OUT", "OUTRET", "IO", "IOVIN", "IOVOUT",
	"ADDRIN", "ADDROUT", "LENP", "SIGSET", "BITS", "POLLS"}
var classC = []string{"ALL", "LEADER", "BYFD", "BYPATH", "LOCAL", "SPECIAL", "ABSENT", "ENDS"}

func errnoOf(name string) int {
	for n := 1; n < 200; n++ {
		if unix.ErrnoName(unix.Errno(n)) == name {
			return n
		}
	}
	if name != "" {
		log.Fatalf("error number %q: unknown", name)
	}
	return 0
}

func cTables() []byte {
	var b bytes.Buffer
	p := func(f string, a ...any) { fmt.Fprintf(&b, f, a...) }
	p("/* SPDX-License-Identifier: Apache-2.0 */\n/* Code generated from internal/syscalls/table.go; DO NOT EDIT. */\n")
	p("#ifndef MONMOD_TABLE_GEN_H\n#define MONMOD_TABLE_GEN_H\n\n#include \"table.h\"\n\n/* clang-format off */\nenum mm_nr {\n")
	for i, r := range syscalls.Table {
		p("\tMM_NR_%s = %d,\n", r.Name, i)
	}
	p("\tMM_NR_COUNT = %d,\n};\n\nstatic const struct mm_row mm_rows[MM_NR_COUNT] = {\n", len(syscalls.Table))
	highest := 0
	for _, r := range syscalls.Table {
		args, err := r.Arguments()
		if err != nil {
			log.Fatal(err)
		}
		highest = max(highest, r.NR)
		p("\t[MM_NR_%s] = {.native = %d, .klass = MM_C_%s, .effect = %d, .result = %d, .flags = %d, .error = %d, .nargs = %d, .args = {",
			r.Name, r.NR, classC[r.Class], r.Effect, r.Result, r.Flags, errnoOf(r.Errno), len(args))
		for _, a := range args {
			kind := "MM_A_" + kindC[a.Kind]
			if a.Optional {
				kind += " | MM_A_OPT"
			}
			p("{%s, %d, %d}, ", kind, a.Ref, a.Size)
		}
		p("}},\n")
	}
	p("};\n\nstatic const struct mm_spelling mm_spellings[] = {\n")
	for _, s := range syscalls.Spellings {
		highest = max(highest, s.NR)
		p("\t/* %s */ {MM_NR_%s, {", s.Name, s.To)
		for _, o := range s.Args {
			p("%d, ", o.Arg)
		}
		p("}, {")
		for _, o := range s.Args {
			p("%d, ", o.Const)
		}
		p("}},\n")
	}
	p("};\n\n#define MM_NATIVE_COUNT %d\n", highest+1)
	p("/* native number to canonical; 0x8000 + i: spelling i; MM_NR_NONE elsewhere is a stored 0, so numbers are kept plus one */\n")
	p("static const uint16_t mm_native[MM_NATIVE_COUNT] = {\n")
	for i, r := range syscalls.Table {
		if r.NR >= 0 {
			p("\t[%d] = %d,\n", r.NR, i+1)
		}
	}
	for i, s := range syscalls.Spellings {
		p("\t[%d] = 0x8000 + %d,\n", s.NR, i+1)
	}
	p("};\n/* clang-format on */\n\n#endif\n")
	return b.Bytes()
}

func markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# System calls\n\nGenerated from internal/syscalls/table.go. A call that is not listed is refused: it ends the group with a message that names it.\n\n"+
		"*Class*: who carries the call out. *Effect*: whom it can reach. *Result*: how the results of calls that everyone carries out are compared.\n"+
		"*Exempt from*: the first policy of the ladder (%s) under which its arguments are not compared, on sockets and elsewhere.\n\n"+
		"| call | class | effect | result | exempt from (files, sockets) | arguments |\n|---|---|---|---|---|---|\n", strings.Join(syscalls.Policies, ", "))
	rung := func(r syscalls.Rung) string {
		if r == syscalls.NoRung {
			return "–"
		}
		return syscalls.Policies[r]
	}
	for _, r := range syscalls.Table {
		class := r.Class.String()
		switch r.Class {
		case syscalls.Absent:
			class = r.Errno + ": " + r.Why
		case syscalls.Ends:
			class = "ends the group: " + r.Why
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s, %s | `%s` |\n", r.Name, class, r.Effect, r.Result, rung(r.File), rung(r.Socket), strings.ReplaceAll(r.Args, "|", "\\|"))
	}
	b.WriteString("\n## Older spellings\n\nThey are turned into the call on the right before anything else happens, so that variants with different C libraries agree.\n\n| x86_64 | call |\n|---|---|\n")
	for _, s := range syscalls.Spellings {
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, s.To)
	}
	return b.Bytes()
}
