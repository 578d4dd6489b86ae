// What the Go side asks of find.c.
#ifndef WEIR_FIND_H
#define WEIR_FIND_H

#include <stdint.h>

// What may begin at a place.
enum {
	WEIR_RUN,     // letters of base64, as many as are worth it
	WEIR_ESCAPE,  // a backslash that stands for something
	WEIR_PERCENT, // %XX
	WEIR_ENTITY,  // &...;
	WEIR_EQUALS,  // =XX, or = at the end of a line
	WEIR_SIGN,    // a character beyond ASCII that stands for an ASCII one, or for none
	WEIR_WIDE,    // UTF-16
	WEIR_DIGITS,  // digits one by one
	WEIR_WEAK,    // what is not worth a look by itself: line ends and quotes escaped, &amp; ...
	WEIR_KINDS,
};

typedef struct {
	uint32_t at, kind;
} weir_place;

// Writes where in b something of the kinds may begin, in ascending order, and returns how many places that are: at most most, which is WEIR_MOST
// or more. What begins at upto or behind it, but in a run that goes on there, has not been looked at.
uint32_t weir_find(const uint8_t *b, uint32_t n, uint32_t kinds, weir_place *out, uint32_t most, int vector, uint32_t *upto);

// Returns how many letters b begins with.
uint32_t weir_letters(const uint8_t *b, uint32_t n, int vector);

int weir_find_vector(void);

#endif
