package proc

import (
	"fmt"
	"syscall"
	"time"
)

// StartLoad keeps cpus processors busy with stress-ng until the returned function is called, which ends it.
func StartLoad(stressNG string, cpus int) (stop func() error, err error) {
	p, err := Start(Spec{
		Argv: []string{stressNG, "--cpu", fmt.Sprint(cpus), "--quiet"}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
		Deadline: 24 * time.Hour,
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Done():
		return nil, fmt.Errorf("start a load: %s", p.Wait())
	case <-time.After(500 * time.Millisecond):
	}
	return func() error {
		select {
		case <-p.Done():
			return fmt.Errorf("the load ended by itself: %s", p.Wait())
		default:
		}
		_ = p.Signal(syscall.SIGTERM)
		end := time.AfterFunc(5*time.Second, p.Kill)
		defer end.Stop()
		p.Wait()
		return nil
	}, nil
}
