package guest

import (
	"regexp"
	"slices"
	"strings"
)

// trouble is how the kernel's own complaints look, and those of what looks for mistakes in it (sanitized.config): KASAN, UBSAN,
// SLUB, lockdep, kmemleak, debug objects. That one of them gives up is a complaint too.
var trouble = regexp.MustCompile(`WARNING|BUG:|BUG [\w-]+ \(|kernel BUG at|Oops|lockdep|Call Trace|general protection|KASAN|UBSAN|ODEBUG|Kernel panic|` +
	`unable to handle|possible (recursive|circular) locking|suspicious RCU|blocked for more than|refcount_t:|scheduling while atomic|` +
	`bad page state|Bad page|corruption|unregister_netdevice|memory leak|unreferenced object|non-static key|` +
	`turning off the locking|Disabling lock debugging`)

// harmless are lines that look like complaints and are none of the kernel: a program that faulted, and what says that it looks.
var harmless = regexp.MustCompile(`traps: \S+\[\d+\] general protection|RCU lockdep checking is enabled|memory leak detector initialized`)

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
