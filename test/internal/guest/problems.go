package guest

import (
	"regexp"
	"slices"
	"strings"
)

// trouble is how the kernel's own complaints look.
var trouble = regexp.MustCompile(`WARNING|BUG:|Oops|lockdep|Call Trace|general protection|KASAN|UBSAN|Kernel panic|` +
	`unable to handle|possible (recursive|circular) locking|suspicious RCU|blocked for more than|refcount_t:|scheduling while atomic|` +
	`bad page state|Bad page|corruption|unregister_netdevice|memory leak`)

// harmless are lines that look like complaints and are none of the kernel: a program that faulted.
var harmless = regexp.MustCompile(`traps: \S+\[\d+\] general protection`)

// problems returns the lines of the texts that are complaints of the kernel, each once.
func problems(texts ...string) []string {
	var found []string
	for _, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if trouble.MatchString(line) && !harmless.MatchString(line) && !slices.Contains(found, line) {
				found = append(found, line)
			}
		}
	}
	return found
}
