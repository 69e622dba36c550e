/* A library of which each host has another build. */
int answer(void);
int answer(void)
{
	static volatile int parts[PARTS] = {42};
	int sum = 0;

	for (int i = 0; i < PARTS; i++)
		sum += parts[i];
	return sum;
}
