/* SPDX-License-Identifier: Apache-2.0 */
/* Each file of unit tests has a table of these that ends with an empty one. */
#ifndef UNIT_H
#define UNIT_H

struct unit {
	const char *name;
	void (*run)(void);
};

#endif
