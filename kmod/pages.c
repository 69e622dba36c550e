// SPDX-License-Identifier: GPL-2.0
/*
 * Guarding without protection keys (MM_KMOD_GUARD_PAGES). What is in a page table is there for the program too, so the monitor's memory
 * is taken out whenever the monitor leaves. It comes back by the monitor's faults (r15 holds the token), and what the monitor uses in
 * most calls comes back at the redirect, before it can fault. User space alone is asked for the token: the kernel writes there for
 * frames of signals and for calls from the gates, and there are no others.
 *
 * Entries are put in by hand, as insert_pfn() (mm/memory.c) makes them, which takes twice the time of a call otherwise; nothing has to be
 * flushed for that. Taking out is the kernel's, which knows where the TLB may hold them.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/task_stack.h>
#include "compat.h"
#include "monmod.h"

bool monmod_pages_may_see(struct monmod_space *space, const struct vm_fault *vmf)
{
	return space->guard != MM_KMOD_GUARD_PAGES || !READ_ONCE(space->sealed) || !(vmf->flags & FAULT_FLAG_USER) ||
	       task_pt_regs(current)->r15 == space->token;
}

static void widen(struct monmod_range *range, unsigned long page)
{
	range->low = min(range->low, page);
	range->high = max(range->high, page + 1);
}

vm_fault_t monmod_pages_fault(struct monmod_space *space, struct vm_fault *vmf, struct page *page)
{
	vm_fault_t result;

	mutex_lock(&space->pages_lock);
	for (unsigned int i = 0; i < space->nranges; i++) {
		unsigned long at = vmf->pgoff - space->ranges[i].first;

		if (at >= space->ranges[i].pages)
			continue;
		widen(&space->ranges[i], at);
		if (space->nhot < MONMOD_HOT && space->sealed)
			space->hot[space->nhot++] = (struct monmod_hot){ i, at };
	}
	result = vmf_insert_pfn(vmf->vma, vmf->address & PAGE_MASK, page_to_pfn(page));
	mutex_unlock(&space->pages_lock);
	return result;
}

/* In which mapping a range lies now, or (NULL) that it is gone. */
void monmod_pages_mapped(struct monmod_space *space, unsigned long at, struct vm_area_struct *vma)
{
	mutex_lock(&space->pages_lock);
	for (unsigned int i = 0; i < space->nranges; i++)
		if (space->ranges[i].at == at)
			space->ranges[i].vma = vma;
	mutex_unlock(&space->pages_lock);
}

/* The entry's table, NULL where there is none. It stays as long as the mapping, whose lock is held. */
static notrace pmd_t *table_of(struct mm_struct *mm, unsigned long at)
{
	pgd_t *pgd = pgd_offset(mm, at);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, at);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, at);
	if (pud_none(*pud))
		return NULL;
	pmd = pmd_offset(pud, at);
	return pmd_none(*pmd) ? NULL : pmd;
}

notrace void monmod_pages_show(struct monmod_space *space)
{
	struct mm_struct *mm = current->mm;

	mmap_read_lock(mm);
	mutex_lock(&space->pages_lock);
	for (unsigned int i = 0; i < space->nhot; i++) {
		struct monmod_range *range = &space->ranges[space->hot[i].range];
		unsigned long page = space->hot[i].page, at = range->at + (page << PAGE_SHIFT);
		pmd_t *pmd = range->vma ? table_of(mm, at) : NULL;
		spinlock_t *lock;
		pte_t *pte;

		if (!pmd)
			continue; /* it comes by a fault */
		lock = pte_lockptr(mm, pmd);
		spin_lock(lock);
		pte = pte_offset_kernel(pmd, at);
		if (pte_none(*pte))
			set_pte_at(mm, at, pte,
				   pte_mkspecial(pte_mkdirty(pte_mkyoung(pfn_pte(page_to_pfn(space->pages[range->first + page]),
										 range->vma->vm_page_prot)))));
		spin_unlock(lock);
		widen(range, page);
	}
	mutex_unlock(&space->pages_lock);
	mmap_read_unlock(mm);
}

notrace void monmod_pages_hide(struct monmod_space *space)
{
	mmap_read_lock(current->mm);
	mutex_lock(&space->pages_lock);
	for (unsigned int i = 0; i < space->nranges; i++) {
		struct monmod_range *range = &space->ranges[i];

		if (range->low < range->high && range->vma)
			monmod_zap(range->vma, range->at + (range->low << PAGE_SHIFT), (range->high - range->low) << PAGE_SHIFT);
		range->low = ULONG_MAX;
		range->high = 0;
	}
	mutex_unlock(&space->pages_lock);
	mmap_read_unlock(current->mm);
}
