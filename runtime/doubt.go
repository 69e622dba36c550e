package runtime

import (
	"fmt"
	"path/filepath"
	"slices"
)

// doubtful decides about a command line whose words may mean something else to
// the low-level runtime: it is passed on as it is, unless that could start a
// container unmonitored which must not be.
func (w *wrapper) doubtful(inv *Invocation) error {
	words := append([]string{"."}, inv.Args...)
	if !slices.ContainsFunc(words, func(s string) bool { return slices.Contains(creating, s) }) {
		return nil
	}
	if w.require || w.operator.Require {
		return fmt.Errorf("%s, and this host requires monitoring: leave the flag out, or report it with the name and version of the engine", inv.Doubt)
	}
	for _, word := range words {
		for _, dir := range readings(word) {
			b, err := ReadBundle(dir, defaultConfig)
			if err != nil {
				b, err = ReadBundle(filepath.Dir(dir), filepath.Base(dir))
			}
			if err != nil {
				continue
			}
			if r, err := w.asks(b); r != nil || err != nil {
				return fmt.Errorf("%s, so it is not certain that the bundle %s, which asks for monitoring, would get it: leave the flag out, or report it with the name and version of the engine", inv.Doubt, dir)
			}
		}
	}
	return nil
}

// readings are the paths that a word can hold: itself, what follows "=", what
// follows a short flag.
func readings(word string) []string {
	all := []string{word}
	if _, _, _, isFlag := split(word); !isFlag {
		return all
	}
	for i := range word {
		if word[i] == '=' {
			all = append(all, word[i+1:])
		}
	}
	if len(word) > 2 && word[1] != '-' {
		all = append(all, word[2:])
	}
	return all
}
