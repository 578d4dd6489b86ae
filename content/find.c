// Most bytes are in no encoding. This tells where one may begin, at some GB/s: it errs on one side only, who asks looks closer.

#include "find.h"

#include <string.h>

// Letters in a row that are worth being looked at.
#define LEAST 20

// Places that may be told of one block.
#define ROOM 80

// Single digits, with the same between each two of them.
#define DIGITS 12

// Places in a run where something else may begin: what is a run's beginning, or stands behind what joins words.
#define TRIES 16

enum { LETTER = 1, HEX = 2, TRIGGER = 4, DIGIT = 8, ALPHA = 16, PRINT = 32, HEXUPPER = 64, ESCAPED = 128, BETWEEN = 256, TEXT = 512, JOINS = 1024 };

static uint16_t class[256];

// What letters stand for; 0xff: nothing.
static uint8_t of64[256], of32[256], of16[256];

static inline int is(uint8_t c, int k) { return (class[c] & k) != 0; }

static int in(uint8_t c, const char *set) { return c && strchr(set, c) != NULL; }

static int is_print(uint8_t c) { return c >= 0x20 && c < 0x7f; }

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
		if (c == '\\' || c == '%' || c == '&' || c == '=' || c == 0xef || c == 0xc2 || c == 0xe2) k |= TRIGGER;
		if (in(c, "uxX\"'\\/nrt0123")) k |= ESCAPED;
		if (in(c, " .\t")) k |= BETWEEN;
		if (is_print(c)) k |= PRINT;
		if (is_print(c) || in(c, "\t\r\n")) k |= TEXT;
		if (in(c, "/-_+")) k |= JOINS;
		class[i] = k;
		of16[i] = digit ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 0xff;
		of32[i] = upper ? c - 'A' : lower ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : 0xff;
		of64[i] = upper ? c - 'A' : lower ? c - 'a' + 26 : digit ? c - '0' + 52 : in(c, "+-") ? 62 : in(c, "/_") ? 63 : 0xff;
	}
}


// text reports whether n bytes, at least 3, may be the beginning of text, in UTF-8 or UTF-16, or of a container.
static int text(const uint8_t *t, int n) {
	switch (t[0] << 8 | t[1]) { // what containers begin with that is no text
	case 0x1f8b: case 0x1f9d: case 0x0422: case 0xfd37: case 0xff06: case 0xd0cf: case 0x28b5: case 0x7801: case 0x789c: case 0x78da: case 0x5d00: case 0x03d9:
	case 0x377a: case 0x504b: case 0x4f62: case 0x4c52: case 0x4c55: case 0x5261: case 0x425a: case 0x785e: case 0x4c5a: case 0x4f52: case 0x6873: case 0x4d53:
		return 1;
	}
	for (int i = 0; i < n;) {
		if (is(t[i], TEXT)) {
			i++;
			continue;
		}
		int k = t[i] < 0xc2 ? 0 : t[i] < 0xe0 ? 2 : t[i] < 0xf0 ? 3 : t[i] < 0xf5 ? 4 : 0;
		int j = 1;
		while (j < k && i + j < n && (t[i + j] & 0xc0) == 0x80) j++;
		if (k && (j == k || i + j == n)) {
			i += j;
			continue;
		}
		return (!t[0] && !t[2] && is(t[1], TEXT)) || (!t[1] && is(t[0], TEXT) && is(t[2], TEXT));
	}
	return 1;
}

// encoded reports whether the letters at b, LEAST at least, may be an encoding of something worth a look.
static int encoded(const uint8_t *b) {
	if (b[0] == '+' && b[1] == 'A' && of64[b[2]] < 16) return 1; // UTF-7: a character below U+0100
	uint8_t t[6];
	uint32_t v = (uint32_t)of64[b[0]] << 18 | of64[b[1]] << 12 | of64[b[2]] << 6 | of64[b[3]];
	t[0] = v >> 16, t[1] = v >> 8, t[2] = v;
	if (text(t, 3)) {
		v = (uint32_t)of64[b[4]] << 18 | of64[b[5]] << 12 | of64[b[6]] << 6 | of64[b[7]];
		t[3] = v >> 16, t[4] = v >> 8, t[5] = v;
		if (text(t, 6)) return 1;
	}
	int k = 0;
	for (; k < 6; k++) {
		uint8_t high = of16[b[2 * k]], low = of16[b[2 * k + 1]];
		if ((high | low) == 0xff) break;
		t[k] = high << 4 | low;
		if (k == 2 && !text(t, 3)) break;
	}
	if (k == 6 && text(t, 6)) return 1;
	uint64_t w = 0;
	for (k = 0; k < 8; k++) {
		if (of32[b[k]] == 0xff) return 0;
		w = w << 5 | of32[b[k]];
	}
	for (k = 0; k < 5; k++) t[k] = w >> (32 - 8 * k);
	return text(t, 5);
}

// uuid reports whether b is a UUID and nothing more: the commonest run that is no encoding.
static int uuid(const uint8_t *b, uint64_t n) {
	return n > 36 && b[8] == '-' && b[13] == '-' && b[18] == '-' && b[23] == '-' && !is(b[36], LETTER) && is(b[0], HEX) && is(b[7], HEX) && is(b[9], HEX) &&
		is(b[24], HEX) && is(b[35], HEX);
}

// worth reports whether a run of letters that begins at i may be, or hold, an encoding. One that goes on behind the end may.
static int worth(const uint8_t *b, uint64_t i, uint64_t n) {
	if (uuid(b + i, n - i)) return 0;
	uint64_t to = i; // up to here there are letters
	for (int tries = 0; tries < TRIES; tries++) {
		if (to < i) to = i;
		for (; to < i + LEAST; to++) {
			if (to == n) return 1;
			if (!is(b[to], LETTER)) return 0;
		}
		if (encoded(b + i)) return 1;
		if (b[i] == '0' && (b[i + 1] | 0x20) == 'x') {
			i += 2;
			continue;
		}
		if (b[i] == 'x') {
			i++;
			continue;
		}
		for (; i < n && !is(b[i], JOINS); i++) {
			if (!is(b[i], LETTER)) return 0;
		}
		if (i == n) return 1;
		i++;
	}
	for (; i < n; i++) {
		if (!is(b[i], LETTER)) return 0;
	}
	return 1;
}

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
		if (n < 4 || !is(b[1], HEXUPPER) || !is(b[2], HEXUPPER)) break;
		if ((b[1] == '3' && b[2] == 'D') || (n >= 6 && b[3] == '=' && is(b[4], HEXUPPER) && is(b[5], HEXUPPER))) return WEIR_EQUALS;
		if (!is(b[3], HEX)) return WEIR_WEAK; // many a number is told to be equal to something
		break;
	case 0xef: // full-width letters and digits; the byte order mark
		if (n >= 3 && ((b[1] == 0xbc && b[2] >= 0x81) || (b[1] == 0xbd && b[2] <= 0x9e) || (b[1] == 0xbb && b[2] == 0xbf))) return WEIR_SIGN;
		break;
	case 0xc2: // no-break space, soft hyphen
		if (n >= 2 && b[1] == 0xad) return WEIR_SIGN;
		if (n >= 2 && b[1] == 0xa0) return n >= 3 && is(b[2], DIGIT) ? WEIR_SIGN : WEIR_WEAK;
		break;
	case 0xe2: // spaces, and what has no width; hyphens and dashes before a digit
		if (n >= 3 && ((b[1] == 0x80 && (b[2] <= 0x8f || b[2] == 0xaf)) || (b[1] == 0x81 && (b[2] == 0x9f || b[2] == 0xa0)))) return WEIR_SIGN;
		if (n >= 4 && ((b[1] == 0x80 && b[2] >= 0x90 && b[2] <= 0x95) || (b[1] == 0x88 && b[2] == 0x92)) && is(b[3], DIGIT)) return WEIR_SIGN;
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
	uint64_t past;    // up to here runs have been told
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

// tell_run tells the run under way, of which LEAST letters have been seen.
static void tell_run(search *s, uint64_t at) {
	if (at < s->past) return;
	if (worth(s->b, at, s->n)) tell(s, at, WEIR_RUN);
	s->past = at + 1;
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
				tell_run(s, s->run);
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

// LEAST letters in a row within a block have these.
#define MIDDLE 0x000ff000u

WEIR_INLINE __m256i twice(const uint8_t *table) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)); }

WEIR_INLINE uint32_t has(__m256i v, int bits) {
	return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(v, _mm256_set1_epi8((char)bits)), _mm256_setzero_si256()));
}

// vector goes through b in blocks as far as it can, until there is no room left. It returns where it stopped.
WEIR_VECTOR static uint64_t vector(search *s, uint32_t most) {
	const uint8_t *b = s->b;
	const __m256i half = _mm256_set1_epi8(15), lows = twice(low), highs = twice(high);
	const __m256i signs = _mm256_set1_epi8((char)(R_AMP | R_BACK | R_EQ)), lowest = _mm256_set1_epi8(1);
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
		// Most blocks have nothing else: no sign that something begins with, no NUL, nothing beyond ASCII.
		__m256i other = _mm256_or_si256(_mm256_and_si256(c, signs), _mm256_cmpgt_epi8(lowest, v));
		if (!_mm256_testz_si256(other, other)) {
			uint32_t first = has(c, R_AMP | R_BACK | R_EQ), equals = has(c, R_EQ);
			if (equals) { // most stand before a quote or a word
				uint32_t after = has(c, R_ALPHA | R_DIGIT) | _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(' '), v));
				first &= ~(equals & ~(after >> 1 | 0x80000000));
			}
			first |= _mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xef)),
				_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xc2)), _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)0xe2)))));
			for (uint32_t m = first; m; m &= m - 1) {
				uint64_t k = i + __builtin_ctz(m);
				uint32_t t = trigger(b + k, s->n - k);
				if (t != WEIR_KINDS) tell(s, k, t);
			}
			uint32_t nul = _mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256()));
			for (uint32_t m = nul & ~(nul >> 1); m; m &= m - 1) strange(s, i + __builtin_ctz(m));
		}
		uint32_t one = letters & ~(letters >> 1) & ~(letters << 1);
		if (one & one >> 2) { // letters one by one: those of a few digits are in one block
			for (uint32_t m = one & one >> 2; m; m &= m - 1) {
				uint64_t k = i + __builtin_ctz(m);
				if (is(b[k], DIGIT) && (k == 0 || !is(b[k - 1], DIGIT))) digits(s, k);
			}
		}
		// Runs: what began before goes on, is over, or another one is long enough.
		if (letters == 0xffffffff) {
			if (!s->told && i + 32 - s->run >= LEAST) {
				s->told = 1;
				tell_run(s, s->run);
			}
			continue;
		}
		uint32_t ahead = __builtin_ctz(~letters);
		if (!s->told && i + ahead - s->run >= LEAST) tell_run(s, s->run);
		s->run = i + 32 - __builtin_clz(~letters);
		s->told = 0;
		if ((letters & MIDDLE) != MIDDLE || ahead >= LEAST) continue;
		uint32_t x = (uint32_t)((uint64_t)letters >> ahead << ahead);
		x &= x >> 1;
		x &= x >> 2;
		x &= x >> 4;
		x &= x >> 8;
		x &= x >> 4;
		if (x) {
			uint64_t at = i + __builtin_ctz(x);
			s->told = at == s->run;
			tell_run(s, at);
		}
	}
	return i < s->n ? i : s->n;
}

WEIR_VECTOR static uint64_t letters_vector(const uint8_t *b, uint64_t n) {
	const __m256i half = _mm256_set1_epi8(15), lows = twice(low), highs = twice(high);
	uint64_t i = 0;
	for (; i + 32 <= n; i += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(b + i));
		__m256i c = _mm256_and_si256(_mm256_shuffle_epi8(lows, _mm256_and_si256(v, half)), _mm256_shuffle_epi8(highs, _mm256_and_si256(_mm256_srli_epi16(v, 4), half)));
		uint32_t letters = has(c, R_ALPHA | R_ALPHB | R_DIGIT | R_PUNCT | R_LINE);
		if (letters != 0xffffffff) return i + __builtin_ctz(~letters);
	}
	return i;
}

int weir_find_vector(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"); }
#else
static uint64_t vector(search *s, uint32_t most) { return 0; }

static uint64_t letters_vector(const uint8_t *b, uint64_t n) { return 0; }

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

uint32_t weir_letters(const uint8_t *b, uint32_t n, int vec) {
	uint64_t i = vec ? letters_vector(b, n) : 0;
	while (i < n && is(b[i], LETTER)) i++;
	return i;
}
