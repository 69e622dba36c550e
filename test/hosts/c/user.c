/* Uses the library that lies beside it. */
#include <dlfcn.h>
#include <stdio.h>

int main(void)
{
	void *lib = dlopen("./lib.so", RTLD_NOW);
	int (*answer)(void) = lib ? (int (*)(void))dlsym(lib, "answer") : NULL;

	if (!answer) {
		puts(dlerror());
		return 1;
	}
	printf("%d\n", answer());
	return 0;
}
