// What the Go side asks of Hyperscan, with hits collected into an array instead of one callback into Go each.
#ifndef WEIR_NATIVE_H
#define WEIR_NATIVE_H

#include <hs.h>
#include <stddef.h>
#include <stdint.h>

// All matches of one pattern whose ends lie close together.
typedef struct {
	uint32_t id, ends;
	uint64_t first, last;
} weir_region;

// A lane's scratch.
typedef struct {
	hs_scratch_t *scratch;
	weir_region *region;
	uint32_t *slot;    // by pattern: 1 + index of its last region
	uint32_t n, cap;   // regions in use, and how many there are
	uint32_t patterns; // length of slot
	uint32_t spare;
	uint64_t shift; // added to the offsets that Hyperscan tells
} weir_scan;

enum {
	WEIR_DEEP = 32, // first bytes of a match that the sieve looks at
	WEIR_WIDE = 16, // of these, by vector instructions
	WEIR_ROWS = 64,
	WEIR_NUMERALS = 16,
	WEIR_LEAD = 64, // bytes of a match before its digits
	WEIR_KEEP = WEIR_DEEP + WEIR_LEAD,
	WEIR_CHAINS = 8,
};

// How patterns are looked for.
enum {
	WEIR_ALWAYS, // in every byte
	WEIR_SINGLE, // where one of their rows fits
	WEIR_CHAIN,  // where a row fits so often, one place near the other, as it does in every match
	WEIR_KINDS,
};

// Numbers that are alike.
typedef struct {
	uint64_t rows;
	uint32_t least, most; // digits, and no more follow; most 0: more may follow
	uint32_t luhn;        // they have a check digit
} weir_numeral;

// A sieve tells where a match of some patterns may begin. Each has one or more rows of what its first bytes can be. It errs on one side only.
typedef struct {
	uint8_t low[WEIR_WIDE][16], high[WEIR_WIDE][16]; // by position and half of the byte: groups of rows that it fits
	uint32_t groups;                                 // there are any
	uint8_t outside;                                 // groups that begin only where no word goes on
	uint8_t words;                                   // groups whose first WEIR_WIDE bytes are of words
	uint64_t fits[WEIR_DEEP][256];                   // by position and byte: rows
	uint64_t before[256];                            // by the byte before: patterns
	uint64_t past[WEIR_DEEP + 1];                    // rows whose patterns may have matched after so many bytes
	uint32_t reach[WEIR_ROWS];                       // bytes from where a row fits to where it does again, or the match has ended, at most
	uint32_t farthest[WEIR_KINDS];                   // of these
	uint64_t chained;                                // rows of kind WEIR_CHAIN
	uint32_t chains;                                 // how many
	uint32_t chain[WEIR_CHAINS];                     // these
	uint32_t need[WEIR_CHAINS];                      // how often each fits in every match
	uint32_t lead[WEIR_ROWS];                        // bytes that a match may begin before where a row fits
	uint32_t led;                                    // the most of these
	uint64_t numbers;                                // rows that begin with digits, at least so many:
	uint32_t digits;                                 // with a separator between two at most
	uint32_t inside;                                 // one of these may fit where a number goes on
	uint8_t seps[16];                                // the separators, by their low half
	uint32_t numerals;                               // kinds of numbers
	weir_numeral numeral[WEIR_NUMERALS];
	uint32_t vector;                                 // the processor has the instructions
} weir_sieve;

// The databases of a class. Any may be missing; what has no block database is looked for with that for streams.
typedef struct {
	hs_database_t *block[WEIR_KINDS], *stream[WEIR_KINDS];
	weir_sieve *sieve; // of all kinds but the first
} weir_class;

// An open value. Offsets are from its beginning.
typedef struct {
	const weir_class *class;
	hs_stream_t *stream[WEIR_KINDS];
	uint64_t at;                // bytes that came
	uint64_t until[WEIR_KINDS]; // up to here a sieved kind is looked for; awake with it
	uint64_t base[WEIR_KINDS];  // of the first byte that its stream was given
	uint8_t awake[WEIR_KINDS];
	uint32_t kept;
	uint8_t last[WEIR_KEEP]; // the last bytes that came
} weir_stream;

void *weir_alloc(size_t n);
void weir_release(void *p);
int64_t weir_bytes(void);
void weir_count_memory(void);
void weir_trim(void);
void weir_keep_memory(int on); // what this thread gives back to operator delete is kept for operator new, or no longer; see new.cpp

// These return the number of regions, or a negative error of Hyperscan's.
int weir_block(weir_scan *s, const weir_class *c, const char *b, unsigned int n);
int weir_write(weir_scan *s, weir_stream *st, const char *b, unsigned int n);
int weir_end(weir_scan *s, weir_stream *st); // also makes st as new

weir_stream *weir_open(const weir_class *c);
void weir_close(weir_stream *st);

// weir_freeze writes what an open value's streams are to b, but for the last bytes that came; it returns the length, 0 if there is not enough room.
int weir_freeze(const weir_stream *st, char *b, unsigned int size);
// weir_thaw makes st, of the same class, what another one was, after at bytes: the last of them, WEIR_KEEP unless fewer came, are at last. 0: it could not.
int weir_thaw(weir_stream *st, const char *b, uint64_t at, const char *last, unsigned int kept);

hs_database_t *weir_load(const char *b, size_t n);
int weir_fit(weir_scan *s, const weir_class *c, uint32_t patterns);
weir_scan *weir_new(void);
void weir_drop(weir_scan *s);

// weir_scan_whole looks for the patterns of a kind in bytes that are all there.
hs_error_t weir_scan_whole(weir_scan *s, const weir_class *c, int kind, const char *b, unsigned int n);
int weir_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx);
void weir_sieve_ready(weir_sieve *f);
int64_t weir_sieve_first(const weir_sieve *f, uint8_t before, const uint8_t *b, uint64_t from, uint64_t to, uint64_t n, uint64_t *rows);
hs_error_t weir_sieve_block(weir_scan *s, const weir_class *c, const uint8_t *b, uint64_t n);
hs_error_t weir_sieve_write(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n);

#endif
