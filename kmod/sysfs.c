// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/monmod: one value a file. `active`, `limit` and `reset` can be written by root. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/sysfs.h>
#include "monmod.h"

static ssize_t version_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%u\n", MM_KMOD_VERSION);
}

static ssize_t active_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%d\n", READ_ONCE(monmod_active));
}

static ssize_t active_store(struct kobject *kobj, struct kobj_attribute *attr, const char *from, size_t bytes)
{
	bool on;
	int err = kstrtobool(from, &on);

	if (err)
		return err;
	WRITE_ONCE(monmod_active, on);
	pr_info("%s\n", on ? "arming allowed" : "arming forbidden; what is armed goes on");
	return bytes;
}

static ssize_t limit_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%u\n", READ_ONCE(monmod_limit));
}

static ssize_t limit_store(struct kobject *kobj, struct kobj_attribute *attr, const char *from, size_t bytes)
{
	unsigned int limit;
	int err = kstrtouint(from, 0, &limit);

	if (err)
		return err;
	WRITE_ONCE(monmod_limit, limit);
	return bytes;
}

static ssize_t armed_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%d\n", atomic_read(&monmod_armed));
}

static ssize_t entries_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%llu\n", monmod_entries_sum());
}

static ssize_t violations_show(struct kobject *kobj, struct kobj_attribute *attr, char *to)
{
	return sysfs_emit(to, "%lld\n", atomic64_read(&monmod_violations));
}

static ssize_t reset_store(struct kobject *kobj, struct kobj_attribute *attr, const char *from, size_t bytes)
{
	bool on;
	int err = kstrtobool(from, &on);

	if (err)
		return err;
	if (on)
		monmod_kill_all(NULL, MM_KMOD_RESET);
	return bytes;
}

static struct kobj_attribute version = __ATTR_RO(version);
static struct kobj_attribute active = __ATTR_RW(active);
static struct kobj_attribute limit = __ATTR_RW(limit);
static struct kobj_attribute armed = __ATTR_RO(armed);
static struct kobj_attribute entries = __ATTR_RO(entries);
static struct kobj_attribute violations = __ATTR_RO(violations);
static struct kobj_attribute reset = __ATTR_WO(reset);

static const struct attribute *const attributes[] = {
	&version.attr, &active.attr, &limit.attr, &armed.attr, &entries.attr, &violations.attr, &reset.attr, NULL,
};

static struct kobject *folder;

int monmod_sysfs_add(void)
{
	int err;

	folder = kobject_create_and_add("monmod", kernel_kobj);
	if (!folder)
		return -ENOMEM;
	err = sysfs_create_files(folder, attributes);
	if (err)
		kobject_put(folder);
	return err;
}

void monmod_sysfs_remove(void)
{
	sysfs_remove_files(folder, attributes);
	kobject_put(folder);
}
