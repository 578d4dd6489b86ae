// Expressions without a literal ("\b4\d{3}[ -]?\d{4}…") are what Hyperscan is slow at: it has to run an automaton over every byte. But what
// their matches begin with is a row of classes that hardly ever occurs. The sieve looks for such rows, many at once; only where one is
// found does Hyperscan run over what follows.

#include "native.h"

#include <string.h>

// A stretch between two decisions whether the sieved patterns are looked for.
#define WEIR_PIECE 256

// What stands before a value: nothing, which is no part of a word.
#define WEIR_NOTHING '\n'

// fits returns the patterns that may begin at b, of which n bytes are there, and may have ended.
static inline uint64_t fits(const weir_sieve *f, uint8_t before, const uint8_t *b, uint64_t n) {
	uint64_t m = f->fits[0][b[0]] & f->before[before];
	if (n > WEIR_DEEP) n = WEIR_DEEP;
	for (uint64_t j = 1; m && j < n; j++) m &= f->fits[j][b[j]];
	return m & f->past[n];
}

#if defined(__x86_64__)
#include <immintrin.h>
#define WEIR_VECTOR __attribute__((target("avx2")))
#define WEIR_INLINE WEIR_VECTOR __attribute__((always_inline)) static inline

WEIR_INLINE __m256i twice(const uint8_t *table) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)); }

// both returns the bits that tables of low and high halves have in common for each byte at b.
WEIR_INLINE __m256i both(const uint8_t *low, const uint8_t *high, const uint8_t *b) {
	const __m256i half = _mm256_set1_epi8(15);
	__m256i v = _mm256_loadu_si256((const __m256i *)b);
	__m256i lo = _mm256_shuffle_epi8(twice(low), _mm256_and_si256(v, half));
	__m256i hi = _mm256_shuffle_epi8(twice(high), _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
	return _mm256_and_si256(lo, hi);
}

// narrow leaves in acc the groups that the bytes at b fit, at positions from .. to.
WEIR_INLINE __m256i narrow(const weir_sieve *f, const uint8_t *b, const int from, const int to, __m256i acc) {
#pragma GCC unroll 16
	for (int j = from; j < to; j++) acc = _mm256_and_si256(acc, both(f->low[j], f->high[j], b + j));
	return acc;
}

// Letters, digits and '_': a bit for each shape of low halves.
static const uint8_t word_low[16] = {1 | 4, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2 | 4, 2, 2, 2, 2, 2 | 8};
static const uint8_t word_high[16] = {0, 0, 0, 1, 2, 4 | 8, 2, 4};

WEIR_INLINE uint32_t nonzero(__m256i v) { return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256())); }

// words returns a bit for each of the 32 + WEIR_WIDE bytes at b that is part of a word.
WEIR_INLINE uint64_t words(const uint8_t *b) {
	return nonzero(both(word_low, word_high, b)) | (uint64_t)nonzero(both(word_low, word_high, b + WEIR_WIDE)) << WEIR_WIDE;
}

// vector goes on from *at, which is not 0, to or beyond to, as far as whole vectors can be read. It returns where a match may begin, or -1.
WEIR_VECTOR static int64_t vector(const weir_sieve *f, const uint8_t *b, uint64_t *at, uint64_t to, uint64_t n) {
	uint64_t i = *at;
	const __m256i none = _mm256_setzero_si256();
	const __m256i inside = _mm256_set1_epi8(~f->outside); // the groups that may begin inside a word
	const __m256i wordless = _mm256_set1_epi8(~f->words);
	for (; i < to && i + 32 + WEIR_WIDE <= n; i += 32) {
		__m256i outside = _mm256_cmpeq_epi8(both(word_low, word_high, b + i - 1), none);
		__m256i acc = narrow(f, b + i, 0, 4, _mm256_or_si256(outside, inside));
		if (_mm256_testz_si256(acc, acc)) continue;
		uint64_t run = 0; // where WEIR_WIDE bytes of a word follow
		if (!_mm256_testc_si256(wordless, acc)) {
			run = words(b + i);
			for (int k = 1; k < WEIR_WIDE; k *= 2) run &= run >> k;
			if (!(uint32_t)run) {
				acc = _mm256_and_si256(acc, wordless);
				if (_mm256_testz_si256(acc, acc)) continue;
			}
		}
		acc = narrow(f, b + i, 4, WEIR_WIDE, acc);
		uint32_t mask = nonzero(_mm256_and_si256(acc, wordless)) | (nonzero(acc) & (uint32_t)run);
		for (; mask; mask &= mask - 1) {
			uint64_t k = i + __builtin_ctz(mask);
			if (fits(f, b[k - 1], b + k, n - k)) return k;
		}
	}
	*at = i;
	return -1;
}

void weir_sieve_ready(weir_sieve *f) { f->vector = __builtin_cpu_supports("avx2") != 0; }
#else
static int64_t vector(const weir_sieve *f, const uint8_t *b, uint64_t *at, uint64_t to, uint64_t n) { return -1; }
void weir_sieve_ready(weir_sieve *f) { f->vector = 0; }
#endif

// weir_sieve_first returns the first place in [from, to) of the n bytes at b where a match may begin, -1 if there is none. before is the byte
// before b.
int64_t weir_sieve_first(const weir_sieve *f, uint8_t before, const uint8_t *b, uint64_t from, uint64_t to, uint64_t n) {
	if (from == 0 && n > 0) {
		if (fits(f, before, b, n)) return 0;
		from = 1;
	}
	if (f->vector) {
		int64_t k = vector(f, b, &from, to, n);
		if (k >= 0) return k < (int64_t)to ? k : -1;
	}
	for (; from < to; from++) {
		if (!(f->fits[0][b[from]] & f->before[b[from - 1]])) continue;
		if (fits(f, b[from - 1], b + from, n - from)) return from;
	}
	return -1;
}

hs_error_t weir_sieve_block(weir_scan *s, const weir_class *c, const uint8_t *b, uint64_t n) {
	int64_t k = weir_sieve_first(c->sieve, WEIR_NOTHING, b, 0, n, n);
	if (k < 0) return HS_SUCCESS;
	if (k > 0) k--; // for \b
	s->shift = k;
	return hs_scan(c->sieved_block, (const char *)b + k, n - k, 0, s->scratch, weir_match, s);
}

static hs_error_t feed(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n) {
	if (!n) return HS_SUCCESS;
	s->shift = st->base;
	return hs_scan_stream(st->sieved, (const char *)b, n, 0, s->scratch, weir_match, s);
}

// kept looks at the last bytes of what came before, now that more is there: a match may begin in them. If so and the sieved patterns
// sleep, it wakes them there.
static hs_error_t kept(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n) {
	const weir_sieve *f = st->class->sieve;
	uint8_t buf[WEIR_DEEP + 64];
	uint64_t more = n < 64 ? n : 64;
	memcpy(buf, st->last, st->kept);
	memcpy(buf + st->kept, b, more);
	// The oldest byte has been looked at with all that follows it; it is kept for \b. Vectors
	// look at some of the new ones too.
	int64_t i = weir_sieve_first(f, WEIR_NOTHING, buf, st->kept == WEIR_DEEP, st->kept, st->kept + more);
	if (i < 0) return HS_SUCCESS;
	int awake = st->until > st->at;
	if (st->until < st->at + f->reach) st->until = st->at + f->reach;
	if (awake) return HS_SUCCESS;
	if (i) i--;
	st->base = st->at - st->kept + i;
	return feed(s, st, buf + i, st->kept - i);
}

// piece deals with b[from:to] of the n bytes at b.
static hs_error_t piece(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t from, uint64_t to, uint64_t n) {
	const weir_sieve *f = st->class->sieve;
	int64_t k = weir_sieve_first(f, st->kept ? st->last[st->kept - 1] : WEIR_NOTHING, b, from, to, n);
	int awake = st->until > st->at + from;
	hs_error_t e = HS_SUCCESS;
	if (k < 0) {
		if (!awake) return e;
		if (st->until > st->at + to) return feed(s, st, b + from, to - from);
		e = feed(s, st, b + from, st->until - st->at - from);
		hs_error_t e2 = hs_reset_stream(st->sieved, 0, s->scratch, NULL, NULL);
		return e == HS_SUCCESS ? e2 : e;
	}
	if (!awake) {
		from = k;
		st->base = st->at + from;
		if (from > 0) {
			from--;
			st->base--;
		} else if (st->kept) {
			st->base--;
			e = feed(s, st, st->last + st->kept - 1, 1);
		}
	}
	st->until = st->at + to + f->reach;
	return e == HS_SUCCESS ? feed(s, st, b + from, to - from) : e;
}

static void keep(weir_stream *st, const uint8_t *b, uint64_t n) {
	if (n >= WEIR_DEEP) {
		memcpy(st->last, b + n - WEIR_DEEP, WEIR_DEEP);
		st->kept = WEIR_DEEP;
		return;
	}
	uint64_t stay = st->kept < WEIR_DEEP - n ? st->kept : WEIR_DEEP - n;
	memmove(st->last, st->last + st->kept - stay, stay);
	memcpy(st->last + stay, b, n);
	st->kept = stay + n;
}

hs_error_t weir_sieve_write(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n) {
	if (!n) return HS_SUCCESS;
	hs_error_t e = st->kept ? kept(s, st, b, n) : HS_SUCCESS;
	for (uint64_t from = 0; from < n && e == HS_SUCCESS;) {
		uint64_t to = n - from < 2 * WEIR_PIECE ? n : from + WEIR_PIECE;
		e = piece(s, st, b, from, to, n);
		from = to;
	}
	keep(st, b, n);
	st->at += n;
	return e;
}
