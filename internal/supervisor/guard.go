package supervisor

import (
	"fmt"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/kmod"
	"github.com/monmod/monmod/internal/report"
)

// openModule begins the session's own session with the kernel module, where the group's back end is the module.
func (s *session) openModule() error {
	if s.group.Backend != config.BackendKmod {
		return nil
	}
	var err error
	if s.module, err = kmod.Open(); err != nil {
		return failf(ExitConfig, "back end kmod: %w", err)
	}
	if s.group.Guard == config.GuardWeak {
		s.log.Warnf("group %s says guard: weak: %s", s.group.Name, weakness[s.guard()])
	}
	s.helper.Go(func() {
		for s.module.Wait() == nil && s.post(event{call: s.takeViolations}) {
		}
	})
	return nil
}

// weakness is what `guard: weak` leaves open, by guard.
var weakness = map[kmod.Guard]string{
	kmod.GuardKey:   "code of the program that can open the monitor's protection key is left as it is",
	kmod.GuardToken: "the monitor's memory can be written by the program that it watches",
}

// guard is what the group's variants of this host are armed with.
func (s *session) guard() kmod.Guard {
	best := s.module.Best()
	if best == kmod.GuardPages && s.group.Guard == config.GuardWeak {
		return kmod.GuardToken
	}
	return best
}

// guardFlags are what the library is told of the module and its guard.
func (s *session) guardFlags() uint32 {
	if s.module == nil {
		return 0
	}
	switch s.guard() {
	case kmod.GuardPages:
		return abi.StartKmod | abi.StartPages
	case kmod.GuardKey:
		if s.group.Guard == config.GuardWeak {
			return abi.StartKmod | abi.StartKey
		}
		return abi.StartKmod | abi.StartKey | abi.StartCode
	}
	return abi.StartKmod
}

// takeViolations hears what the module has killed variants for. It knows before the kernel tells of their ends.
func (s *session) takeViolations() {
	if s.module == nil {
		return
	}
	for {
		violation, some, err := s.module.Take()
		if err != nil {
			s.log.Warn(err)
		}
		if !some {
			return
		}
		s.violated(violation)
	}
}

func (s *session) violated(violation kmod.Violation) {
	for _, v := range s.variants {
		if v.pid == violation.PID && violation.PID != 0 {
			s.end(cause{code: ExitDivergence, variant: v, reason: report.Guarded, text: fmt.Sprintf("%s %s", v, violation)})
			return
		}
	}
	s.end(cause{code: ExitDivergence, reason: report.Guarded, text: fmt.Sprintf("process %d of the group %s", violation.PID, violation)})
}

// closeModule ends what the session has with the kernel module. What is still armed is killed.
func (s *session) closeModule() error {
	if s.module == nil {
		return nil
	}
	return s.module.Close()
}
