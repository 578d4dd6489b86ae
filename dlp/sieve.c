// Expressions without a literal ("\b4\d{3}[ -]?\d{4}…") are what Hyperscan is slow at: it has to run an automaton over every byte. But what
// their matches begin with is a row of classes that hardly ever occurs. The sieve looks for such rows, many at once; only where one is
// found does Hyperscan run over what follows.

#include "native.h"

#include <string.h>

// Of a write, so many decisions are made byte by byte; where more seems to begin, one holds for WEIR_PIECE bytes.
#define WEIR_EXACT(n) (4 + (n) / 128)
#define WEIR_PIECE 256

// What stands before a value: nothing, which is no part of a word.
#define WEIR_NOTHING '\n'

static inline int digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static inline int separator(const weir_sieve *f, uint8_t c) { return c && f->seps[c & 15] == c; }

// counts reports whether the digits at b, as far as n bytes are there, may be such a number: as many, with a right check digit (Luhn).
static int counts(const weir_sieve *f, const weir_numeral *t, const uint8_t *b, uint64_t n) {
	uint32_t count = 0, sum[2] = {0, 0}; // of digits so far; doubled are those at even, at odd places
	for (uint64_t j = 0; j < n; j++) {
		if (!digit(b[j])) {
			if (!separator(f, b[j]) || j + 1 < n && !digit(b[j + 1])) return 0;
			continue;
		}
		uint32_t d = b[j] - '0', twice = d < 5 ? 2 * d : 2 * d - 9;
		sum[count & 1] += twice;
		sum[~count & 1] += d;
		if (++count > (t->most ? t->most : WEIR_DEEP)) return !t->most;
		if (count < t->least || t->luhn && sum[count & 1] % 10) continue;
		if (!t->most || j + 1 == n || !digit(b[j + 1])) return 1;
	}
	return 1; // the rest has not come
}

// fits returns the rows that a match at b may begin with, of which n bytes are there, and may have ended.
static inline uint64_t fits(const weir_sieve *f, uint8_t before, const uint8_t *b, uint64_t n) {
	uint64_t m = f->fits[0][b[0]] & f->before[before], there = n;
	if (n > WEIR_DEEP) n = WEIR_DEEP;
	for (uint64_t j = 1; m && j < n; j++) m &= f->fits[j][b[j]];
	m &= f->past[n];
	for (uint32_t i = 0; m & f->numbers && i < f->numerals; i++) {
		const weir_numeral *t = &f->numeral[i];
		if (m & t->rows && (t->luhn || t->most) && !counts(f, t, b, there)) m &= ~t->rows;
	}
	return m;
}

#if defined(__x86_64__)
#include <immintrin.h>
#define WEIR_VECTOR __attribute__((target("avx2,popcnt,bmi,bmi2")))
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

// grouped returns a bit for each of the 32 bytes at b where rows of some group may fit.
WEIR_INLINE uint32_t grouped(const weir_sieve *f, const uint8_t *b) {
	const __m256i none = _mm256_setzero_si256();
	const __m256i inside = _mm256_set1_epi8(~f->outside); // the groups that may begin inside a word
	const __m256i wordless = _mm256_set1_epi8(~f->words);
	__m256i outside = _mm256_cmpeq_epi8(both(word_low, word_high, b - 1), none);
	__m256i acc = narrow(f, b, 0, 4, _mm256_or_si256(outside, inside));
	if (_mm256_testz_si256(acc, acc)) return 0;
	uint64_t run = 0; // where WEIR_WIDE bytes of a word follow
	if (!_mm256_testc_si256(wordless, acc)) {
		run = words(b);
		for (int k = 1; k < WEIR_WIDE; k *= 2) run &= run >> k;
		if (!(uint32_t)run) {
			acc = _mm256_and_si256(acc, wordless);
			if (_mm256_testz_si256(acc, acc)) return 0;
		}
	}
	acc = narrow(f, b, 4, WEIR_WIDE, acc);
	return nonzero(_mm256_and_si256(acc, wordless)) | (nonzero(acc) & (uint32_t)run);
}

#define WEIR_BLOCK 64

// Bits of a block and of the one behind it.
typedef struct {
	uint64_t here, next;
} bits;

// ahead moves bits k places towards the beginning, 0 < k < 64.
WEIR_INLINE bits ahead(bits v, uint32_t k) { return (bits){v.here >> k | v.next << (WEIR_BLOCK - k), v.next >> k}; }

WEIR_INLINE bits meet(bits v, bits w) { return (bits){v.here & w.here, v.next & w.next}; }

WEIR_INLINE uint32_t digits32(const uint8_t *b) {
	__m256i d = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)b), _mm256_set1_epi8('0'));
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8(9)), d));
}

WEIR_INLINE uint64_t digits64(const uint8_t *b) { return digits32(b) | (uint64_t)digits32(b + 32) << 32; }

WEIR_INLINE uint32_t seps32(const weir_sieve *f, const uint8_t *b) {
	__m256i v = _mm256_loadu_si256((const __m256i *)b);
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(twice(f->seps), v), v));
}

WEIR_INLINE uint64_t seps64(const weir_sieve *f, const uint8_t *b) { return seps32(f, b) | (uint64_t)seps32(f, b + 32) << 32; }

// numbers returns a bit for each byte of the block at b where enough digits in a row begin. The block behind it is read too.
WEIR_INLINE uint64_t numbers(const weir_sieve *f, const uint8_t *b) {
	bits d = {.here = digits64(b)};
	if (!d.here) return 0;
	d.next = digits64(b + WEIR_BLOCK);
	if ((uint32_t)(__builtin_popcountll(d.here) + __builtin_popcountll(d.next)) < f->digits) return 0;
	bits before = {d.here << 1 | digit(b[-1]), d.next << 1 | d.here >> (WEIR_BLOCK - 1)};
	bits row = meet(meet((bits){seps64(f, b), seps64(f, b + WEIR_BLOCK)}, before), ahead(d, 1));
	row.here |= d.here;
	row.next |= d.next;
	uint32_t k = 1;
	for (; 2 * k <= f->digits; k *= 2) row = meet(row, ahead(row, k));
	if (k < f->digits) row = meet(row, ahead(row, f->digits - k));
	return row.here & d.here & (f->inside ? ~(uint64_t)0 : ~before.here);
}

// blocks looks at whole blocks from *at on, where at least one byte stands before; each can be read to the end of the next. It returns where a
// match may begin, or -1. b + n is the end of what has come.
WEIR_VECTOR static int64_t blocks(const weir_sieve *f, const uint8_t *b, uint64_t *at, uint64_t to, uint64_t n, uint64_t *rows) {
	uint64_t i = *at;
	for (; i < to; i += WEIR_BLOCK) {
		uint64_t mask = f->groups ? grouped(f, b + i) | (uint64_t)grouped(f, b + i + 32) << 32 : 0;
		if (f->numbers) mask |= numbers(f, b + i);
		for (; mask; mask &= mask - 1) {
			uint64_t k = i + __builtin_ctzll(mask);
			if (k >= n) return -1;
			if ((*rows = fits(f, b[k - 1], b + k, n - k))) return k;
		}
	}
	*at = i;
	return -1;
}

// vector looks at the bytes from at on, which is not 0, up to to or beyond.
WEIR_VECTOR static int64_t vector(const weir_sieve *f, const uint8_t *b, uint64_t at, uint64_t to, uint64_t n, uint64_t *rows) {
	if (at + 2 * WEIR_BLOCK <= n) {
		uint64_t whole = n - 2 * WEIR_BLOCK + 1; // a block may begin before
		int64_t k = blocks(f, b, &at, to < whole ? to : whole, n, rows);
		if (k >= 0) return k;
	}
	if (at >= to) return -1;
	uint8_t last[1 + 4 * WEIR_BLOCK]; // what is left, and nothing behind it
	uint64_t left = n - at, from = 1;
	memcpy(last, b + at - 1, left + 1);
	memset(last + left + 1, 0, sizeof last - left - 1);
	int64_t k = blocks(f, last, &from, to - at + 1, left + 1, rows);
	return k < 0 ? -1 : (int64_t)at + k - 1;
}

void weir_sieve_ready(weir_sieve *f) { f->vector = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"); }
#else
static int64_t vector(const weir_sieve *f, const uint8_t *b, uint64_t at, uint64_t to, uint64_t n, uint64_t *rows) { return -1; }
void weir_sieve_ready(weir_sieve *f) { f->vector = 0; }
#endif

// weir_sieve_first returns the first place in [from, to) of the n bytes at b where a match may begin, and with which rows; -1 if there is
// none. before is the byte before b.
int64_t weir_sieve_first(const weir_sieve *f, uint8_t before, const uint8_t *b, uint64_t from, uint64_t to, uint64_t n, uint64_t *rows) {
	if (from == 0 && n > 0) {
		if ((*rows = fits(f, before, b, n))) return 0;
		from = 1;
	}
	if (f->vector) {
		int64_t k = from < to ? vector(f, b, from, to, n, rows) : -1;
		return k < (int64_t)to ? k : -1;
	}
	for (; from < to; from++) {
		if (!(f->fits[0][b[from]] & f->before[b[from - 1]])) continue;
		if ((*rows = fits(f, b[from - 1], b + from, n - from))) return from;
	}
	return -1;
}

// lead returns how far before a place where rows fit a match may begin.
static uint64_t lead(const weir_sieve *f, uint64_t rows) {
	uint64_t far = 0;
	if (!f->led) return 0;
	for (rows &= f->numbers; rows; rows &= rows - 1) {
		uint32_t r = f->lead[__builtin_ctzll(rows)];
		if (r > far) far = r;
	}
	return far;
}

// reach returns how far beyond a place where rows fit a match is of interest.
static uint64_t reach(const weir_sieve *f, uint64_t rows) {
	uint64_t far = 0;
	for (; rows; rows &= rows - 1) {
		uint32_t r = f->reach[__builtin_ctzll(rows)];
		if (r > far) far = r;
	}
	return far;
}

static hs_error_t feed(weir_scan *s, weir_stream *st, int kind, const uint8_t *b, uint64_t n) {
	if (!n) return HS_SUCCESS;
	s->shift = st->base[kind];
	return hs_scan_stream(st->stream[kind], (const char *)b, n, 0, s->scratch, weir_match, s);
}

// A stretch of the bytes at hand in which patterns of a kind are looked for. end may lie beyond what is there.
typedef struct {
	uint64_t from, end;
	int live;   // there is one
	int stream; // the stream has been given what stands before from
	int sure;   // its patterns may match: else it is only the beginning of a chain
} stretch;

// A sweep is a walk over bytes in search of what is sieved.
typedef struct {
	weir_scan *scan;
	const weir_class *class;
	weir_stream *st; // NULL: a block
	const uint8_t *b;
	uint64_t n;
	uint8_t before; // the byte before b
	stretch x[WEIR_KINDS];
	uint32_t count[WEIR_CHAINS]; // how often a chain's row has fitted
	uint64_t end[WEIR_CHAINS];   // up to here it must fit again
} sweep;

// over looks for the patterns in a stretch that is all there.
static hs_error_t over(sweep *w, int kind, uint64_t end) {
	stretch *x = &w->x[kind];
	x->live = 0;
	if (!x->sure) return HS_SUCCESS;
	if (!x->stream) {
		w->scan->shift = (w->st ? w->st->at : 0) + x->from;
		return weir_scan_whole(w->scan, w->class, kind, (const char *)w->b + x->from, end - x->from);
	}
	hs_error_t e = feed(w->scan, w->st, kind, w->b + x->from, end - x->from);
	hs_error_t e2 = hs_reset_stream(w->st->stream[kind], 0, w->scan->scratch, NULL, NULL);
	return e == HS_SUCCESS ? e2 : e;
}

// begin has the stream of a kind look at what is kept, from as many bytes on as lie before w->b, or at all of it.
static hs_error_t begin(sweep *w, int kind, uint64_t before) {
	weir_stream *st = w->st;
	if (before > st->kept) before = st->kept;
	st->base[kind] = st->at - before;
	return feed(w->scan, st, kind, st->last + st->kept - before, before);
}

// touch makes the stretch of a kind reach from k, less far bytes, to end.
static hs_error_t touch(sweep *w, int kind, uint64_t k, uint64_t far, uint64_t end, int sure) {
	stretch *x = &w->x[kind];
	far++; // the byte before, for \b
	uint64_t from = k > far ? k - far : 0, before = k < far && w->st && w->st->kept ? far - k : 0;
	hs_error_t e = HS_SUCCESS;
	if (x->live && from > x->end) e = over(w, kind, x->end);
	if (!x->live) {
		*x = (stretch){.from = from, .live = 1};
		if (before) {
			x->stream = x->sure = 1;
			if (e == HS_SUCCESS) e = begin(w, kind, before);
		}
	} else if (before && (!x->stream || w->st->at - w->st->base[kind] < before)) {
		if (x->stream && e == HS_SUCCESS) e = hs_reset_stream(w->st->stream[kind], 0, w->scan->scratch, NULL, NULL);
		x->from = 0;
		x->stream = x->sure = 1;
		if (e == HS_SUCCESS) e = begin(w, kind, before);
	} else if (!x->stream && from < x->from) {
		x->from = from;
	}
	if (end > x->end) x->end = end;
	if (sure) x->sure = 1;
	return e;
}

// link counts how often the rows of chains have fitted, at k now. It reports whether one has as often as it does in a match.
static int link(sweep *w, uint64_t k, uint64_t rows) {
	const weir_sieve *f = w->class->sieve;
	int sure = 0;
	for (uint32_t i = 0; i < f->chains; i++) {
		if (!(rows >> f->chain[i] & 1)) continue;
		w->count[i] = w->count[i] && k <= w->end[i] ? w->count[i] + 1 : 1;
		w->end[i] = k + f->reach[f->chain[i]];
		if (w->count[i] >= f->need[i]) sure = 1;
	}
	return sure;
}

// run looks for the sieved patterns wherever one seems to begin. It leaves the last stretches in w.
static hs_error_t run(sweep *w) {
	const weir_sieve *f = w->class->sieve;
	uint64_t rows, exact = WEIR_EXACT(w->n);
	hs_error_t e = HS_SUCCESS;
	for (uint64_t i = 0; i < w->n && e == HS_SUCCESS;) {
		int64_t k = weir_sieve_first(f, w->before, w->b, i, w->n, w->n, &rows);
		if (k < 0) break;
		if (!exact) { // from here to i, and whatever begins there
			i = k + WEIR_PIECE;
			if (f->farthest[WEIR_SINGLE]) e = touch(w, WEIR_SINGLE, k, f->led, i + f->farthest[WEIR_SINGLE], 1);
			if (e == HS_SUCCESS && f->chains) e = touch(w, WEIR_CHAIN, k, 0, i + f->farthest[WEIR_CHAIN], 1);
			continue;
		}
		exact--;
		i = k + 1;
		uint64_t single = rows & ~f->chained, chained = rows & f->chained;
		if (single) e = touch(w, WEIR_SINGLE, k, lead(f, single), k + reach(f, single), 1);
		if (chained && e == HS_SUCCESS) {
			int sure = link(w, k, chained);
			e = touch(w, WEIR_CHAIN, k, 0, k + reach(f, chained), sure);
		}
	}
	return e;
}

hs_error_t weir_sieve_block(weir_scan *s, const weir_class *c, const uint8_t *b, uint64_t n) {
	sweep w = {.scan = s, .class = c, .b = b, .n = n, .before = WEIR_NOTHING};
	hs_error_t e = run(&w);
	for (int kind = WEIR_SINGLE; kind < WEIR_KINDS && e == HS_SUCCESS; kind++)
		if (w.x[kind].live) e = over(&w, kind, w.x[kind].end < n ? w.x[kind].end : n);
	return e;
}

static void keep(weir_stream *st, const uint8_t *b, uint64_t n) {
	if (n >= WEIR_KEEP) {
		memcpy(st->last, b + n - WEIR_KEEP, WEIR_KEEP);
		st->kept = WEIR_KEEP;
		return;
	}
	uint64_t stay = st->kept < WEIR_KEEP - n ? st->kept : WEIR_KEEP - n;
	memmove(st->last, st->last + st->kept - stay, stay);
	memcpy(st->last + stay, b, n);
	st->kept = stay + n;
}

// wake gives the stream of a kind what was kept from first on, and has it look up to end, an offset in buf.
static hs_error_t wake(weir_scan *s, weir_stream *st, int kind, const uint8_t *buf, int64_t first, uint64_t end) {
	uint64_t size = st->kept;
	if (first) first--; // the byte before, for \b
	hs_error_t e = HS_SUCCESS;
	uint64_t base = st->at - size + first;
	if (!st->awake[kind] || base < st->base[kind]) {
		if (st->awake[kind]) e = hs_reset_stream(st->stream[kind], 0, s->scratch, NULL, NULL);
		st->base[kind] = base;
		if (e == HS_SUCCESS) e = feed(s, st, kind, buf + first, size - first);
	}
	st->awake[kind] = 1;
	if (st->until[kind] < st->at - size + end) st->until[kind] = st->at - size + end;
	return e;
}

// kept looks at the last bytes of what came before, now that more is there: a match may begin in them.
static hs_error_t kept(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n) {
	const weir_sieve *f = st->class->sieve;
	uint8_t buf[WEIR_KEEP + 64];
	uint64_t rows, more = n < 64 ? n : 64, size = st->kept;
	memcpy(buf, st->last, size);
	memcpy(buf + size, b, more);
	int64_t first[WEIR_KINDS] = {-1, -1, -1};
	uint64_t end[WEIR_KINDS] = {0};
	// What has WEIR_DEEP bytes behind it has been looked at; it is kept for what stands before a number. Vectors look at some of the new ones too.
	for (uint64_t i = size < WEIR_DEEP ? 0 : size - WEIR_DEEP + 1; i < size; i++) {
		int64_t k = weir_sieve_first(f, WEIR_NOTHING, buf, i, size, size + more, &rows);
		if (k < 0) break;
		i = k;
		for (int kind = WEIR_SINGLE; kind < WEIR_KINDS; kind++) {
			uint64_t of = kind == WEIR_CHAIN ? rows & f->chained : rows & ~f->chained, far = i + reach(f, of);
			if (far <= size) continue; // it was all there before
			int64_t from = k - (int64_t)lead(f, of);
			if (from < 0) from = 0;
			if (first[kind] < 0 || from < first[kind]) first[kind] = from;
			if (far > end[kind]) end[kind] = far;
		}
	}
	hs_error_t e = HS_SUCCESS;
	for (int kind = WEIR_SINGLE; kind < WEIR_KINDS && e == HS_SUCCESS; kind++)
		if (first[kind] >= 0) e = wake(s, st, kind, buf, first[kind], end[kind]);
	return e;
}

// leave hands a stretch that reaches beyond what is there to the stream of its kind. Of a chain, what fits next may have begun in the bytes
// that are kept.
static hs_error_t leave(sweep *w, int kind) {
	stretch *x = &w->x[kind];
	weir_stream *st = w->st;
	st->awake[kind] = 0;
	st->until[kind] = 0;
	if (!x->live) return HS_SUCCESS;
	if (x->end + (kind == WEIR_CHAIN ? WEIR_DEEP : 0) <= w->n) return over(w, kind, x->end);
	if (!x->stream) st->base[kind] = st->at + x->from;
	st->awake[kind] = 1;
	st->until[kind] = st->at + (x->end > w->n ? x->end : w->n);
	return feed(w->scan, st, kind, w->b + x->from, w->n - x->from);
}

hs_error_t weir_sieve_write(weir_scan *s, weir_stream *st, const uint8_t *b, uint64_t n) {
	if (!n) return HS_SUCCESS;
	hs_error_t e = st->kept ? kept(s, st, b, n) : HS_SUCCESS;
	sweep w = {.scan = s, .class = st->class, .st = st, .b = b, .n = n, .before = st->kept ? st->last[st->kept - 1] : WEIR_NOTHING};
	for (int kind = WEIR_SINGLE; kind < WEIR_KINDS; kind++)
		if (st->awake[kind]) w.x[kind] = (stretch){.end = st->until[kind] - st->at, .live = 1, .stream = 1, .sure = 1};
	if (e == HS_SUCCESS) e = run(&w);
	for (int kind = WEIR_SINGLE; kind < WEIR_KINDS && e == HS_SUCCESS; kind++) e = leave(&w, kind);
	keep(st, b, n);
	st->at += n;
	return e;
}
