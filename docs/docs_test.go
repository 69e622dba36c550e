// Package docs holds the documentation; here is what can be checked of it by a program.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var pages = []string{"../README.md", "threat-model.md", "running.md", "design.md", "configuration.md", "benchmarks.md", "benchmarks-kmod.md", "compatibility.md"}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// TestLinks follows every link to a file of the tree.
func TestLinks(t *testing.T) {
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

var (
	folder = regexp.MustCompile(`(?:^|[\s(;,|])((?:test|internal|cmd|runtime|hooks)(?:/[a-z-]+)*)\s+` + "`Test")
	name   = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
)

// TestNamedTestsExist holds what the threat model says is shown against the tests that are there.
func TestNamedTestsExist(t *testing.T) {
	text := read(t, "threat-model.md")
	if len(name.FindAllString(text, -1)) < 10 {
		t.Fatal("the threat model names no tests any more: this test checks nothing")
	}
	for _, m := range name.FindAllStringSubmatchIndex(text, -1) {
		test := text[m[2]:m[3]]
		before := folder.FindAllStringSubmatch(text[:m[1]], -1)
		if len(before) == 0 {
			t.Errorf("%s: no folder is named before it", test)
			continue
		}
		dir := before[len(before)-1][1]
		files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			found = found || strings.Contains(read(t, file), "func "+test+"(")
		}
		if !found {
			t.Errorf("%s names no test of %s", test, dir)
		}
	}
}

// TestNoConflictIsLeft looks for what a merge leaves where two changes met.
func TestNoConflictIsLeft(t *testing.T) {
	for _, page := range append(pages, "syscalls.md", "kernel-module.md") {
		for i, line := range strings.Split(read(t, page), "\n") {
			if strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ") || line == "=======" {
				t.Errorf("%s:%d: %s", page, i+1, line)
			}
		}
	}
}
