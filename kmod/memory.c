// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the monitor's: pages of the module's that a process maps by its arming descriptor. As VM_PFNMAP they are out of reach
 * for get_user_pages (/proc/PID/mem, process_vm_writev, ptrace), and the mapping cannot be split, moved or protected otherwise;
 * unmapping it whole kills. A forked process gets a copy: its mapping is inherited empty (VM_WIPEONFORK) and filled from a copy of
 * the pages, which belongs to the new mm.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <asm/syscall.h>
#include "compat.h"
#include "monmod.h"

struct monmod_space *monmod_space_new(struct monmod_session *session, u32 guard)
{
	struct monmod_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);

	if (!space)
		return NULL;
	space->pages = kvcalloc(MONMOD_PAGES_MAX, sizeof(*space->pages), GFP_KERNEL_ACCOUNT);
	if (!space->pages) {
		kfree(space);
		return NULL;
	}
	kref_init(&space->refs);
	mutex_init(&space->pages_lock);
	INIT_LIST_HEAD(&space->node);
	space->guard = guard;
	do
		space->token = get_random_u64();
	while (!space->token);
	monmod_session_get(session);
	space->session = session;
	return space;
}

static void release(struct kref *refs)
{
	struct monmod_space *space = container_of(refs, struct monmod_space, refs);

	for (unsigned int i = 0; i < MONMOD_PAGES_MAX; i++)
		if (space->pages[i])
			__free_page(space->pages[i]);
	kvfree(space->pages);
	monmod_session_put(space->session);
	kfree(space);
}

void monmod_space_put(struct monmod_space *space)
{
	kref_put(&space->refs, release);
}

/* The page at an index, made where it is missing. */
static struct page *page_at(struct monmod_space *space, unsigned long i)
{
	struct page *page;

	if (i >= MONMOD_PAGES_MAX)
		return NULL;
	mutex_lock(&space->pages_lock);
	page = space->pages[i];
	if (!page) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		WRITE_ONCE(space->pages[i], page);
	}
	mutex_unlock(&space->pages_lock);
	return page;
}

static vm_fault_t on_fault(struct vm_fault *vmf)
{
	struct monmod_space *space = vmf->vma->vm_private_data;
	struct page *page;

	if (space && !monmod_pages_may_see(space, vmf))
		return VM_FAULT_SIGSEGV;
	page = space ? page_at(space, vmf->pgoff) : NULL;
	if (!page)
		return space ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	if (space->guard == MM_KMOD_GUARD_PAGES)
		return monmod_pages_fault(space, vmf, page);
	return vmf_insert_pfn(vmf->vma, vmf->address & PAGE_MASK, page_to_pfn(page));
}

/* A copy of a space for an mm that is being forked from its own. */
static struct monmod_space *copy_space(struct monmod_space *from, struct mm_struct *mm)
{
	struct monmod_space *space = monmod_space_new(from->session, from->guard);

	if (!space)
		return NULL;
	space->token = from->token; /* the child is inside when it begins */
	space->sealed = true;
	space->keyed = from->keyed;
	space->mm = mm;
	space->nranges = from->nranges;
	memcpy(space->ranges, from->ranges, sizeof(space->ranges));
	for (unsigned int i = 0; i < space->nranges; i++) {
		space->ranges[i].vma = NULL; /* on_open() */
		space->ranges[i].low = ULONG_MAX;
		space->ranges[i].high = 0;
	}
	mutex_lock(&from->pages_lock);
	for (unsigned int i = 0; i < MONMOD_PAGES_MAX; i++) {
		if (!from->pages[i])
			continue;
		space->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!space->pages[i]) {
			mutex_unlock(&from->pages_lock);
			monmod_space_put(space);
			return NULL;
		}
		copy_page(page_address(space->pages[i]), page_address(from->pages[i]));
	}
	mutex_unlock(&from->pages_lock);
	return space;
}

static struct monmod_space *find_space(struct monmod_session *session, struct mm_struct *mm)
{
	struct monmod_space *space;

	list_for_each_entry(space, &session->spaces, node)
		if (space->mm == mm)
			return space;
	return NULL;
}

/* The space of an mm, with a reference, or NULL. It is called where sleeping is not possible. */
struct monmod_space *monmod_space_of(struct monmod_session *session, struct mm_struct *mm)
{
	struct monmod_space *space;

	spin_lock(&session->spaces_lock);
	space = find_space(session, mm);
	if (space)
		kref_get(&space->refs);
	spin_unlock(&session->spaces_lock);
	return space;
}

/*
 * Takes out the entries of the page table that came with a mapping from the parent, whose pages live no longer than the parent
 * does: MADV_KEEPONFORK has taken the flag away that keeps them from being copied, and nothing lets us refuse that. Kernels copy
 * before they call open(), or afterwards.
 */
static void forget(struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WIPEONFORK)
		return;
	monmod_vm_flags(vma, VM_WIPEONFORK, 0);
	monmod_zap(vma, vma->vm_start, vma->vm_end - vma->vm_start);
}

/*
 * Called for each mapping that a fork has made; vm_private_data is still the parent's. The first one makes the copy, and one fork of
 * an mm runs at a time (its mmap_lock is held). A process that cannot have a copy is killed when it is to be armed.
 */
static void on_open(struct vm_area_struct *vma)
{
	struct monmod_space *from = vma->vm_private_data, *space;
	bool fresh = false;

	if (!from)
		return;
	space = monmod_space_of(from->session, vma->vm_mm);
	if (!space) {
		space = copy_space(from, vma->vm_mm);
		fresh = true;
	}
	vma->vm_private_data = space; /* with the reference that we hold */
	forget(vma);
	if (space)
		monmod_pages_mapped(space, vma->vm_start, vma);
	if (!space)
		return;
	spin_lock(&space->session->spaces_lock);
	space->mappings++;
	if (fresh)
		list_add(&space->node, &space->session->spaces);
	spin_unlock(&space->session->spaces_lock);
}

/* The index of the page at an address of the process that maps the space, or MONMOD_PAGES_MAX. */
static unsigned long index_of(struct monmod_space *space, unsigned long at)
{
	unsigned long found = MONMOD_PAGES_MAX;

	spin_lock(&space->session->spaces_lock);
	for (unsigned int i = 0; i < space->nranges; i++)
		if ((at - space->ranges[i].at) >> PAGE_SHIFT < space->ranges[i].pages)
			found = space->ranges[i].first + ((at - space->ranges[i].at) >> PAGE_SHIFT);
	spin_unlock(&space->session->spaces_lock);
	return found;
}

/* mremap() makes a second mapping before it asks no_move(), and unmaps that one: nothing is lost then. */
static void on_close(struct vm_area_struct *vma)
{
	struct monmod_space *space = vma->vm_private_data;

	if (!space)
		return;
	if (current->mm == vma->vm_mm && !(current->flags & PF_EXITING) && index_of(space, vma->vm_start) < MONMOD_PAGES_MAX)
		monmod_violation(space->session, current, MM_KMOD_UNMAPPED, task_pt_regs(current), task_pt_regs(current)->orig_ax);
	monmod_pages_mapped(space, vma->vm_start, NULL);
	spin_lock(&space->session->spaces_lock);
	if (!--space->mappings) {
		list_del_init(&space->node);
		space->mm = NULL; /* the next mm may have its address */
	}
	spin_unlock(&space->session->spaces_lock);
	monmod_space_put(space);
}

static int no_split(struct vm_area_struct *vma, unsigned long at)
{
	return -EPERM;
}

static int no_move(struct vm_area_struct *vma)
{
	return -EPERM;
}

static int no_protect(struct vm_area_struct *vma, unsigned long from, unsigned long to, unsigned long flags)
{
	return -EPERM;
}

static const struct vm_operations_struct operations = {
	.open = on_open,
	.close = on_close,
	.fault = on_fault,
	.may_split = no_split,
	.mremap = no_move,
	.mprotect = no_protect,
};

/* One space serves one mm, the first that maps it, until a thread is armed there. */
static int claim(struct monmod_space *space, struct vm_area_struct *vma)
{
	struct monmod_range range = { vma->vm_start, vma->vm_pgoff, vma_pages(vma), vma, ULONG_MAX, 0 };

	lockdep_assert_held(&space->session->spaces_lock);
	if (space->sealed || space->nranges == MONMOD_RANGES || (space->nranges && space->mm != vma->vm_mm))
		return -EBUSY;
	for (unsigned int i = 0; i < space->nranges; i++)
		if (range.first < space->ranges[i].first + space->ranges[i].pages &&
		    space->ranges[i].first < range.first + range.pages)
			return -EBUSY;
	if (!space->nranges) {
		space->mm = vma->vm_mm;
		list_add(&space->node, &space->session->spaces);
	}
	space->ranges[space->nranges++] = range;
	space->mappings++;
	return 0;
}

int monmod_space_map(struct monmod_space *space, struct vm_area_struct *vma)
{
	unsigned long flags = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_WIPEONFORK;
	int err;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC || vma->vm_pgoff >= MONMOD_PAGES_MAX ||
	    vma_pages(vma) > MONMOD_PAGES_MAX - vma->vm_pgoff)
		return -EINVAL;
	err = monmod_take_key(space, &flags);
	if (err)
		return err;
	spin_lock(&space->session->spaces_lock);
	err = claim(space, vma);
	spin_unlock(&space->session->spaces_lock);
	if (err)
		return err;
	monmod_vm_flags(vma, flags, VM_MAYEXEC);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	kref_get(&space->refs);
	vma->vm_private_data = space;
	vma->vm_ops = &operations;
	return 0;
}

void monmod_space_seal(struct monmod_space *space)
{
	spin_lock(&space->session->spaces_lock);
	space->sealed = true;
	spin_unlock(&space->session->spaces_lock);
}

/* Makes the page of a block, so that monmod_block() finds it where nothing may sleep. */
int monmod_block_make(struct monmod_space *space, unsigned long at)
{
	unsigned long i = index_of(space, at);

	if (i >= MONMOD_PAGES_MAX || at & ~PAGE_MASK)
		return -EINVAL;
	return page_at(space, i) ? 0 : -ENOMEM;
}

/* The kernel's address of a block. */
struct mm_kmod_block *monmod_block(struct monmod_space *space, unsigned long at)
{
	unsigned long i = index_of(space, at);
	struct page *page = i < MONMOD_PAGES_MAX ? READ_ONCE(space->pages[i]) : NULL;

	return page ? page_address(page) : NULL;
}
