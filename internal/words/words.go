// Package words puts sentences together that several parts of monmod have a piece of.
package words

import (
	"fmt"
	"strings"
)

// About says whether a text is about a variant and begins with its name, such as "variant 2 (follower, process 7) ended".
func About(variant int, text string) bool {
	rest, ok := strings.CutPrefix(text, fmt.Sprintf("variant %d", variant))
	return ok && (rest == "" || rest[0] < '0' || rest[0] > '9')
}

// Of says whose words a text is, unless it says so itself.
func Of(variant int, text string) string {
	if About(variant, text) {
		return text
	}
	return fmt.Sprintf("variant %d: %s", variant, text)
}
