package supervisor

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/words"
)

// A container that ends by its supervisor's hand says nothing of it, and whoever looks at its log sees nothing of the
// supervisor. So the supervisor writes one line there, of its own words, and while the container is there: some engines read
// no longer when its first process is gone.

// lastWordTime is how long a log that takes nothing may hold the end up.
const lastWordTime = 100 * time.Millisecond

// lastWordMax bounds the line, in bytes.
const lastWordMax = 512

// stderrOf is the standard error of a process that said hello: what its engine gave it, since the program has not begun. Later
// it may be anything, a connection to an attacker too. -1 where there is none, or where it cannot be had.
func stderrOf(pidfd int) int {
	fd, err := unix.PidfdGetfd(pidfd, 2, 0)
	if err != nil {
		return -1
	}
	return fd
}

// hasLog says whether an engine keeps what v writes. Followers that this supervisor made have none.
func (s *session) hasLog(v *variant) bool { return s.adopted && (s.peers != nil || v.leads()) }

// lastWord tells the container's log why the group ended.
func (s *session) lastWord(text string) {
	for _, v := range s.variants {
		if v.stderr < 0 {
			continue
		}
		select {
		case <-writeLastWord(v.stderr, text):
		case <-time.After(lastWordTime):
		}
		v.stderr = -1
	}
}

// writeLastWord begins to write the line to a log, which it closes. The channel is closed when that is done.
func writeLastWord(fd int, text string) <-chan struct{} {
	written := make(chan struct{})
	go func() {
		_, _ = unix.Write(fd, []byte("monmod: "+plain(text, lastWordMax)+"\n")) // nobody is left to be told
		_ = unix.Close(fd)
		close(written)
	}()
	return written
}

// plain is text of which nothing acts on a terminal: names of files in it are the program's.
func plain(text string, most int) string {
	text = words.Printable(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
