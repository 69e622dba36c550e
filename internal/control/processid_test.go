package control

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// leaderless makes this program one whose first thread has ended, as it is for a moment while another thread executes a program.
const leaderless = "MM_TEST_LEADERLESS"

func init() {
	if os.Getenv(leaderless) == "" {
		return
	}
	runtime.LockOSThread()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

func TestLeaderless(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), leaderless+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	p, err := IdentifyProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		fields, err := readStat(p.Pid)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("its first thread does not end: %v", err)
		}
		if fields[0] == "Z" {
			break
		}
	}
	if !p.Alive() {
		t.Error("it is called dead")
	}
}

// TestProcessID: a process is alive through an exec and until it ends, waited for or not; another one of its number is not it.
func TestProcessID(t *testing.T) {
	self, err := IdentifyProcess(os.Getpid())
	if err != nil || !self.Alive() {
		t.Fatalf("this process: %+v, %v", self, err)
	}
	for _, other := range []ProcessID{{}, {Pid: -1}, {Pid: self.Pid, Start: self.Start - 1}, {Pid: 1 << 30}} {
		if other.Alive() {
			t.Errorf("%+v is alive", other)
		}
	}
	cmd := exec.Command("sh", "-c", "read x; exec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := IdentifyProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("go\nx")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil || !p.Alive() {
		t.Errorf("after exec: %v", err)
	}
	in.Close()
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
	for p.Alive() { // it has closed its output and ends
	}
	if err := cmd.Wait(); err != nil || p.Alive() {
		t.Errorf("after its end: %v", err)
	}
}
