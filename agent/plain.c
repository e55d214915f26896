#include "agent/plain.h"

char *
plain(char *text)
{
	char *p;

	for (p = text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return text;
}
