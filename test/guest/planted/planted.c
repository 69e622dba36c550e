// SPDX-License-Identifier: GPL-2.0
/*
 * A mistake of each kind that the sanitized kernel is there to see, made when the name of one is written to the parameter `make`.
 * Where the compiler would see it too, a volatile keeps it from that.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);
static DEFINE_MUTEX(third);
static struct timer_list timer;
static struct list_head *lost;
static volatile int forty = 40;

static void heap(void)
{
	char *p = kmalloc(24, GFP_KERNEL);

	p[forty - 16] = 1;
	kfree(p);
}

static void freed(void)
{
	volatile char *p = kmalloc(24, GFP_KERNEL);

	kfree((void *)p);
	p[3];
}

static void big(void)
{
	char *p = vmalloc(PAGE_SIZE + 100);

	p[PAGE_SIZE + 60 + forty] = 1;
	vfree(p);
}

static void leak(void)
{
	lost = kmalloc(1000, GFP_KERNEL);
	memset(lost, 0, 1000);
	lost = NULL;
}

static void order(void)
{
	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);
	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

static void sleeps(void)
{
	spin_lock(&first);
	mutex_lock(&third);
	mutex_unlock(&third);
	spin_unlock(&first);
}

static void unread(void)
{
	struct list_head __rcu *p = NULL;

	rcu_dereference(p);
}

static void shift(void)
{
	pr_info("%d\n", 1 << forty);
}

static void nothing(struct timer_list *t)
{
}

static void twice(void)
{
	timer_setup(&timer, nothing, 0);
	mod_timer(&timer, jiffies + 1000 * HZ);
	timer_setup(&timer, nothing, 0);
	del_timer_sync(&timer);
}

static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	{ "heap", heap },     { "freed", freed },   { "big", big },	{ "leak", leak },   { "order", order },
	{ "sleeps", sleeps }, { "unread", unread }, { "shift", shift }, { "twice", twice },
};

static int make(const char *name, const struct kernel_param *param)
{
	for (int i = 0; i < ARRAY_SIZE(mistakes); i++)
		if (sysfs_streq(name, mistakes[i].name)) {
			mistakes[i].make();
			return 0;
		}
	return -EINVAL;
}

static const struct kernel_param_ops ops = { .set = make };
module_param_cb(make, &ops, NULL, 0200);
MODULE_DESCRIPTION("Makes mistakes");
MODULE_LICENSE("GPL");
