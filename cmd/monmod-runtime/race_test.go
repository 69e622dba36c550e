package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/control"
)

// says tells by its output whether it is monitored.
const says = "if [ -e /dev/monmod/libmonmod.so ]; then echo monitored; else echo plain; fi"

// held is a low-level runtime that makes no container before the file go is there.
func (h *host) held() (path, goFile string) {
	h.t.Helper()
	path, goFile = filepath.Join(h.dir, "held-runc"), filepath.Join(h.dir, "go")
	script := "#!/bin/sh\ncase \" $* \" in *\" run \"*) while ! [ -e " + goFile + " ]; do sleep 0.02; done;; esac\nexec runc \"$@\"\n"
	h.must(os.WriteFile(path, []byte(script), 0o755))
	return path, goFile
}

// TestBetween: between the rewriting of config.json and the moment in which the low-level runtime reads it, nothing that
// happens to the ID, to the bundle or to the state folder makes the container an unmonitored one.
func TestBetween(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, h *host, dir, id string)
		runs bool // the container is to run all the same
	}{
		{"the ID again", func(t *testing.T, h *host, dir, id string) {
			if r := h.run("run", "--bundle", dir, id); r.code == 0 || !strings.Contains(r.stderr, "is being created by process") {
				t.Errorf("a second run: %+v", r)
			}
		}, true},
		{"delete", func(t *testing.T, h *host, dir, id string) {
			h.run("delete", id)
			h.run("delete", "--force", id)
		}, true},
		{"sweep", func(t *testing.T, h *host, dir, id string) {
			old := time.Now().Add(-time.Hour)
			h.must(os.Chtimes(control.ContainerDir(id), old, old))
			if r := h.run("run", "--bundle", h.bundle(says, asking), h.name("sweeper")); r.stdout != "monitored\n" {
				t.Errorf("another container: %+v", r)
			}
		}, true},
		{"the bundle again", func(t *testing.T, h *host, dir, id string) {
			if r := h.run("run", "--bundle", dir, h.name("other")); r.stdout != "monitored\n" {
				t.Errorf("another container: %+v", r)
			}
		}, false},
		{"the bundle again, in vain", func(t *testing.T, h *host, dir, id string) {
			other := h.name("other")
			if r := h.run("run", "--pid-file", "/no/such/folder/pid", "--bundle", dir, other); r.code == 0 {
				t.Errorf("another container: %+v", r)
			}
			h.run("delete", "--force", other)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t).library()
			dir := h.bundle(says, asking)
			file := filepath.Join(dir, "config.json")
			before, err := os.ReadFile(file)
			h.must(err)
			low, goFile := h.held()
			id := h.name("between")
			done := make(chan result, 1)
			go func() { done <- h.run("--low-level", low, "run", "--bundle", dir, id) }()
			await(t, func() bool {
				now, err := os.ReadFile(file)
				return err == nil && !bytes.Equal(now, before)
			})
			c.do(t, h, dir, id)
			h.must(os.WriteFile(goFile, nil, 0o600))
			r := <-done
			if strings.Contains(r.stdout, "plain") || c.runs != (r.stdout == "monitored\n") {
				t.Errorf("%+v", r)
			}
			h.run("delete", "--force", id)
			// The next container of the bundle finds what a refused one left.
			if r := h.run("run", "--bundle", dir, id); r.stdout != "monitored\n" {
				t.Errorf("the next one: %+v", r)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
				t.Errorf("config.json is another (%v): %s", err, now)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".config.json-*")); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
			h.nothingLeft(id)
		})
	}
}

// TestRace: the same without a held runtime, again and again.
func TestRace(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle(says, asking)
	file := filepath.Join(dir, "config.json")
	before, err := os.ReadFile(file)
	h.must(err)
	x, y := h.name("x"), h.name("y")
	monitored := 0
	for round := range 8 {
		results := make([]result, 4)
		var all sync.WaitGroup
		for i, args := range [][]string{{"run", "--bundle", dir, x}, {"run", "--bundle", dir, x}, {"run", "--bundle", dir, y}, {"delete", "--force", x}} {
			all.Go(func() {
				time.Sleep(time.Duration(i*round) * 5 * time.Millisecond)
				results[i] = h.run(args...)
			})
		}
		all.Wait()
		for _, r := range results {
			if strings.Contains(r.stdout, "plain") {
				t.Fatalf("unmonitored: %+v", results)
			}
			if r.stdout == "monitored\n" {
				monitored++
			}
		}
	}
	if monitored == 0 {
		t.Error("no container ran")
	}
	for _, id := range []string{x, y} {
		if r := h.run("run", "--bundle", dir, id); r.stdout != "monitored\n" {
			t.Errorf("the last one: %+v", r)
		}
		h.nothingLeft(id)
	}
	now, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(now, before) {
		t.Errorf("config.json is another (%v): %s", err, now)
	}
}
