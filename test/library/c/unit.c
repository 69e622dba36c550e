/* SPDX-License-Identifier: Apache-2.0 */
/* `unit list` names the tests, `unit NAME` runs one, `unit digest` reads keys and data and writes SipHash digests; see unit_code.c for the others. */
#include <string.h>

#include "harness.h"
#include "siphash.h"
#include "unit.h"

int lengths(const char *path);
int doors(const char *path);
extern const struct unit text_units[], table_units[], stream_units[], describe_units[], memory_units[], file_units[], boot_units[],
    name_units[], code_units[];
static const struct unit *const all[] = {text_units, table_units, stream_units, describe_units, memory_units,
					 file_units, boot_units,  name_units,   code_units};

/* Lines of "key key cut data": the data is fed in two pieces. */
static int digest(void)
{
	static char line[65536], hex[65536];
	unsigned long key[2];
	unsigned cut;

	while (fgets(line, sizeof(line), stdin)) {
		static u8 bytes[32768];
		struct mm_sip sip;
		u8 out[16];
		u32 n = 0;

		hex[0] = 0;
		if (sscanf(line, "%lx %lx %u %65535s", &key[0], &key[1], &cut, hex) < 3)
			return 1;
		for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
			bytes[n] = (u8)byte;
		mm_sip_init(&sip, (const u64 *)key);
		mm_sip_add(&sip, bytes, cut);
		mm_sip_add(&sip, bytes + cut, n - cut);
		mm_sip_end(&sip, out);
		for (int i = 0; i < 16; i++)
			printf("%02x", out[i]);
		printf("\n");
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return !strcmp(argv[1], "lengths") ? lengths(argv[2]) : doors(argv[2]);
	if (argc != 2)
		return 64;
	if (!strcmp(argv[1], "digest"))
		return digest();
	for (u32 i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct unit *u = all[i]; u->name; u++)
			if (!strcmp(argv[1], "list")) {
				puts(u->name);
			} else if (!strcmp(argv[1], u->name)) {
				fresh(MM_LEADER);
				u->run();
				return failures ? 1 : 0;
			}
	return strcmp(argv[1], "list") ? 64 : 0;
}
