package guest

import (
	"slices"
	"testing"
)

// TestProblems holds the recognition of complaints to lines of each kind that kernels write.
func TestProblems(t *testing.T) {
	complaints := []string{
		"[    9.1] WARNING: CPU: 1 PID: 77 at kernel/module/main.c:1101 module_put+0x51/0x60",
		"[    9.1] BUG: unable to handle page fault for address: ffffc90000209000",
		"[    9.1] BUG: KASAN: slab-out-of-bounds in heap+0x3c/0x60 [planted]",
		"[    9.1] BUG: KASAN: use-after-free in release+0x91/0xb0 [monmod]",
		"[    9.1] KASAN: null-ptr-deref in range [0x0000000000000010-0x0000000000000017]",
		"[    9.1] BUG kmalloc-64 (Tainted: G           O      ): Poison overwritten",
		"[    9.1] kernel BUG at mm/page_table_check.c:82!",
		"[    9.1] UBSAN: shift-out-of-bounds in planted.c:83:21",
		"[    9.1] UBSAN: array-index-out-of-bounds in memory.c:12:3",
		"[    9.1] WARNING: possible circular locking dependency detected",
		"[    9.1] WARNING: possible recursive locking detected",
		"[    9.1] WARNING: inconsistent lock state",
		"[    9.1] WARNING: suspicious RCU usage",
		"[    9.1] INFO: trying to register non-static key.",
		"[    9.1] turning off the locking correctness validator.",
		"[    9.1] BUG: MAX_LOCKDEP_CHAINS too low!",
		"[    9.1] Disabling lock debugging due to kernel taint",
		"[    9.1] INFO: lockdep is turned off.",
		"[    9.1] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
		"[    9.1] BUG: scheduling while atomic: life/77/0x00000002",
		"[    9.1] [ BUG: Invalid wait context ]",
		"[    9.1] BUG: using __this_cpu_add() in preemptible [00000000] code: life/77",
		"[    9.1] ODEBUG: free active (active state 0) object type: work_struct hint: nothing+0x0/0x10 [planted]",
		"[    9.1] ODEBUG: Out of memory. ODEBUG disabled",
		"[    9.1] unreferenced object 0xffff888005a6c400 (size 1024):",
		"[    9.1] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
		"[    9.1] kmemleak: Kernel memory leak detector disabled",
		"[    9.1] list_del corruption. prev->next should be ffff888005a6c400, but was dead000000000100",
		"[    9.1] refcount_t: underflow; use-after-free.",
		"[    9.1] BUG: Bad page state in process life  pfn:05a6c",
		"[    9.1] INFO: task life:77 blocked for more than 120 seconds.",
		"[    9.1] general protection fault, probably for non-canonical address 0xdffffc0000000002: 0000 [#1] PREEMPT SMP KASAN",
	}
	fine := []string{
		"[    0.1] rcu: \tRCU lockdep checking is enabled.",
		"[    0.1] kmemleak: Kernel memory leak detector initialized (mem pool available: 60123)",
		"[    0.1] kasan: KernelAddressSanitizer initialized",
		"[    0.1] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
		"[    9.1] traps: attack[77] general protection fault ip:401234 sp:7ffd0 error:0 in attack[401000+2000]",
		"[    9.1] traps: doors[77] trap invalid opcode ip:401234 sp:7ffd0 error:0 in doors[401000+2000]",
		"[    9.1] monmod: loading out-of-tree module taints kernel.",
		"[    9.1] monmod: attack[77] killed: a call at the monitor's gate from outside",
	}
	for _, line := range complaints {
		if !slices.Equal(problems("[    0.1] booting\n"+line+"\n", line+"\n"), []string{line}) {
			t.Errorf("not taken for a complaint: %s", line)
		}
	}
	for _, line := range fine {
		if len(problems(line)) != 0 {
			t.Errorf("taken for a complaint: %s", line)
		}
	}
}
