package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// controllingTerminal is the name by which a process reaches the terminal of its session, whatever its descriptors are.
const controllingTerminal = "/dev/tty"

// settings are those of the terminal whose foreground job this process is, nil where it is none: what a shell's line editor has
// set meanwhile is nothing to come back to.
func settings() *unix.Termios {
	if st, err := readProcStat(os.Getpid()); err != nil || !st.terminal || !st.foreground {
		return nil
	}
	tty, err := os.OpenFile(controllingTerminal, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer tty.Close()
	set, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	return set
}

// restore gives the terminal the settings that it had before a program that could not give them back itself. A program that
// ended by itself leaves the terminal as it wants it, and so does one in the background.
func restore(before *unix.Termios) error {
	now := settings()
	if before == nil || now == nil || *now == *before {
		return nil
	}
	tty, err := os.OpenFile(controllingTerminal, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("restore the terminal's settings: %w", err)
	}
	defer tty.Close()
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, before); err != nil {
		return fmt.Errorf("restore the terminal's settings: %w", err)
	}
	return nil
}
