// Most bytes are in no encoding. This tells where one may begin, at some GB/s: it errs on one side only, who asks looks closer.

#include "find.h"

#include <string.h>

// Letters in a row that are worth being looked at.
#define LEAST 20

// Places that may be told of one block.
#define ROOM 80

// Single digits, with the same between each two of them.
#define DIGITS 12

enum { LETTER = 1, HEX = 2, TRIGGER = 4, DIGIT = 8, ALPHA = 16, PRINT = 32, HEXUPPER = 64, ESCAPED = 128, BETWEEN = 256 };

static uint16_t class[256];

static int in(uint8_t c, const char *set) { return c && strchr(set, c) != NULL; }

__attribute__((constructor)) static void classify(void) {
	for (int i = 0; i < 256; i++) {
		uint8_t c = i;
		uint16_t k = 0;
		int digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
		if (digit || upper || lower || in(c, "+/-_")) k |= LETTER;
		if (digit || (c >= 'A' && c <= 'F')) k |= HEX | HEXUPPER;
		if (c >= 'a' && c <= 'f') k |= HEX;
		if (digit) k |= DIGIT;
		if (upper || lower) k |= ALPHA;
		if (c >= 0x20 && c < 0x7f) k |= PRINT;
		if (c == '\\' || c == '%' || c == '&' || c == '=' || c == 0xef || c == 0xc2 || c == 0xe2) k |= TRIGGER;
		if (in(c, "uxX\"'\\/nrt0123")) k |= ESCAPED;
		if (in(c, " .-_\t")) k |= BETWEEN;
		class[i] = k;
	}
}

static inline int is(uint8_t c, int k) { return (class[c] & k) != 0; }

// common reports whether an entity is one of those that markup is full of.
static int common(const uint8_t *b, uint64_t n) {
	return (n == 2 && b[1] == 't' && in(b[0], "lg")) || (n == 3 && !memcmp(b, "amp", 3)) || (n == 4 && !memcmp(b, "nbsp", 4));
}

// trigger tells what may begin with the byte at b, of which n are there; WEIR_KINDS: nothing.
static uint32_t trigger(const uint8_t *b, uint64_t n) {
	switch (b[0]) {
	case '\\':
		if (n >= 2 && is(b[1], ESCAPED)) return in(b[1], "nrt/\\'") ? WEIR_WEAK : WEIR_ESCAPE;
		break;
	case '%':
		if (n >= 3 && ((is(b[1], HEX) && is(b[2], HEX)) || ((b[1] | 0x20) == 'u' && is(b[2], HEX)))) return WEIR_PERCENT;
		break;
	case '&':
		if (n < 4 || !(b[1] == '#' || is(b[1], ALPHA))) break;
		for (uint64_t i = 2; i < n && i < 11; i++) {
			if (b[i] == ';') return common(b + 1, i - 1) ? WEIR_WEAK : WEIR_ENTITY;
			if (!is(b[i], ALPHA | DIGIT)) break;
		}
		break;
	case '=':
		if (n >= 2 && (b[1] == '\r' || b[1] == '\n')) return WEIR_EQUALS;
		if (n >= 4 && is(b[1], HEXUPPER) && is(b[2], HEXUPPER) && (!is(b[3], HEX) || (b[1] == '3' && b[2] == 'D'))) return WEIR_EQUALS;
		break;
	case 0xef: // full-width letters and digits; the byte order mark
		if (n >= 3 && ((b[1] == 0xbc && b[2] >= 0x81) || (b[1] == 0xbd && b[2] <= 0x9e) || (b[1] == 0xbb && b[2] == 0xbf))) return WEIR_SIGN;
		break;
	case 0xc2: // no-break space, soft hyphen
		if (n >= 2 && b[1] == 0xad) return WEIR_SIGN;
		if (n >= 2 && b[1] == 0xa0) return n >= 3 && is(b[2], DIGIT) ? WEIR_SIGN : WEIR_WEAK;
		break;
	case 0xe2: // spaces, and what has no width
		if (n >= 3 && ((b[1] == 0x80 && (b[2] <= 0x8f || b[2] == 0xaf)) || (b[1] == 0x81 && (b[2] == 0x9f || b[2] == 0xa0)))) return WEIR_SIGN;
		break;
	}
	return WEIR_KINDS;
}

// wide reports whether the NUL at i is one of four every other byte, with printable ones between.
static int wide(const uint8_t *b, uint64_t i, uint64_t n) {
	if (i + 7 > n) return 0;
	return !b[i + 2] && !b[i + 4] && !b[i + 6] && is(b[i + 1], PRINT) && is(b[i + 3], PRINT) && is(b[i + 5], PRINT);
}

typedef struct {
	const uint8_t *b;
	uint64_t n;
	uint32_t kinds, found;
	weir_place *out;
	uint64_t run;     // where the letters before the present byte begin
	int told;         // that run has been told
	uint64_t digits;  // up to here single digits have been looked at,
	uint64_t strange; // and wide characters
} search;

// tell writes a place down, in order.
static inline void tell(search *s, uint64_t at, uint32_t kind) {
	if (!(s->kinds >> kind & 1)) return;
	uint32_t k = s->found++;
	for (; k && s->out[k - 1].at > at; k--) s->out[k] = s->out[k - 1];
	s->out[k].at = at;
	s->out[k].kind = kind;
}

// digits tells single digits, of which one is at i.
static inline void digits(search *s, uint64_t i) {
	const uint8_t *b = s->b;
	if (i < s->digits || i + 3 > s->n || !is(b[i + 1], BETWEEN)) return;
	uint8_t sep = b[i + 1];
	uint64_t from = i, to = i + 1;
	while (from >= 2 && b[from - 1] == sep && is(b[from - 2], DIGIT) && (from == 2 || !is(b[from - 3], DIGIT))) from -= 2;
	while (to + 1 < s->n && b[to] == sep && is(b[to + 1], DIGIT)) to += 2;
	s->digits = to;
	if (to - from >= 2 * DIGITS - 1) tell(s, from, WEIR_DIGITS);
}

// strange tells wide characters, of which one has the NUL at i.
static inline void strange(search *s, uint64_t i) {
	if (i < s->strange || !wide(s->b, i, s->n)) return;
	uint64_t to = i;
	while (to + 2 < s->n && !s->b[to + 2] && s->b[to + 1]) to += 2;
	s->strange = to;
	tell(s, i, WEIR_WIDE);
}

// scalar goes from i to the end, byte by byte, until there is no room left. It returns where it stopped.
static uint64_t scalar(search *s, uint64_t i, uint32_t most) {
	const uint8_t *b = s->b;
	for (; i < s->n && s->found + ROOM <= most; i++) {
		uint8_t c = b[i];
		if (is(c, LETTER)) {
			if (!s->told && i + 1 - s->run >= LEAST) {
				s->told = 1;
				tell(s, s->run, WEIR_RUN);
			}
		} else {
			s->run = i + 1;
			s->told = 0;
		}
		if (is(c, TRIGGER)) {
			uint32_t k = trigger(b + i, s->n - i);
			if (k != WEIR_KINDS) tell(s, i, k);
		} else if (is(c, DIGIT)) {
			if (i + 2 < s->n && !is(b[i + 1], DIGIT) && is(b[i + 2], DIGIT) && (i == 0 || !is(b[i - 1], DIGIT))) digits(s, i);
		} else if (!c) {
			strange(s, i);
		}
	}
	return i;
}

#if defined(__x86_64__)
#include <immintrin.h>
#define WEIR_VECTOR __attribute__((target("avx2,bmi")))
#define WEIR_INLINE WEIR_VECTOR __attribute__((always_inline)) static inline

// By half of the byte: the rectangles that it is in.
enum { R_ALPHA = 1, R_ALPHB = 2, R_DIGIT = 4, R_PUNCT = 8, R_LINE = 16, R_AMP = 32, R_EQ = 64, R_BACK = 128 };
static const uint8_t low[16] = {
	R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT | R_AMP,
	R_ALPHA | R_ALPHB | R_DIGIT | R_AMP,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB | R_DIGIT,
	R_ALPHA | R_ALPHB,
	R_ALPHA | R_PUNCT,
	R_ALPHA | R_BACK,
	R_ALPHA | R_PUNCT | R_EQ,
	R_ALPHA,
	R_ALPHA | R_PUNCT | R_LINE,
};
static const uint8_t high[16] = {0, 0, R_PUNCT | R_AMP, R_DIGIT | R_EQ, R_ALPHA, R_ALPHB | R_LINE | R_BACK, R_ALPHA, R_ALPHB};

WEIR_INLINE __m256i twice(const uint8_t *table) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)); }

WEIR_INLINE uint32_t has(__m256i v, int bits) {
	return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(v, _mm256_set1_epi8((char)bits)), _mm256_setzero_si256()));
}

// vector goes through b in blocks as far as it can, until there is no room left. It returns where it stopped.
WEIR_VECTOR static uint64_t vector(search *s, uint32_t most) {
	const uint8_t *b = s->b;
	const __m256i half = _mm256_set1_epi8(15), lows = twice(low), highs = twice(high), none = _mm256_setzero_si256();
	uint64_t i = 0;
	for (; i < s->n && s->found + ROOM <= most; i += 32) {
		__m256i v;
		if (i + 32 <= s->n) {
			v = _mm256_loadu_si256((const __m256i *)(b + i));
		} else { // the last bytes, and behind them what is nothing
			uint8_t rest[32];
			memset(rest, ' ', sizeof rest);
			memcpy(rest, b + i, s->n - i);
			v = _mm256_loadu_si256((const __m256i *)rest);
		}
		__m256i c = _mm256_and_si256(_mm256_shuffle_epi8(lows, _mm256_and_si256(v, half)), _mm256_shuffle_epi8(highs, _mm256_and_si256(_mm256_srli_epi16(v, 4), half)));
		uint32_t letters = has(c, R_ALPHA | R_ALPHB | R_DIGIT | R_PUNCT | R_LINE);
		uint32_t first = has(c, R_AMP | R_BACK), equals = has(c, R_EQ);
		if (equals) { // most stand before a quote or a word
			uint32_t after = has(c, R_ALPHA | R_DIGIT) | _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(' '), v));
			first |= equals & (after >> 1 | 0x80000000);
		}
		if (_mm256_movemask_epi8(v)) { // beyond ASCII
			first |= _mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xef)),
				_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xc2)), _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xe2)))));
		}
		for (uint32_t m = first; m; m &= m - 1) {
			uint64_t k = i + __builtin_ctz(m);
			uint32_t t = trigger(b + k, s->n - k);
			if (t != WEIR_KINDS) tell(s, k, t);
		}
		uint32_t nul = _mm256_movemask_epi8(_mm256_cmpeq_epi8(v, none));
		if (nul) {
			for (uint32_t m = nul & ~(nul >> 1); m; m &= m - 1) strange(s, i + __builtin_ctz(m));
		}
		uint32_t digit = has(c, R_DIGIT);
		uint32_t one = digit & ~(digit >> 1) & ~(digit << 1);
		if ((one &= one >> 2)) { // those of a few are in one block
			for (uint32_t m = one; m; m &= m - 1) {
				uint64_t k = i + __builtin_ctz(m);
				if (k == 0 || !is(b[k - 1], DIGIT)) digits(s, k);
			}
		}
		// Runs: what began before goes on, is over, or another one is long enough.
		if (letters == 0xffffffff) {
			if (!s->told && i + 32 - s->run >= LEAST) {
				s->told = 1;
				tell(s, s->run, WEIR_RUN);
			}
			continue;
		}
		uint32_t ahead = __builtin_ctz(~letters);
		if (!s->told && i + ahead - s->run >= LEAST) tell(s, s->run, WEIR_RUN);
		uint32_t x = (uint32_t)((uint64_t)letters >> ahead << ahead);
		x &= x >> 1;
		x &= x >> 2;
		x &= x >> 4;
		x &= x >> 8;
		x &= x >> 4;
		s->run = i + 32 - __builtin_clz(~letters);
		s->told = 0;
		if (x) {
			uint64_t at = i + __builtin_ctz(x);
			s->told = at == s->run;
			tell(s, at, WEIR_RUN);
		}
	}
	return i < s->n ? i : s->n;
}

int weir_find_vector(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"); }
#else
static uint64_t vector(search *s, uint32_t most) { return 0; }

int weir_find_vector(void) { return 0; }
#endif

uint32_t weir_find(const uint8_t *b, uint32_t n, uint32_t kinds, weir_place *out, uint32_t most, int vec, uint32_t *upto) {
	search s = {.b = b, .n = n, .kinds = kinds, .out = out};
	uint64_t i = 0;
	if (vec) i = vector(&s, most);
	i = scalar(&s, i, most);
	if (i < n && !s.told && s.run < i) i = s.run; // the run is told by the next call
	*upto = i;
	return s.found;
}
